"""Map datasets: counts in energy bins and pixels of the sky."""

from typing import Any, Literal

import equinox as eqx
import numpy as np

from .convert import edges_tev, is_concrete, to_unit
from .counts_base import CountsBase, as_bins, as_livetime, as_mask, per_bin, quadrature_nodes
from .edisp import EDispKernel
from .edisp_map import EDisp, EDispKernelMap, EDispMap
from .errors import InputError
from .gti import GTI
from .meta import Meta
from .psf import PSFKernel, PSFMap
from .sky_geometry import SkyGeom
from .statistic import CashStatistic, WStatistic

SOURCE_GRIDS = ("exact", "pixel")
PSF = PSFMap | PSFKernel


class MapBase(CountsBase):
    """What maps with known and with measured background share."""

    geom: eqx.AbstractVar[SkyGeom]
    psf: eqx.AbstractVar[PSF | None]
    source_grid: eqx.AbstractVar[str]

    @property
    def pixels(self) -> tuple[int, ...]:
        return self.geom.shape

    @property
    def mask_image(self) -> Any:
        """Pixels with any bin inside the mask, (ny, nx); None where there is no mask."""
        return None if self.mask is None else self.mask.any(axis=0)

    def with_mask_fit(
        self, mask: Any = None, *, energy_min: Any = None, energy_max: Any = None, region: Any = None
    ) -> Any:
        """A copy that fits the bins wholly inside [energy_min, energy_max] and the pixels inside ``region``.

        ``region`` is a sky region of the ``regions`` package, or an image (ny, nx) that is True inside; or give the
        whole ``mask`` (n_reco, ny, nx). ``mask_safe`` goes on applying on top. Without arguments the fit mask goes.
        """
        if mask is not None and (energy_min is not None or energy_max is not None or region is not None):
            raise InputError("with_mask_fit: give either a mask, or an energy range and a region, not both.")
        if energy_min is not None or energy_max is not None or region is not None:
            mask = self.energy_mask(energy_min, energy_max)
            if region is not None:
                inside = region if isinstance(region, np.ndarray) else self.geom.region_mask(region)
                if np.shape(inside) != self.pixels:
                    raise InputError(f"with_mask_fit: region has shape {np.shape(inside)}, expected {self.pixels}.")
                mask = mask & inside
        return self.replace(mask_fit=mask)

    def stack(self, other: Any) -> Any:
        """The sum of this dataset and another of its type, on its pixels or a cutout of them; see `gammajax.stack`."""
        from .stack import stack_onto

        return stack_onto(self, other)

    def cutout(self, position: Any, width: Any, mode: Literal["trim", "strict", "partial"] = "trim") -> Any:
        """A copy of the pixels around a SkyCoord, ``width`` wide (deg, Quantity, or two: x, y); see `reshape_sky`."""
        from .reshape_sky import cutout

        return cutout(self, position, width, mode)

    def pad(self, pad_width: Any) -> Any:
        """A copy with so many more, empty pixels on each side (one number or two: x, y); see `reshape_sky.pad`."""
        from .reshape_sky import pad

        return pad(self, pad_width)

    def to_spectrum_dataset(self, on_region: Any, containment_correction: bool = False) -> Any:
        """The spectrum of a region of the ``regions`` package; see `region_sums.region_spectrum`."""
        from .region_sums import region_spectrum

        return region_spectrum(self, on_region, containment_correction)

    @classmethod
    def create(cls, geom: SkyGeom, energy_edges: Any, energy_true_edges: Any = None, **fields: Any) -> Any:
        """An empty dataset into which runs can be stacked; ``mask_safe`` is False everywhere.

        ``fields``: rad_edges, migra_edges, binsz_irf, reco_psf, geom_psf, geom_edisp, see `create.empty_map`; and
        further arguments of the class.
        """
        from .create import empty_map

        return empty_map(cls, geom, energy_edges, energy_true_edges, **fields)

    def _check_map(self) -> None:
        self._check_common()
        name, n_true, n_reco = type(self).__name__, self.n_true, self.n_reco
        if self.source_grid not in SOURCE_GRIDS:
            raise InputError(f"{name}: source_grid must be 'exact' or 'pixel', found {self.source_grid!r}.")
        if not isinstance(self.psf, PSF | None):
            raise InputError(f"{name}: psf must be a PSFMap, RecoPSFMap or PSFKernel, found {type(self.psf).__name__}.")
        if isinstance(self.psf, PSFKernel) and np.shape(self.psf.values)[0] != n_true:
            raise InputError(
                f"{name}: the PSF kernel has {np.shape(self.psf.values)[0]} planes, expected one for each of the "
                f"{n_true} true-energy bins."
            )
        found = self.matrix_shape
        if found is not None and found != (n_true, n_reco):
            raise InputError(
                f"{name}: edisp has shape {found}, expected ({n_true}, {n_reco}): true-energy bins of the exposure by "
                "energy bins of the counts."
            )

    @property
    def matrix_shape(self) -> tuple[int, int] | None:
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
            if is_concrete(edisp.energy_true_edges) and is_concrete(self.energy_true_edges) and n_true == self.n_true:
                own, other = np.asarray(self.energy_true_edges), np.asarray(edisp.energy_true_edges)
                if not np.allclose(own, other, rtol=1e-5):
                    raise InputError(
                        f"{type(self).__name__}: the true energies of edisp ({other[0]:.4g} to {other[-1]:.4g} TeV) "
                        f"are not those of the exposure ({own[0]:.4g} to {own[-1]:.4g} TeV). Make both on one axis."
                    )
            return n_true, self.n_reco
        raise InputError(
            f"{type(self).__name__}: edisp must be an EDispKernel, EDispKernelMap or EDispMap, "
            f"found {type(edisp).__name__}."
        )


