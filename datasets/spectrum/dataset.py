"""Spectrum datasets: counts in energy bins of one region."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...kernels.edisp import fold
from ..arrays import fields_of, is_concrete
from ..counts.create import empty_spectrum
from ..counts.dataset import CountsDataset
from ..counts.instrument import NOMINAL, Instrument
from ..counts.known import KnownBackground
from ..counts.measured import MeasuredBackground
from ..dataset import fitted_of
from ..errors import InputError
from ..io.fits import naming
from ..io.gadf_spectrum import gadf_contents
from ..io.paths import as_path, write_files
from ..irf.edisp import EDispKernel
from ..irf.stack import Part, stack_matrix
from ..models.sky_model import FoVBackgroundModel, SkyModel
from ..prepared import Arrays, Frozen, Models
from ..sky.geom import SkyGeom
from ..statistics.base import Bins
from ..units import Given, as_bins
from .files import fits_ogip, measured_contents, spectrum_fields
from .npred import SpectrumResponse, spectrum_counts
from .prepared import SpectrumSpec, prepare_spectrum


class SpectrumBase(CountsDataset):
    """What spectra with known and with measured background share: one response, no point spread function."""

    edisp: EDispKernel | None = eqx.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.edisp is not None and not isinstance(self.edisp, EDispKernel):
            self.edisp = EDispKernel(self.edisp)
        super().__post_init__()

    def __check_init__(self) -> None:
        if self.edisp is not None and is_concrete(self.edisp.matrix):
            self.check_matrix(np.shape(self.edisp.matrix))

    @property
    def psf(self) -> None:
        """A spectrum has no point spread function: containment is part of its exposure."""
        return None

    def apply_response(self, npred_true: Given, edisp: bool = True) -> Bins:
        """Counts per reconstructed bin from counts per true bin; the perfect response if there is no matrix."""
        matrix = self.diagonal_matrix() if self.edisp is None or not edisp else self.edisp.matrix
        return fold(jnp.asarray(matrix), jnp.asarray(as_bins(npred_true, "npred_true")))

    def source_counts(self, sources: Sequence[SkyModel], instrument: Instrument = NOMINAL) -> Bins:
        self.require_exposure(sources)
        matrix = None if self.edisp is None else self.edisp.matrix
        response = SpectrumResponse(
            self.energy_edges, self.energy_true_edges, self.exposure, matrix, self.nodes, self.gti
        )
        return spectrum_counts(response, sources, instrument)

    def check_sources(self, sources: Sequence[SkyModel], what: str) -> None:
        for model in sources:
            if fields_of(model)["spatial"] is not None:
                model.check_spectrum()

    def fitted_range(self, models: Models) -> tuple[int, int] | None:
        """The bins between the first and the last that are fitted. None with models that know the bins of the dataset,
        and for types of users, which may have more that lies along them."""
        known = type(self) in (SpectrumDataset, SpectrumDatasetOnOff)
        if not known or not all(type(m) in (SkyModel, FoVBackgroundModel) for m in models):
            return None
        used = np.flatnonzero(fitted_of(self))
        return (int(used[0]), int(used[-1]) + 1) if len(used) else None

    def stacked_response(self, parts: Sequence[Part], union: np.ndarray, geom: SkyGeom | None) -> dict[str, Any]:
        return {"edisp": stack_matrix(parts, union)}

    @classmethod
    def create(cls, energy_edges: Any, energy_true_edges: Any = None, **fields: Any) -> Self:
        """An empty dataset into which runs can be stacked; ``mask_safe`` is False everywhere.

        ``fields`` are further arguments of the class; see `create.empty_spectrum`.
        """
        return empty_spectrum(cls, energy_edges, energy_true_edges, **fields)


class SpectrumDataset(SpectrumBase, KnownBackground):
    """Counts of one region with a known background: Poisson statistic ``cash``.

    Parameters
    ----------
    energy_edges : reconstructed energy bin edges, (n_reco + 1,), Quantity or TeV
    energy_true_edges : true energy bin edges, (n_true + 1,); default the same
    counts, background : (n_reco,) numbers; counts may be missing (to simulate)
    exposure : (n_true,), Quantity or cm2 s
    edisp : `EDispKernel` of shape (n_true, n_reco); None for a perfect detector
    mask_safe, mask_fit : (n_reco,) bool
    livetime : Quantity or s
    gti, meta : `GTI`, `Meta`
    nodes : quadrature nodes per true bin; default from the widest bin (accuracy 1e-8)
    stat_type : "cash"; "cash_weighted"; or a statistic of counts of your own, see `register_statistic`
    weights : (n_reco,) numbers that are not negative, by which "cash_weighted" multiplies the statistic of each bin
    energy_interp : scale of the reconstructed energies, "log" (default), "lin" or "sqrt", in which the centres of bins,
        where norms of backgrounds are taken, are halfway

    All but the edges, counts and background are given by name.
    """

    tag = "SpectrumDataset"

    def prepare(self, models: Models, frozen: Sequence[Frozen] = (), name: str = "") -> tuple[SpectrumSpec, Arrays]:
        return prepare_spectrum(self, models, measured=False)

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDataset":
        """Read gammapy's GADF region form, or an OGIP PHA file that names no background; see `SpectrumDatasetOnOff`."""
        with naming(filename):
            return cls(**spectrum_fields(filename, measured=False))

    def write(self, filename: Any, overwrite: bool = False, format: str = "gadf") -> None:
        """Write gammapy's GADF region form, one file; the only one there is for a known background."""
        if format != "gadf":
            raise InputError(
                f"{filename}: the OGIP form is for on/off spectra, not {type(self).__name__}. Use format='gadf'."
            )
        write_files(self.contents(as_path(filename), str(self.meta.get("OBS_ID", ""))), overwrite)

    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        return {path: gadf_contents(self, name)}


