"""Maps of named quantities on one geometry: what is estimated on the sky."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import equinox as eqx
import numpy as np
from astropy import units as u
from astropy.io import fits
from jaxtyping import Float

from ...datasets.arrays import Array, frozen_array
from ...datasets.errors import InputError, closest
from ...datasets.hints.modules import HintedModule
from ...datasets.io.fits import Card, FitsFile, Hdu, naming, readable_cards, set_cards, to_bytes
from ...datasets.io.gadf_quantity import map_hdus, read_quantity
from ...datasets.io.paths import Filename, as_path, beside, existing, write_files
from ...datasets.meta import Meta
from ...datasets.models.collection import Models
from ...datasets.models.sky_model import SkyModel
from ...datasets.shown import Facts, Shown
from ...datasets.sky.axis import MapAxis
from ...datasets.sky.geom import SkyGeom
from ...datasets.units import Given, edges_tev, number_in, to_unit
from ...kernels.sphere import lonlat_to_vector
from ..scans.profile import positive

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

FLUX = "cm-2 s-1"

NAME = re.compile(r"(?!primary$)[a-z][a-z0-9_-]{0,59}")
"""Names of quantities: those of HDUs in files, which are in capitals there."""


CARDS = {"kind": "ESTIMATE", "method": "METHOD", "source": "TRIAL", "radius": "RADIUS"}
"""Header cards of what is known of maps: words, the last a number."""

FITTED = {"fitted_min": "FLOW", "fitted_max": "FHIGH"}
"""Beginnings of the header cards of the fitted energies in TeV; the number of the band follows, 1 for the first."""

MOST_SAID = 999
"""Bands whose fitted energies files tell: cards have eight letters."""

SIGMA_CARDS = {"n_sigma": "N_SIGMA", "n_sigma_ul": "NSIGMAUL"}
"""Cards of a file for standard deviations."""


class SkyMaps(Shown, HintedModule):
    """Maps of named quantities, such as "counts" or "sqrt_ts", in bands of energy on the pixels of one geometry.

    Parameters
    ----------
    geom : `SkyGeom`, ny by nx pixels
    energy_edges : edges of the bands, (n + 1,), Quantity or TeV
    maps : (n, ny, nx) numbers by name; NaN where a quantity is not known. "flux" and names that start with "flux_" are
        in cm-2 s-1, all others have no unit
    reference_model : the source whose norm was fitted, of maps that have a "norm"
    n_sigma, n_sigma_ul : standard deviations of errors, and of upper limits, where there are some; in files as N_SIGMA
        and NSIGMAUL, the words of gammapy
    meta : how they were made, for titles and labels: ``kind`` ("residual", "excess", "ts"), ``method`` of residuals,
        ``source`` that was tried, ``radius`` of disks in deg, and ``fitted_min`` and ``fitted_max``, between which
        energies (n,) in TeV bins of the bands were fitted. None of it has to be there

    Raises
    ------
    InputError
        for maps of other shapes, and edges that do not rise.

    Examples
    --------
    >>> maps = gj.excess_map(datasets, result, 0.12 * u.deg)
    >>> maps["sqrt_ts"], maps.quantity("flux"), maps.at("sqrt_ts", position)
    >>> maps.write("excess.fits.gz")
    """

    geom: SkyGeom
    energy_edges: Float[Array, " n+1"]
    maps: dict[str, Float[Array, "n ny nx"]]
    reference_model: SkyModel | None
    n_sigma: float | None = eqx.field(static=True)
    n_sigma_ul: float | None = eqx.field(static=True)
    meta: Meta

    def __init__(
        self,
        geom: SkyGeom,
        energy_edges: Given,
        maps: Mapping[str, Given],
        reference_model: SkyModel | None = None,
        n_sigma: Given | None = None,
        n_sigma_ul: Given | None = None,
        meta: Mapping[str, object] | Meta | None = None,
    ):
        self.n_sigma = None if n_sigma is None else positive(n_sigma, "SkyMaps: n_sigma")
        self.n_sigma_ul = None if n_sigma_ul is None else positive(n_sigma_ul, "SkyMaps: n_sigma_ul")
        self.geom = geom
        self.energy_edges = edges_tev(energy_edges, "SkyMaps: energy_edges")
        self.maps = {
            name: frozen_array(to_unit(values, unit_of(name), f"SkyMaps: maps[{name!r}]"))
            for name, values in maps.items()
        }
        self.reference_model = reference_model
        self.meta = meta if isinstance(meta, Meta) else Meta(meta)

    def __check_init__(self) -> None:
        if not isinstance(self.geom, SkyGeom):
            raise InputError(f"SkyMaps: geom must be a SkyGeom, found {type(self.geom).__name__}.")
        radius = self.meta.get("radius", 0.0)
        if not isinstance(radius, int | float) or not np.isfinite(radius):
            raise InputError(f"SkyMaps: meta['radius'] is {radius!r}, expected a finite number.")
        for name, values in self.maps.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise InputError(
                    f"SkyMaps: found the name {str(name)[:60]!r}, expected small letters of English, digits and _, "
                    "with a letter first, such as 'sqrt_ts': files have no others."
                )
            if np.shape(values) != self.shape:
                raise InputError(
                    f"SkyMaps: {name!r} has shape {np.shape(values)}, expected {self.shape}: bands of energy and "
                    "pixels (y, x)."
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of each map, (n, ny, nx)."""
        return (np.size(self.energy_edges) - 1, *self.geom.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(self.maps)

    def __contains__(self, name: object) -> bool:
        return name in self.maps

    def __getitem__(self, name: str) -> np.ndarray:
        """Numbers of a quantity, (n, ny, nx)."""
        if name not in self.maps:
            raise InputError(f"SkyMaps: there is no quantity {name!r}. {closest(str(name), list(self.maps))}")
        return np.asarray(self.maps[name])

    def quantity(self, name: str) -> u.Quantity:
        """A quantity with its unit, (n, ny, nx)."""
        return u.Quantity(self[name], unit_of(name))

    def at(self, name: str, position: "SkyCoord", interp: Literal["linear", "nearest"] = "linear") -> u.Quantity:
        """A quantity at positions (SkyCoord of any shape), (n, *shape): bilinear, or that of the pixel ("nearest").

        NaN outside of the map, and where one of the pixels between which a position lies is NaN.
        """
        if interp not in ("linear", "nearest"):
            raise InputError(f"SkyMaps.at: interp is {interp!r}, expected 'linear' or 'nearest'.")
        values, sky = self[name], position.icrs
        ny, nx = self.geom.shape
        vectors = np.asarray(lonlat_to_vector(np.asarray(sky.ra.deg), np.asarray(sky.dec.deg)))
        x, y = (np.asarray(c) for c in self.geom.vector_to_pixel_or_far(vectors))
        if interp == "nearest":
            x, y = np.floor(x + 0.5), np.floor(y + 0.5)
        inside = (x >= -0.5) & (x <= nx - 0.5) & (y >= -0.5) & (y <= ny - 0.5)
        # the outer half of the pixels at the edge has their value
        x, y = (np.clip(np.where(inside, c, 0.0), 0, n - 1) for c, n in ((x, nx), (y, ny)))
        column, row = (np.minimum(c.astype(int), max(n - 2, 0)) for c, n in ((x, nx), (y, ny)))
        found = np.zeros((len(values), *x.shape))
        for j, in_y in ((row, 1 - (y - row)), (np.minimum(row + 1, ny - 1), y - row)):
            for i, in_x in ((column, 1 - (x - column)), (np.minimum(column + 1, nx - 1), x - column)):
                share = in_x * in_y
                found += np.where(share > 0, share * values[:, j, i], 0.0)
        return u.Quantity(np.where(inside, found, np.nan), unit_of(name))

    def peaks(
        self, name: str = "sqrt_ts", threshold: Given = 5.0, min_distance: Given | None = None, band: int = 0
    ) -> "Table":
        """Peaks of a quantity above a threshold, the highest first: a table of ``value``, ``x``, ``y`` (pixels),
        ``lon``, ``lat`` (deg, in the frame of the map, which ``meta["frame"]`` names), and all other quantities there.

        A pixel is a peak where no other in the square of ``min_distance`` (Quantity or deg; one pixel by default,
        rounded to whole ones) to all sides is higher. ``threshold``: a number in the unit of the quantity, or a
        Quantity. ``band``: which band of energy. As `gammapy.estimators.utils.find_peaks`.
        """
        from astropy.coordinates import SkyCoord
        from astropy.table import Table
        from scipy.ndimage import maximum_filter

        if not (isinstance(band, int | np.integer) and 0 <= band < len(self[name])):
            raise InputError(f"SkyMaps.peaks: band is {band!r}, expected a number from 0 to {len(self[name]) - 1}.")
        least = number_in(threshold, unit_of(name), "SkyMaps.peaks: threshold")
        pixels = 1
        if min_distance is not None:
            distance = number_in(min_distance, "deg", "SkyMaps.peaks: min_distance")
            if not 0 < distance < 180:
                raise InputError(f"SkyMaps.peaks: min_distance must be a positive angle, found {min_distance!r}.")
            pixels = max(int(np.rint(distance / self.geom.pixel_size)), 1)
        values = self[name][band]
        known = np.where(np.isfinite(values), values, -np.inf)
        highest = maximum_filter(known, size=2 * pixels + 1, mode="constant", cval=-np.inf)
        y, x = np.nonzero((known == highest) & (known > least))
        order = np.argsort(-known[y, x], kind="stable")
        y, x = y[order], x[order]
        vectors = np.asarray(self.geom.pixel_to_vector(x.astype(float), y.astype(float))).reshape(-1, 3)
        table = Table(meta={"frame": self.geom.frame})
        table["value"] = u.Quantity(values[y, x], unit_of(name))
        table["x"], table["y"] = x, y
        icrs = SkyCoord(*vectors.T, representation_type="cartesian", frame="icrs")
        place = icrs.transform_to(self.geom.frame).spherical
        table["lon"], table["lat"] = (u.Quantity(c.to_value("deg"), "deg") for c in (place.lon, place.lat))
        for other in self.names:
            if other != name:
                table[other] = self.quantity(other)[band, y, x]
        for column in table.colnames:
            if column not in ("x", "y"):
                table[column].info.format = ".5f" if column in ("lon", "lat") else ".4g"
        return table

    @classmethod
    def read(cls, filename: Filename) -> "SkyMaps":
        """Read a file of `write`, or of gammapy's ``FluxMaps.write``: all images with one axis of energy.

        Quantities that gammapy gives in other units (``flux`` in another one) are converted.
        """
        file = FitsFile(filename)
        with naming(filename):
            names = [hdu.name for hdu in file.hdus if isinstance(hdu, fits.ImageHDU) and hdu.name]
            if not names:
                raise InputError("the file holds no images. Check that it is one of SkyMaps.write.")
            geoms: dict[str, SkyGeom] = {}
            stored = {name.lower(): read_quantity(file, name, geoms).require_axes("energy") for name in names}
            first = next(iter(stored.values()))
            for name, found in stored.items():
                if found.geom is None or not found.has_pixels_of(first):
                    raise InputError(f"the image {name.upper()} has other pixels than the first. Read it by itself.")
            text = str(file.hdus[0].header.get("MODEL", ""))
            models = beside(text, as_path(filename).parent) if text else None
            known = models is not None and existing(models) is not None
            assert first.geom is not None
            edges = first.axes[0].edges
            cards = readable_cards(file.hdus[0].header, str(filename))
            return cls(
                first.geom,
                edges,
                {name: found.to_value(unit_of(name)) for name, found in stored.items()},
                Models.read(models)[0] if known and models is not None else None,
                n_sigma=cards.get(SIGMA_CARDS["n_sigma"]),
                n_sigma_ul=cards.get(SIGMA_CARDS["n_sigma_ul"]),
                meta=_meta_of(cards, len(edges) - 1),
            )

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write a FITS file with an image HDU for each quantity, which gammapy's ``Map.read`` reads.

        ``Map.read(file, hdu="sqrt_ts")``. Of maps with a ``norm`` gammapy's ``FluxMaps.read`` reads the whole; their
        source is written beside it, into a file whose name ends in ``_model.yaml``.
        """
        write_files(self.contents(as_path(filename)), overwrite)

    def contents(self, path: Path) -> dict[Path, bytes]:
        """All files of `write` as bytes by path."""
        primary, files = fits.PrimaryHDU(), {}
        if "norm" in self.maps:
            primary.header["SED_TYPE"] = "likelihood"
        if self.reference_model is not None:
            beside_it = path.with_name(f"{path.name.split('.')[0]}_model.yaml")
            primary.header["MODEL"] = beside_it.as_posix()
            files = Models([self.reference_model]).contents(beside_it)
        set_cards(primary.header, _cards_of(self.meta))
        for name, key in SIGMA_CARDS.items():
            if getattr(self, name) is not None:
                primary.header[key] = getattr(self, name)
        axis = MapAxis(np.asarray(self.energy_edges), "log", "energy", "TeV")
        hdus: list[Hdu] = [primary]
        for name, values in self.maps.items():
            hdus += map_hdus(name.upper(), np.asarray(values), unit_of(name), (axis,), self.geom)
        return files | {path: to_bytes(hdus)}

    @property
    def facts(self) -> Facts:
        n, ny, nx = self.shape
        edges = np.asarray(self.energy_edges)
        energy = f"{n} band{'s' * (n > 1)} from {edges[0]:.4g} to {edges[-1]:.4g} TeV"
        ends = [np.ravel(self.meta.get(key, np.nan)) for key in FITTED]
        if np.isfinite(ends[0]).any() and np.isfinite(ends[1]).any():
            low, high = np.nanmin(ends[0]), np.nanmax(ends[1])
            if low > edges[0] or high < edges[-1]:
                energy += f", {low:.4g} to {high:.4g} TeV of it fitted"
        made = {key: str(self.meta[key]) for key in ("kind", "source") if key in self.meta}
        if "radius" in self.meta:
            made["disks"] = f"{self.meta['radius']:.4g} deg"
        return {"": f"{nx} x {ny} pixels", "energy": energy} | made | {"quantities": ", ".join(self.names)}


def unit_of(name: str) -> str:
    """Unit of a quantity by its name."""
    return FLUX if name == "flux" or name.startswith("flux_") else ""


def _cards_of(meta: Meta) -> dict[str, Card]:
    """What is known of maps as header cards."""
    cards: dict[str, Card] = {card: meta[key] for key, card in CARDS.items() if key in meta}
    for key, card in FITTED.items():
        ends = enumerate(np.ravel(meta.get(key, ()))[:MOST_SAID], start=1)
        cards |= {f"{card}{k}": float(value) for k, value in ends if np.isfinite(value)}
    return cards


def _meta_of(cards: Mapping[str, Card], n: int) -> dict[str, object]:
    """What header cards say of maps of ``n`` bands, as far as it is of its kind."""
    found: dict[str, object] = {}
    for key, card in CARDS.items():
        kinds: tuple[type, ...] = (int, float) if key == "radius" else (str,)
        if isinstance(cards.get(card), kinds) and not isinstance(cards[card], bool):
            found[key] = cards[card]
    for key, card in FITTED.items():
        values = [cards.get(f"{card}{k}") for k in range(1, n + 1)]
        numbers = np.array([v if isinstance(v, int | float) else np.nan for v in values], float)
        if np.isfinite(numbers).any():
            found[key] = numbers
    return found