class MapDataset(CashStatistic, MapBase):
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
    """

    geom: SkyGeom
    energy_edges: Any
    energy_true_edges: Any
    counts: Any
    background: Any
    exposure: Any
    psf: PSF | None
    edisp: EDisp | None
    mask_safe: Any
    mask_fit: Any
    livetime: Any
    gti: GTI | None
    meta: Meta
    nodes: int = eqx.field(static=True)
    source_grid: str = eqx.field(static=True)

    tag = "MapDataset"

    def __init__(
        self,
        geom: SkyGeom,
        energy_edges: Any,
        energy_true_edges: Any = None,
        counts: Any = None,
        background: Any = None,
        exposure: Any = None,
        psf: PSF | None = None,
        edisp: EDisp | None = None,
        mask_safe: Any = None,
        mask_fit: Any = None,
        livetime: Any = None,
        gti: GTI | None = None,
        meta: Meta | None = None,
        nodes: int | None = None,
        source_grid: Literal["exact", "pixel"] = "exact",
    ):
        _set_common(self, geom, energy_edges, energy_true_edges, exposure, psf, edisp, livetime, gti, meta, nodes)
        self.counts, self.background = as_bins(counts), as_bins(background)
        self.mask_safe, self.mask_fit = _mask(mask_safe, self), _mask(mask_fit, self)
        self.source_grid = source_grid

    def __check_init__(self):
        self._check_map()

    @property
    def excess(self) -> Any:
        """Counts minus background, before any norm."""
        return self.counts if self.background is None else self.counts - self.background

    def to_region_map_dataset(self, region: Any) -> Any:
        """The `RegionMapDataset` of a region of the ``regions`` package; see `region_sums.region_map`."""
        from .region_sums import region_map

        return region_map(self, region)

    @classmethod
    def read(cls, filename: Any) -> "MapDataset":
        """Read gammapy's GADF form; see `read_map`."""
        from .map_files import read_map

        return read_map(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write gammapy's GADF form, one file (compressed if its name ends in .gz)."""
        from .map_files import write_map

        write_map(self, filename, overwrite)


class MapDatasetOnOff(WStatistic, MapBase):
    """Counts and off counts in energy bins and pixels: profile likelihood statistic ``wstat``.

    As `MapDataset`, with ``counts_off``, ``acceptance`` and ``acceptance_off`` (numbers, or one per bin and pixel) in
    place of the background; ``alpha`` is acceptance / acceptance_off.
    """

    geom: SkyGeom
    energy_edges: Any
    energy_true_edges: Any
    counts: Any
    counts_off: Any
    acceptance: Any
    acceptance_off: Any
    exposure: Any
    psf: PSF | None
    edisp: EDisp | None
    mask_safe: Any
    mask_fit: Any
    livetime: Any
    gti: GTI | None
    meta: Meta
    nodes: int = eqx.field(static=True)
    source_grid: str = eqx.field(static=True)

    tag = "MapDatasetOnOff"

    def __init__(
        self,
        geom: SkyGeom,
        energy_edges: Any,
        energy_true_edges: Any = None,
        counts: Any = None,
        counts_off: Any = None,
        acceptance: Any = 1.0,
        acceptance_off: Any = 1.0,
        exposure: Any = None,
        psf: PSF | None = None,
        edisp: EDisp | None = None,
        mask_safe: Any = None,
        mask_fit: Any = None,
        livetime: Any = None,
        gti: GTI | None = None,
        meta: Meta | None = None,
        nodes: int | None = None,
        source_grid: Literal["exact", "pixel"] = "exact",
    ):
        _set_common(self, geom, energy_edges, energy_true_edges, exposure, psf, edisp, livetime, gti, meta, nodes)
        self.counts, self.counts_off = as_bins(counts), as_bins(counts_off)
        shape = self.data_shape
        self.acceptance, self.acceptance_off = per_bin(acceptance, shape), per_bin(acceptance_off, shape)
        self.mask_safe, self.mask_fit = _mask(mask_safe, self), _mask(mask_fit, self)
        self.source_grid = source_grid

    def __check_init__(self):
        self._check_map()

    @classmethod
    def read(cls, filename: Any) -> "MapDatasetOnOff":
        """Read gammapy's GADF form; see `read_map_on_off`."""
        from .map_files import read_map_on_off

        return read_map_on_off(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write gammapy's GADF form, one file (compressed if its name ends in .gz)."""
        from .map_files import write_map

        write_map(self, filename, overwrite)


def _set_common(
    dataset: Any,
    geom: SkyGeom,
    energy_edges: Any,
    energy_true_edges: Any,
    exposure: Any,
    psf: Any,
    edisp: Any,
    livetime: Any,
    gti: Any,
    meta: Any,
    nodes: Any,
) -> None:
    if not isinstance(geom, SkyGeom):
        raise InputError(
            f"{type(dataset).__name__}: geom must be a SkyGeom, found {type(geom).__name__}. "
            "Make one with SkyGeom.create(...) or SkyGeom.from_wcs(wcs, shape)."
        )
    dataset.geom = geom
    dataset.energy_edges = edges_tev(energy_edges, "energy_edges")
    dataset.energy_true_edges = (
        dataset.energy_edges if energy_true_edges is None else edges_tev(energy_true_edges, "energy_true_edges")
    )
    dataset.exposure = None if exposure is None else to_unit(exposure, "cm2 s", "exposure")
    dataset.psf, dataset.edisp = psf, edisp
    dataset.livetime, dataset.gti, dataset.meta = as_livetime(livetime), gti, meta or Meta()
    dataset.nodes = quadrature_nodes(nodes, dataset.energy_true_edges)


def _mask(value: Any, dataset: MapBase) -> Any:
    """A mask of the whole dataset; an image, or one value per energy, stands for all energies or pixels."""
    if value is None or not is_concrete(value):
        return value
    value = np.asarray(value)
    shapes = {
        dataset.data_shape: value.shape,
        dataset.pixels: (1, *value.shape),
        (dataset.n_reco,): (*value.shape, 1, 1),
    }
    if value.shape != dataset.data_shape and value.shape in shapes:
        value = np.broadcast_to(value.reshape(shapes[value.shape]), dataset.data_shape)
    return as_mask(value)