class SpectrumDatasetOnOff(SpectrumBase, MeasuredBackground):
    """Counts of an on and an off region: profile likelihood statistic ``wstat``.

    As `SpectrumDataset`, with ``counts_off``, ``acceptance`` and ``acceptance_off`` (numbers or one per bin) in place
    of the background; ``alpha`` is acceptance / acceptance_off.
    """

    tag = "SpectrumDatasetOnOff"

    def to_spectrum_dataset(self) -> SpectrumDataset:
        """The `SpectrumDataset` whose known background is alpha times the off counts.

        Bins without an off measurement leave the safe mask. The error of the background is forgotten.
        """
        return SpectrumDataset(**self.known_background_fields())

    def prepare(self, models: Models, frozen: Sequence[Frozen] = (), name: str = "") -> tuple[SpectrumSpec, Arrays]:
        return prepare_spectrum(self, models, measured=True)

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDatasetOnOff":
        """Read an OGIP PHA file and the files it names; or gammapy's GADF region form.

        ANCRFILE, RESPFILE and BACKFILE are looked for as given and in the folder of the PHA file; 'NONE' or an empty
        name means that there is no such file, a ``.gz`` sibling is accepted. Without BACKFILE there are no off counts:
        the run waits for them, with acceptance_off 0 (`SpectrumDataset.read` reads the same file as data without
        background). Without RESPFILE the energy resolution is perfect, for which the energies of ARF and channels must
        be the same. Exposure is SPECRESP times EXPOSURE (times AREASCAL); acceptance is BACKSCAL AREASCAL, and
        acceptance_off the same of the background times the ratio of the two EXPOSUREs. Bins of QUALITY 0 are safe, all
        others not, and what is in those is read as 0 if it is no number. GROUPING is not applied. Rates are multiplied
        by EXPOSURE. A first energy of 0 is moved up, so that the first bin is as wide as the second in ln E. ``meta``
        has OBS_ID, TELESCOP and INSTRUME, and the region tables as ``region`` and ``region_off``.
        """
        with naming(filename):
            return cls(**spectrum_fields(filename, measured=True))

    def write(self, filename: Any, overwrite: bool = False, format: str = "ogip") -> None:
        """Write NAME.fits and its NAME_arf, NAME_rmf and NAME_bkg (OGIP), see `write_ogip`; or one file, "gadf"."""
        name = str(self.meta.get("OBS_ID", "")) if format == "gadf" else ""
        write_files(measured_contents(self, as_path(filename), name, format), overwrite)

    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        return measured_contents(self, path, name, "ogip" if fits_ogip(self) else "gadf")
