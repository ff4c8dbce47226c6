"""Datasets of one region with a point spread function: what of a source the region contains is predicted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from ..bins import on_host
from ..counts.base import CountsBase
from ..counts.dataset import CountsDataset
from ..counts.instrument import NOMINAL, Instrument
from ..counts.known import KnownBackground
from ..dataset import Dataset
from ..errors import InputError
from ..io.fits import FitsFile, naming
from ..io.gadf_write import gadf_map_contents
from ..io.paths import Filename, as_path, write_files
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap, matrix_at
from ..irf.psf import PSFKernel, PSFMap, RecoPSFMap
from ..irf.stack import Part
from ..models.sky_model import SkyModel
from ..models.spatial.moves import has_moved
from ..prepared import Arrays, Frozen, Models
from ..sky.geom import SkyGeom
from ..spectrum.dataset import SpectrumDataset
from ..spectrum.regions import CARRIED, WHAT, with_region
from ..statistics.base import Bins
from .containment import RegionResponse, plan_share
from .files import region_fields
from .geom import RegionGeom
from .npred import contained_share, region_counts
from .prepared import RegionSpec, prepare_region
from .stack import require_same_region, stack_region_responses

if TYPE_CHECKING:
    from regions import Region


class OfRegion(Dataset):
    """A dataset of a region of the sky."""

    region: RegionGeom


class RegionMapDataset(KnownBackground, OfRegion):
    """Counts of one region of the sky with a known background, and a point spread function: statistic ``cash``.

    Sources act by what the region contains of them: the integral over the region of their image, blurred by the PSF.
    So the position and the size of a source matter, inside the region and beside it, and predicted counts are smooth in
    both. Models without a spatial part are contained wholly, as in a `SpectrumDataset`. PSF and energy dispersion are
    those at the source, as on maps. gammapy calls this a MapDataset with a RegionGeom.

    Parameters
    ----------
    region : a region of the ``regions`` package on the sky, with an area; or a `RegionGeom`
    energy_edges : reconstructed energy bin edges, (n_reco + 1,), Quantity or TeV
    energy_true_edges : true energy bin edges, (n_true + 1,); default the same
    counts, background : (n_reco,) numbers; counts may be missing (to simulate)
    exposure : (n_true,), Quantity or cm2 s, the mean over the region
    psf : `PSFMap` or `RecoPSFMap`; None for a perfect one (a source's share is then what lies inside the region)
    edisp : `EDispKernel`, `EDispKernelMap` or `EDispMap`; None for a perfect one
    mask_safe, mask_fit : (n_reco,) bool
    livetime : Quantity or s
    gti, meta : `GTI`, `Meta`
    nodes : quadrature nodes per true bin; default from the widest bin (accuracy 1e-8)
    stat_type : "cash"; "cash_weighted"; or a statistic of counts of your own, see `register_statistic`
    weights : (n_reco,) numbers that are not negative, by which "cash_weighted" multiplies the statistic of each bin
    energy_interp : scale of the reconstructed energies, "log" (default), "lin" or "sqrt", in which the centres of bins,
        where norms of backgrounds are taken, are halfway

    All but region, edges, counts and background are given by name.
    """

    psf: PSFMap | None = eqx.field(default=None, kw_only=True)

    tag = "RegionMapDataset"

    def __post_init__(self) -> None:
        _check_responses(self.psf, self.edisp)
        # what is given may be a region of the ``regions`` package
        region = cast("RegionGeom | Region", self.region)
        given = isinstance(region, RegionGeom)
        self.region = region.fitted(self.psf) if given else RegionGeom.create(region, self.psf)
        super().__post_init__()

    def __check_init__(self) -> None:
        self.check_matrix(_matrix_shape(self.edisp))
        if isinstance(self.edisp, EDispMap):
            self.check_true_energies(self.edisp)

    @property
    def varies(self) -> bool:
        """Whether a response depends on the position."""
        return any(getattr(response, "geom", None) is not None for response in (self.psf, self.edisp))

    @property
    def response(self) -> RegionResponse:
        """What the dataset does to a source."""
        return RegionResponse(
            self.region, self.energy_edges, self.energy_true_edges, self.exposure, self.psf, self.edisp
        )

    def contained_share(self, model: SkyModel) -> Float[jax.Array, " n_energies"]:
        """Share of a `SkyModel` that is reconstructed inside the region, for each true energy, (n_true,).

        For a `RecoPSFMap` for each reconstructed energy, (n_reco,). Pure: jit, vmap and grad work.
        """
        return contained_share(self.response, model)

    def to_spectrum_dataset(self, model: SkyModel | None = None) -> SpectrumDataset:
        """The `SpectrumDataset` with these counts, exposure and energy dispersion; without PSF sources are contained
        wholly. With a `SkyModel` (one source, at its present position and size) the exposure is multiplied by
        `contained_share` of it."""
        return self._as_spectrum(model, NOMINAL)

    def _as_spectrum(self, model: SkyModel | None, instrument: Instrument) -> SpectrumDataset:
        on_host(self, WHAT)
        names = ("counts", "background", "weights", "exposure", "mask_safe", "mask_fit", *CARRIED)
        fields: dict[str, Any] = {name: getattr(self, name) for name in names}
        lattice = self.region.lattice
        vector = np.asarray(lattice.pixel_to_vector(*lattice.middle))
        if model is not None:
            share = np.asarray(contained_share(self.response, model, instrument))
            if isinstance(self.psf, RecoPSFMap):
                raise InputError(
                    f"{WHAT}: the PSF is in reconstructed energy, so that what the region contains is no factor of the "
                    "exposure. Leave the model out, or give the dataset a PSFMap in true energy."
                )
            if self.exposure is not None:
                fields["exposure"] = np.asarray(self.exposure) * share
            if model.spatial is not None and model.spatial.center_vector is not None:
                vector = np.asarray(model.spatial.center_vector)
        if self.edisp is not None:
            matrix = matrix_at(self.edisp, vector, self.energy_true_edges, self.energy_edges)
            fields["edisp"] = EDispKernel(np.asarray(matrix))
        fields["meta"] = with_region(self.meta, lattice, self.region.region)
        return SpectrumDataset(**fields)

    def source_counts(self, sources: Sequence[SkyModel], instrument: Instrument = NOMINAL) -> Bins:
        for model in sources:
            if model.temporal is not None:
                model.check_times(self.gti, type(self).__name__)
        self.require_exposure(sources)
        return region_counts(self.response, sources, self.nodes, self.gti, instrument)

    def check_sources(self, sources: Sequence[SkyModel], what: str) -> None:
        for model in sources:
            if model.spatial is not None:
                plan_share(self.response, model)

    def prepare(self, models: Models, frozen: Sequence[Frozen], name: str = "") -> tuple[RegionSpec, Arrays]:
        return prepare_region(self, self.response, models, frozen)

    def moved(self, before: Models, after: Models) -> bool:
        # the lattice of a region stays where it is, so that sources move freely unless the responses differ on the sky
        return has_moved(before, after, self.region.lattice.pixel_size if self.varies else None)

    def stacked_response(
        self, parts: Sequence[Part], union: np.ndarray, geom: SkyGeom | None
    ) -> dict[str, PSFMap | EDisp | None]:
        return stack_region_responses(parts, union)

    def require_stackable(self, own_name: str, name: str, other: CountsBase) -> None:
        assert isinstance(other, RegionMapDataset)
        require_same_region(own_name, self.region, name, other.region)

    def seen_dataset(self, model: SkyModel, instrument: Instrument = NOMINAL) -> CountsDataset:
        # of the events in a region directions are not drawn, only how many there are
        return self._as_spectrum(model, instrument)

    def pixel_index(self, vectors: np.ndarray | None) -> tuple[np.ndarray | int, np.ndarray | bool]:
        return 0, True if vectors is None else self.region.contains(vectors)

    @classmethod
    def read(cls, filename: Filename | FitsFile) -> "RegionMapDataset":
        """Read gammapy's GADF region form with a PSF.

        The livetime is NaN unless this package wrote the file: the form has no place for it, so it is an extra keyword.
        Raises InputError where the file names no region, or one without an area.
        """
        with naming(filename):
            return cls(**region_fields(filename))

    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        return {path: gadf_map_contents(self, name)}

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write gammapy's GADF region form, one file."""
        path = as_path(filename)
        with naming(path):
            content = self.contents(path, str(self.meta.get("name", "")))
        write_files(content, overwrite)


def _check_responses(psf: object, edisp: object) -> None:
    if isinstance(psf, PSFKernel):
        raise InputError(
            "RegionMapDataset: a PSFKernel is made for the pixels of a map, and a region has none. Give a PSFMap."
        )
    if not isinstance(psf, PSFMap | None):
        raise InputError(f"RegionMapDataset: psf must be a PSFMap or RecoPSFMap, found {type(psf).__name__}.")
    if not isinstance(edisp, EDisp | None):
        raise InputError(
            f"RegionMapDataset: edisp must be an EDispKernel, EDispKernelMap or EDispMap, found {type(edisp).__name__}."
        )


def _matrix_shape(edisp: EDisp | None) -> tuple[int, ...] | None:
    if isinstance(edisp, EDispKernel):
        return np.shape(edisp.matrix)
    return np.shape(edisp.values)[:2] if isinstance(edisp, EDispKernelMap) else None
