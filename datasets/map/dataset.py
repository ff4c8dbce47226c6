"""Map datasets: counts in energy bins and pixels of the sky."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.quadrature import bin_centers
from ..arrays import Array, Mask, fields_of, frozen_array, is_concrete
from ..counts.base import CountsBase
from ..counts.create import empty_map
from ..counts.dataset import CountsDataset
from ..counts.instrument import NOMINAL, Instrument
from ..counts.known import KnownBackground
from ..counts.measured import MeasuredBackground
from ..dataset import Dataset, fitted_bins
from ..errors import InputError
from ..io.fermi import counts_cube_contents
from ..io.fits import FitsFile, naming
from ..io.gadf_write import gadf_map_contents
from ..io.paths import Filename, as_path, write_files
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap
from ..irf.grid import response_mask
from ..irf.psf import PSFKernel, PSFMap
from ..irf.stack import Part, Tables, stack_edisp, stack_psf
from ..models.sky_model import FoVBackgroundModel, SkyModel
from ..models.spatial.moves import has_moved
from ..prepared import Arrays, Frozen, Models
from ..region.dataset import RegionMapDataset
from ..seen import Scores
from ..sky.axis import MapAxis
from ..sky.cutout import PadWidth
from ..sky.geom import SkyGeom
from ..spectrum.dataset import SpectrumDataset, SpectrumDatasetOnOff
from ..statistics.base import Bins
from ..units import Given, to_mask
from .files import map_fields_of
from .kept import counts_of_sources
from .plan import image_rungs
from .prepared import MapSpec, prepare_map
from .regions import region_map_fields, region_spectrum_fields
from .reshape import crop, cutout, downsample, pad
from .response import Response
from .scores import scores_of
from .torn import warn_of_torn
from .trial import Trials, trials_at

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from regions import Region

SOURCE_GRIDS = ("exact", "pixel")

FORMATS = ("gadf", "fgst-ccube")

PSF = PSFMap | PSFKernel


class OnPixels(Dataset):
    """A dataset on the pixels of an image."""

    geom: SkyGeom


class MapBase(CountsDataset, OnPixels):
    """What maps with known and with measured background share."""

    psf: PSF | None = eqx.field(default=None, kw_only=True)
    source_grid: Literal["exact", "pixel"] = eqx.field(default="exact", static=True, kw_only=True)

    prepare_compiles = True

    def __post_init__(self) -> None:
        if not isinstance(self.geom, SkyGeom):
            raise InputError(
                f"{type(self).__name__}: geom must be a SkyGeom, found {type(self.geom).__name__}. "
                "Make one with SkyGeom.create(...) or SkyGeom.from_wcs(wcs, shape)."
            )
        super().__post_init__()

    @property
    def pixels(self) -> tuple[int, ...]:
        return self.geom.shape

    @property
    def sky_geom(self) -> SkyGeom:
        return self.geom

    @property
    def image_rungs(self) -> tuple[float, ...]:
        return image_rungs(self.geom, self.psf)

    @property
    def mask_image(self) -> Mask | None:
        """Pixels with any bin inside the mask, (ny, nx); None where there is no mask."""
        return None if self.mask is None else cast(Mask, self.mask.any(axis=0))

    def as_mask(self, mask: Mask | None) -> Mask | None:
        """A mask of the whole dataset; an image, or one value per energy, stands for all energies or pixels."""
        if mask is None or not is_concrete(mask):
            return mask
        shapes = {
            self.data_shape: mask.shape,
            self.pixels: (1, *mask.shape),
            (self.n_reco,): (*mask.shape, 1, 1),
        }
        if mask.shape != self.data_shape and mask.shape in shapes:
            mask = frozen_array(np.broadcast_to(np.asarray(mask).reshape(shapes[mask.shape]), self.data_shape), bool)
        return mask

    def with_mask_fit(
        self,
        mask: Mask | None = None,
        *,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        region: "Region | np.ndarray | None" = None,
        round_to_edge: bool | None = None,
    ) -> Self:
        """A copy that fits the bins wholly inside [energy_min, energy_max] and the pixels inside ``region``.

        ``region`` is a sky region of the ``regions`` package, or an image (ny, nx) that is True inside; or give the
        whole ``mask`` (n_reco, ny, nx). ``mask_safe`` goes on applying on top. Without arguments the fit mask goes. For
        ``round_to_edge`` see `SpectrumDataset.with_mask_fit`.
        """
        if mask is not None and (energy_min is not None or energy_max is not None or region is not None):
            raise InputError("with_mask_fit: give either a mask, or an energy range and a region, not both.")
        if energy_min is not None or energy_max is not None or region is not None:
            whole = super().with_mask_fit(energy_min=energy_min, energy_max=energy_max, round_to_edge=round_to_edge)
            mask = np.ones(self.data_shape, bool) if whole.mask_fit is None else np.asarray(whole.mask_fit)
            if region is not None:
                given = isinstance(region, np.ndarray | jax.Array | list | tuple)
                inside = to_mask(region, "region") if given else self.geom.region_mask(region)
                if np.shape(inside) != self.pixels:
                    raise InputError(f"with_mask_fit: region has shape {np.shape(inside)}, expected {self.pixels}.")
                mask = mask & inside
        return self.replace(mask_fit=mask)

    def cutout(self, position: "SkyCoord", width: Given, mode: Literal["trim", "strict", "partial"] = "trim") -> Self:
        """A copy of the pixels around a SkyCoord, ``width`` wide (deg, Quantity, or x and y); see `reshape.cutout`."""
        return cutout(self, position, width, mode)

    def crop(self, y: slice, x: slice) -> Self:
        """A copy of a range of pixels; see `reshape.crop`."""
        return crop(self, y, x)

    def pad(self, pad_width: PadWidth) -> Self:
        """A copy with so many more, empty pixels on each side (one number or two: x, y); see `reshape.pad`."""
        return pad(self, pad_width)

    def downsample(self, factor: int, axis_name: str | None = None) -> Self:
        """A copy in which ``factor`` by ``factor`` pixels are one, or ``factor`` bins of the axis "energy".

        Merged pixels that are safe in part predict more than was counted; see `reshape.downsample_pixels`.
        """
        return downsample(self, factor, axis_name)

    @classmethod
    def create(
        cls,
        geom: SkyGeom,
        energy_edges: Given | MapAxis,
        energy_true_edges: Given | MapAxis | None = None,
        **fields: Any,
    ) -> Self:
        """An empty dataset into which runs can be stacked; ``mask_safe`` is False everywhere.

        ``fields``: rad_edges, migra_edges, binsz_irf, reco_psf, geom_psf, geom_edisp, see `create.empty_map`; and
        further arguments of the class.
        """
        return empty_map(cls, geom, energy_edges, energy_true_edges, **fields)

    def source_counts(self, sources: Sequence[SkyModel], instrument: Instrument = NOMINAL) -> Bins:
        self.require_exposure(sources)
        response = self.response
        warn_of_torn(response, sources, type(self).__name__)
        return counts_of_sources(response, sources, self.nodes, self.gti, type(self).__name__, instrument)

    def trials(
        self,
        source: SkyModel,
        models: Models,
        x: np.ndarray,
        y: np.ndarray,
        rules: tuple[int, int],
        what: str,
    ) -> tuple[Trials, np.ndarray]:
        self.require_exposure([source])
        return trials_at(self.response, source, x, y, rules, self.nodes, self.gti, self.instrument(models), what)

    @property
    def response(self) -> Response:
        """What the dataset does to a source."""
        return Response(
            self.geom,
            self.energy_edges,
            self.energy_true_edges,
            self.exposure,
            self.psf,
            self.edisp,
            self.source_grid,
        )

    def check_sources(self, sources: Sequence[SkyModel], what: str) -> None:
        for model in sources:
            if fields_of(model)["spatial"] is None:
                raise InputError(
                    f"{what}: model {model.name!r} has no spatial part, and the dataset is a map. Give it one, such as "
                    "spatial=PointSpatialModel(lon_0=..., lat_0=...)."
                )
        warn_of_torn(self.response, sources, what)

    def norm_on_sky(self, model: FoVBackgroundModel) -> Array:
        assert model.spatial is not None
        x, y = self.geom.pixel_grid
        vectors = self.geom.shown_vectors(jnp.asarray(x), jnp.asarray(y))[0]
        return model.spatial.evaluate(vectors, bin_centers(self.energy_edges, self.energy_interp))

    def moved(self, before: Models, after: Models) -> bool:
        return has_moved(before, after, self.geom.pixel_size)

    def source_scores(
        self, models: Models, source: eqx.Module, like: Scores | None = None, signal: np.ndarray | None = None
    ) -> Scores | None:
        instrument = self.instrument(models)
        scores = scores_of(self, self.response, models, cast(SkyModel, source), instrument, like, signal)
        return like if scores is None else scores

    def stacked_response(
        self, parts: Sequence[Part], union: np.ndarray, geom: SkyGeom | None
    ) -> dict[str, PSF | EDisp | None]:
        assert geom is not None
        return {"psf": stack_psf(parts, geom), "edisp": stack_edisp(parts, geom, union)}

    def require_stackable(self, own_name: str, name: str, other: CountsBase) -> None:
        assert isinstance(other, MapBase)
        if other.source_grid != self.source_grid:
            raise InputError(
                f"stack: source_grid is {other.source_grid!r} in dataset {name!r} and {self.source_grid!r} in "
                f"{own_name!r}, expected one. Set it: dataset.replace(source_grid='exact')."
            )

    def response_mask(self, response: Tables, mask: np.ndarray) -> np.ndarray:
        return response_mask(response.geom, self.geom, mask)

    def pixel_index(self, vectors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if vectors is None:
            raise InputError("bin_events: the events have no directions, and the dataset is a map. Bin them in energy.")
        ny, nx = self.pixels
        x, y = (np.asarray(c) for c in self.geom.vector_to_pixel(vectors))
        shown = np.isfinite(x) & np.isfinite(y)
        column, row = (np.floor(np.where(shown, c, -1e6) + 0.5).astype(int) for c in (x, y))
        return row * nx + column, (column >= 0) & (column < nx) & (row >= 0) & (row < ny)

    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        return {path: gadf_map_contents(self, name)}

    def write(self, filename: Filename, overwrite: bool = False, format: str = "gadf") -> None:
        """Write gammapy's GADF form, one file, complete or not at all; compressed if its name ends in .gz.

        ``source_grid`` and ``stat_type`` are choices of the analysis and not written. ``format`` "fgst-ccube" writes
        the counts only, as a counts cube of the Fermi-LAT tools.
        """
        path = as_path(filename)
        if format not in FORMATS:
            raise InputError(f"{path}: format is {format!r}, expected one of {', '.join(map(repr, FORMATS))}.")
        with naming(path):
            if format == "gadf":
                content = self.contents(path, str(self.meta.get("name", "")))
            elif self.counts is None:
                raise InputError("there are no counts to write. Fill them first: dataset.replace(counts=...).")
            else:
                content = {path: counts_cube_contents(self.geom, self.energy_edges, self.counts)}
        write_files(content, overwrite)

    def __check_init__(self) -> None:
        name = type(self).__name__
        if self.source_grid not in SOURCE_GRIDS:
            raise InputError(f"{name}: source_grid must be 'exact' or 'pixel', found {self.source_grid!r}.")
        if not isinstance(self.psf, PSF | None):
            raise InputError(f"{name}: psf must be a PSFMap, RecoPSFMap or PSFKernel, found {type(self.psf).__name__}.")
        if isinstance(self.psf, PSFKernel) and np.shape(self.psf.values)[0] != self.n_true:
            raise InputError(
                f"{name}: the PSF kernel has {np.shape(self.psf.values)[0]} planes, expected one for each of the "
                f"{self.n_true} true-energy bins."
            )
        self.check_matrix(self.matrix_shape)

    @property
    def matrix_shape(self) -> tuple[int, ...] | None:
        """Bins (true, reconstructed) of the energy dispersion, None without one."""
        edisp = self.edisp
        if edisp is None:
            return None
        if isinstance(edisp, EDispKernel):
            return np.shape(edisp.matrix)
        if isinstance(edisp, EDispKernelMap):
            return np.shape(edisp.values)[:2]
        if isinstance(edisp, EDispMap):
            n_true = np.shape(edisp.values)[0]
            if n_true == self.n_true:
                self.check_true_energies(edisp)
            return n_true, self.n_reco
        raise InputError(
            f"{type(self).__name__}: edisp must be an EDispKernel, EDispKernelMap or EDispMap, "
            f"found {type(edisp).__name__}."
        )


class MapDataset(MapBase, KnownBackground):
    """Counts in energy bins and pixels with a known background: Poisson statistic ``cash``.

    Parameters
    ----------
    geom : `SkyGeom`, ny by nx pixels
    energy_edges : reconstructed energy bin edges, (n_reco + 1,), Quantity or TeV
    energy_true_edges : true energy bin edges, (n_true + 1,); default the same
    counts, background : (n_reco, ny, nx) numbers; counts may be missing (to simulate)
    exposure : (n_true, ny, nx), Quantity or cm2 s
    psf : `PSFMap`, `RecoPSFMap` or `PSFKernel`; None for a perfect one
    edisp : `EDispKernelMap`, `EDispMap` or `EDispKernel`; None for a perfect one
    mask_safe, mask_fit : (n_reco, ny, nx) bool
    livetime : Quantity or s
    gti, meta : `GTI`, `Meta`
    nodes : quadrature nodes per true bin; default from the widest bin (accuracy 1e-8)
    source_grid : "exact" puts sources where they are between the pixels. "pixel" shares them out over the pixels before
        the PSF acts (a point over the four nearest ones), as gammapy does; it blurs images by about a pixel, has kinks
        in positions, and is there to compare numbers.
    stat_type : "cash"; "cash_weighted"; or a statistic of counts of your own, see `register_statistic`
    weights : (n_reco, ny, nx) numbers that are not negative, by which "cash_weighted" multiplies the statistic of bins
    energy_interp : scale of the reconstructed energies, "log" (default), "lin" or "sqrt", in which the centres of bins,
        where norms of backgrounds are taken, are halfway

    All but geom, edges, counts and background are given by name.
    """

    tag = "MapDataset"

    def prepare(self, models: Models, frozen: Sequence[Frozen], name: str = "") -> tuple[MapSpec, Arrays]:
        return prepare_map(self, self.response, models, frozen, name, measured=False)

    def frame(self) -> Arrays:
        background = np.zeros(self.data_shape) if self.background is None else self.background
        return {"background": background, "mask": fitted_bins(self)}

    def to_spectrum_dataset(self, on_region: "Region", containment_correction: bool = False) -> SpectrumDataset:
        """The spectrum of a region of the ``regions`` package; see `regions.region_spectrum_fields`."""
        return SpectrumDataset(**region_spectrum_fields(self, on_region, containment_correction))

    def to_region_map_dataset(self, region: "Region") -> RegionMapDataset:
        """The `RegionMapDataset` of a region of the ``regions`` package; see `regions.region_map_fields`."""
        return RegionMapDataset(**region_map_fields(self, region))

    @classmethod
    def read(cls, filename: Filename | FitsFile) -> "MapDataset":
        """Read a map with known background, as `MapDataset.write` and gammapy write them.

        Counts, background, exposure and reduced responses; what the file lacks is None. Units are converted (energies
        to TeV, exposure to cm2 s, PSF to sr-1); true energies given by centres get edges halfway between, in the scale
        of the axis. The dataset's name, the table of observations and other descriptions are in ``meta``. Raises
        InputError for files that are cut short, for maps that do not fit together, for values that cannot be (NaN,
        negative counts or exposure) unless the safe mask excludes them, and for files of one region. Of a counts cube
        of the Fermi-LAT tools the counts are read.
        """
        with naming(filename):
            return cls(**map_fields_of(filename, measured=False))


class MapDatasetOnOff(MapBase, MeasuredBackground):
    """Counts and off counts in energy bins and pixels: profile likelihood statistic ``wstat``.

    As `MapDataset`, with ``counts_off``, ``acceptance`` and ``acceptance_off`` (numbers, or one per bin and pixel) in
    place of the background; ``alpha`` is acceptance / acceptance_off.
    """

    tag = "MapDatasetOnOff"

    def to_map_dataset(self) -> MapDataset:
        """The `MapDataset` whose known background is alpha times the off counts.

        Bins without an off measurement leave the safe mask. The error of the background is forgotten.
        """
        return MapDataset(**self.known_background_fields())

    def prepare(self, models: Models, frozen: Sequence[Frozen], name: str = "") -> tuple[MapSpec, Arrays]:
        return prepare_map(self, self.response, models, frozen, name, measured=True)

    def frame(self) -> Arrays:
        fields = ("counts", *self.background_fields)
        return {field: getattr(self, field) for field in fields} | {"mask": fitted_bins(self)}

    def to_spectrum_dataset(self, on_region: "Region", containment_correction: bool = False) -> SpectrumDatasetOnOff:
        """The spectrum of a region of the ``regions`` package; see `regions.region_spectrum_fields`."""
        return SpectrumDatasetOnOff(**region_spectrum_fields(self, on_region, containment_correction))

    def to_region_map_dataset(self, region: "Region") -> RegionMapDataset:
        """InputError: on/off datasets of a region have no point spread function."""
        raise InputError(
            f"to_region_map_dataset: found a {type(self).__name__}; there is no on/off dataset of a region with a "
            "point spread function. Use to_spectrum_dataset(region, containment_correction=True)."
        )

    @classmethod
    def read(cls, filename: Filename | FitsFile) -> "MapDatasetOnOff":
        """Read an on/off map; as `MapDataset.read`, with counts_off, acceptance and acceptance_off."""
        with naming(filename):
            return cls(**map_fields_of(filename, measured=True))
