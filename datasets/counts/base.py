"""Fields of all datasets of counts, and what each type of them has to say about its place and its background."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ...kernels.edisp import diagonal_response
from ...kernels.quadrature import bin_centers
from ..arrays import Array, Mask, is_concrete
from ..bins import on_host, require_shape
from ..dataset import Dataset
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import require_models
from ..irf.edisp import EDisp, EDispKernelMap, EDispMap
from ..irf.psf import PSFKernel, PSFMap
from ..irf.stack import Part
from ..meta import Meta
from ..models.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from ..prepared import Models
from ..shown import Facts, number_text, sum_text
from ..sky.axis import SCALES
from ..sky.geom import SkyGeom
from ..statistics.base import Bins, Statistic
from ..statistics.registry import STATISTICS
from ..units import (
    EDGE_TOLERANCE,
    Given,
    edges_tev,
    kernel_numbers,
    nearest_edge,
    number_in,
    to_mask,
    to_unit,
)
from .bins import take_bins, take_exposure
from .given import quadrature_nodes
from .instrument import NOMINAL, Instrument, check_instruments, instrument_of
from .template import template_counts

Counts = Float[Array, "n_reco *pixels"]
CountsMask = Bool[Array, "n_reco *pixels"]

Sum = Callable[[np.ndarray], np.ndarray]

AnyCounts = TypeVar("AnyCounts", bound="CountsBase")


class Expected(NamedTuple):
    """What counts are drawn around: by field, and the sum that is to be finite and not negative."""

    counts: Bins
    counts_off: Bins | None = None


class CountsSums(NamedTuple):
    """What a summary says of a background: the excess and its significance, and columns before and after these."""

    before: dict[str, float]
    excess: float
    sqrt_ts: float
    after: dict[str, float]


class CountsBase(Dataset):
    """What datasets of counts have, of one region or of an image of the sky, with known or measured background.

    Energies are edges in TeV; ``exposure`` is in cm2 s per true-energy bin; counts and masks have one entry per
    reconstructed bin (and pixel). ``edisp=None`` means a perfect detector. ``energy_interp`` is the scale of the
    reconstructed energies ("log", "lin" or "sqrt"), in which the centres of bins are halfway: norms of backgrounds and
    of templates are taken there. Centres of true bins are always logarithmic. Bins that are masked in what is given (a
    masked array or column of counts or of a background) are 0 and not in ``mask_safe``, and so are NaN, infinite and
    negative numbers that the masks exclude. An exposure that cannot enter a bin inside the masks may be such, too.
    """

    energy_edges: Float[Array, " n_reco+1"]
    energy_true_edges: Float[Array, " n_true+1"] = None  # type: ignore[assignment]  # set in __post_init__
    counts: Counts | None = None
    exposure: Float[Array, "n_true *pixels"] | None = eqx.field(default=None, kw_only=True)
    edisp: EDisp | None = eqx.field(default=None, kw_only=True)
    mask_safe: CountsMask | None = eqx.field(default=None, kw_only=True)
    mask_fit: CountsMask | None = eqx.field(default=None, kw_only=True)
    livetime: Float[Array, ""] | float | None = eqx.field(default=None, kw_only=True)
    gti: GTI | None = eqx.field(default=None, kw_only=True)
    meta: Meta = eqx.field(default=None, kw_only=True)  # set in __post_init__
    nodes: int = eqx.field(default=None, static=True, kw_only=True)  # set in __post_init__
    energy_interp: str = eqx.field(default="log", static=True, kw_only=True)

    has_counts = True

    background_fields: ClassVar[tuple[str, ...]]
    """The fields that say what the background is."""
    shown_sums: ClassVar[tuple[str, ...]] = ("counts", "background")
    """The fields whose sums are shown."""
    statistic_needs: ClassVar[tuple[str, ...]] = ()
    """Those that a fit statistic must read."""

    @property
    @abstractmethod
    def background(self) -> Counts | None:
        """Background in the bins of the counts: what is known of it, or was measured."""

    def __post_init__(self) -> None:
        self.energy_edges = edges_tev(self.energy_edges, "energy_edges")
        if self.energy_true_edges is None:
            self.energy_true_edges = self.energy_edges
        else:
            self.energy_true_edges = edges_tev(self.energy_true_edges, "energy_true_edges")
        for name in ("mask_safe", "mask_fit"):
            mask = to_mask(getattr(self, name), name)
            # through the class: a method looked up on a module is a module of its own
            setattr(self, name, None if mask is None else type(self).as_mask(self, mask))
        take_bins(self, "counts")
        take_exposure(self)
        self.livetime = to_unit(np.nan if self.livetime is None else self.livetime, "s", "livetime")
        self.meta = Meta() if self.meta is None else self.meta
        self.nodes = quadrature_nodes(self.nodes, self.energy_true_edges)

    def response_table(self) -> np.ndarray | None:
        """Share of each true energy that is reconstructed in each bin, the largest of all positions, (n_true, n_reco);
        None where the energy dispersion does not say, or is of other axes."""
        edisp = self.edisp
        if isinstance(edisp, EDispMap):
            return None
        table = self.diagonal_matrix() if edisp is None else getattr(edisp, "matrix", getattr(edisp, "values", None))
        if table is None or not is_concrete(table) or np.shape(table)[:2] != (self.n_true, self.n_reco):
            return None
        return np.asarray(table, float).reshape(self.n_true, self.n_reco, -1).max(axis=2)

    # axes

    @property
    def n_reco(self) -> int:
        """Number of reconstructed energy bins."""
        return self.energy_edges.shape[0] - 1

    @property
    def n_true(self) -> int:
        """Number of true energy bins."""
        return self.energy_true_edges.shape[0] - 1

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of counts and masks."""
        return (self.n_reco, *self.pixels)

    @property
    def pixels(self) -> tuple[int, ...]:
        """Shape of an image: (ny, nx), or () for what has none."""
        return ()

    @property
    def energy_centers(self) -> np.ndarray:
        """Centres of the reconstructed bins in their scale, in TeV."""
        return np.asarray(bin_centers(self.energy_edges, self.energy_interp))

    def energy_mask(
        self, energy_min: Given | None = None, energy_max: Given | None = None, round_to_edge: bool = False
    ) -> np.ndarray:
        """Bins wholly inside [energy_min, energy_max] (Quantities or numbers in TeV), of the shape of the counts.

        ``round_to_edge`` moves the two to the nearest edges of bins first, in the scale of the axis.
        """
        low = -np.inf if energy_min is None else number_in(energy_min, "TeV", "energy_min")
        high = np.inf if energy_max is None else number_in(energy_max, "TeV", "energy_max")
        on_host(self.energy_edges, "energy_mask")
        edges = np.asarray(self.energy_edges)
        if round_to_edge:
            low, high = (nearest_edge(energy, edges, self.energy_interp) for energy in (low, high))
        inside = (edges[:-1] >= low * (1 - EDGE_TOLERANCE)) & (edges[1:] <= high * (1 + EDGE_TOLERANCE))
        return np.broadcast_to(inside.reshape(-1, *(1 for _ in self.pixels)), self.data_shape)

    def as_mask(self, mask: Mask | None) -> Mask | None:
        """A mask of the whole dataset from booleans that are given."""
        return mask

    def per_energy(self, values: Array) -> Array:
        """Values (n_reco,) in a shape that broadcasts to the counts."""
        return values.reshape(-1, *(1 for _ in self.pixels))

    def diagonal_matrix(self) -> Float[jax.Array, "n_true n_reco"]:
        """Response of a perfect detector on these axes."""
        return diagonal_response(jnp.asarray(self.energy_true_edges), jnp.asarray(self.energy_edges))

    def safe_bins(self) -> np.ndarray:
        """``mask_safe`` as an array, all True where there is none."""
        return np.ones(self.data_shape, bool) if self.mask_safe is None else np.asarray(self.mask_safe)

    @property
    def facts(self) -> Facts:
        edges, mask = self.energy_edges, self.mask
        values = {name: self.figure(name) for name in self.shown_sums}
        found = {name: "none" if numbers is None else self._sum_shown(numbers) for name, numbers in values.items()}
        known = is_concrete(edges)
        found["energy"] = f"{edges[0]:.6g} to {edges[-1]:.6g} TeV" if known else "traced"
        fitted = "all" if mask is None else sum_text(mask)
        found["bins"] = f"{' x '.join(map(str, self.data_shape))}, {fitted} fitted"
        livetime = number_text(self.livetime)
        found["livetime"] = "unknown" if livetime == "nan" else f"{livetime} s"
        return found | {"statistic": self.stat_type}

    def _sum_shown(self, numbers: Array) -> str:
        """The sum over all bins, and over the safe ones where that is another."""
        whole, safe = sum_text(numbers), self.mask_safe
        if safe is None or not is_concrete(safe) or not is_concrete(numbers):
            return whole
        inside = sum_text(np.asarray(numbers)[np.asarray(safe)])
        return whole if inside == whole else f"{whole} ({inside} in safe bins)"

    def figure(self, name: str) -> Array | None:
        """What a reader sees the sum of: counts, background."""
        found: Array | None = getattr(self, name)
        return found

    # what a type says of its place: a spectrum, a map, a region

    @property
    @abstractmethod
    def psf(self) -> PSFMap | PSFKernel | None:
        """The point spread function; None where there is none, or a perfect one."""

    @abstractmethod
    def source_counts(self, sources: Sequence[SkyModel], instrument: Instrument = NOMINAL) -> Bins:
        """Counts of sky models, of the shape of the counts, with the responses as the ``instrument`` changes them."""

    def instrument(self, models: Models) -> Instrument:
        """What the instrument models among ``models`` do to the responses."""
        check_instruments(models, self.psf, getattr(self, "source_grid", ""), type(self).__name__)
        return instrument_of(models, self.energy_true_edges, self.energy_edges)

    def check_sources(self, sources: Sequence[SkyModel], what: str) -> None:
        """Raise an `InputError` that starts with ``what`` for a source that cannot be predicted here."""

    def norm_on_sky(self, model: FoVBackgroundModel) -> Array:
        """The spatial norm of a background model at the pixel centres: (ny, nx), or (n_reco, ny, nx)."""
        raise InputError(f"Model {model.name!r} has a spatial norm, and the dataset is a spectrum. Remove it.")

    @property
    def sky_geom(self) -> SkyGeom | None:
        """The pixels of a map; None for what has none."""
        return None

    @abstractmethod
    def stacked_response(self, parts: Sequence[Part], union: np.ndarray, geom: SkyGeom | None) -> Mapping[str, object]:
        """The responses of the sum of ``parts`` (the first of which is this dataset) as fields; ``union``: safe bins of
        the sum; ``geom``: its image, if it has one."""

    def require_stackable(self, own_name: str, name: str, other: "CountsBase") -> None:
        """Raise an `InputError` if another dataset of the type cannot be added to this one."""

    def response_mask(self, response: EDispKernelMap | EDispMap | PSFMap, mask: np.ndarray) -> np.ndarray:
        """Where a mask of the bins (n, *pixels) uses the pixels of a response, (n, ny', nx')."""
        return mask[:, None, None]

    def seen_dataset(self, model: SkyModel, instrument: Instrument = NOMINAL) -> "CountsBase":
        """The dataset by which the events of a source are drawn one by one."""
        return self

    def pixel_index(self, vectors: np.ndarray | None) -> tuple[np.ndarray | int, np.ndarray | bool]:
        """Flat index of the pixels in which directions (n, 3) lie, and whether they lie in any."""
        return 0, True

    # what a type says of its background: known or measured

    @property
    def statistic(self) -> Statistic:
        """The fit statistic, by its ``stat_type``."""
        return STATISTICS[self.stat_type]

    @property
    def statistic_data(self) -> Mapping[str, Array]:
        """The arrays that the statistic reads."""
        return {name: getattr(self, name) for name in self.statistic.names}

    def stat_bins(self, prediction: Array) -> Bins:
        """The fit statistic per bin, masks not applied."""
        prediction = kernel_numbers(prediction, "", "prediction")
        stat = self.statistic.stat_bins(self.statistic_data, prediction)
        require_shape(f"{type(self.statistic).__name__}.stat_bins", stat, jnp.shape(prediction))
        return stat

    def deviance_bins(self, prediction: Array) -> Bins:
        """`stat_bins` less a constant of the data, chosen so that the value is 0 for a perfect model."""
        return self.statistic.deviance_bins(self.statistic_data, kernel_numbers(prediction, "", "prediction"))

    def offset_bins(self) -> Bins:
        """`stat_bins` minus `deviance_bins`."""
        return self.statistic.offset_bins(self.statistic_data)

    def scoring_bins(self, prediction: Array) -> tuple[Bins, Bins, Bins]:
        """`deviance_bins`, its slope in the prediction and its expected curvature, per bin."""
        return self.statistic.scoring_bins(self.statistic_data, kernel_numbers(prediction, "", "prediction"))

    @abstractmethod
    def missing_data(self) -> str | None:
        """What is missing of what is compared with predictions ("counts", "off counts"); None if all is there."""

    @abstractmethod
    def npred_background(self, models: Models) -> Bins:
        """Background expected in the bins of the counts, of their shape."""

    @abstractmethod
    def background_of(self, signal: Bins, models: Models) -> Bins:
        """`npred_background` for a signal that is known already."""

    @abstractmethod
    def check_background(self, backgrounds: Sequence[FoVBackgroundModel], mask: Mask, what: str) -> None:
        """Raise an `InputError` where the background, or a model of it, cannot be fitted."""

    @abstractmethod
    def expected(self, models: Models, npred_background: Given | None, what: str) -> Expected:
        """Expectations of all counts."""

    @abstractmethod
    def expected_background(self, models: Models, given: Given | None, what: str) -> Bins | None:
        """Background expected in the bins of the counts; None where there is none. ``given``: for measured ones."""

    @abstractmethod
    def draw(self, key: jax.Array, expected: Expected, poisson: Callable[[jax.Array, Bins], Bins]) -> dict[str, Bins]:
        """Fields of drawn counts."""

    @abstractmethod
    def background_sums(
        self, fields: Mapping[str, np.ndarray], safe: np.ndarray, total: Sum, average: Sum | None
    ) -> dict[str, np.ndarray]:
        """Fields of the background of merged bins; see `sums.bin_sums`."""

    @abstractmethod
    def stacked_background(
        self, parts: Sequence[Part], total: Callable[[str], np.ndarray | None], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray | None]:
        """Fields of the background of the sum of ``parts``; ``total(field)`` is the sum of a field over them."""

    @abstractmethod
    def rise(self, counts: Bins, expected: Bins, signal: Bins, total: Sum | None = None) -> Bins:
        """Rise of the statistic per bin, or sum of bins (``total`` of a field), from a perfect prediction to this."""

    @abstractmethod
    def background_error(self) -> tuple[Array | None, Array]:
        """What the data say of the background without models, per bin, and its variance; None: what is expected."""

    @property
    @abstractmethod
    def has_background(self) -> bool:
        """Whether `npred_background` says anything."""

    @abstractmethod
    def info_sums(
        self, counts: float, background: float, predicted: Mapping[str, float], safe: np.ndarray
    ) -> CountsSums:
        """What a summary says besides the sums over the safe bins; ``predicted`` are those of predictions."""

    # predictions

    def signal(self, models: Models) -> Bins:
        """Counts of the sky models and templates among ``models``."""
        total = self.source_counts([m for m in models if isinstance(m, SkyModel)], self.instrument(models))
        for model in models:
            if isinstance(model, TemplateNPredModel):
                total = total + template_counts(model, self.energy_edges, self.data_shape, self.energy_interp)
        return total

    def npred(self, models: Models | None = None) -> Bins:
        """Signal plus background; without data the background of on/off counts is not known, and left out."""
        models = require_models(models, "npred")
        signal = self.signal(models)
        return signal + self.background_of(signal, models)

    # constructors

    def __check_init__(self) -> None:
        name = type(self).__name__
        kinds: tuple[tuple[str, type], ...] = (("gti", GTI), ("meta", Meta))
        for field, kind in kinds:
            value = getattr(self, field, None)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name}: {field} must be a {kind.__name__}, found {type(value).__name__}.")
        if is_concrete(self.livetime):
            time = np.asarray(self.livetime)
            # NaN: not known
            if time.ndim or time < 0 or np.isinf(time):
                found = f"found {time if time.ndim == 0 else f'an array of shape {time.shape}'}"
                raise InputError(f"{name}: livetime must be one time that is not negative, {found}.")
        if self.energy_interp not in SCALES:
            found = f"found {self.energy_interp!r}, expected one of {', '.join(SCALES)}"
            raise InputError(f"{name}: energy_interp is the scale of the energy axis, {found}.")
        # one that does not read the off counts would leave the background out
        needed, offered = set(self.statistic_needs), {"counts", *self.background_fields}
        fitting = [k for k, s in STATISTICS.items() if needed <= set(s.names) <= offered]
        if self.stat_type not in fitting:
            raise InputError(f"{name}: stat_type is {self.stat_type!r}, expected one of {', '.join(fitting)}.")
        pixels = self.pixels
        reco, true = (self.n_reco, *pixels), (self.n_true, *pixels)
        axes = {1: "one per {} bin", 3: "{} bins, y, x"}[len(reco)]
        fields = ("counts", *self.background_fields, "mask_safe", "mask_fit", "exposure")
        for field in fields:
            value = getattr(self, field)
            if value is None or not is_concrete(value):
                continue
            shape, axis = (true, "true-energy") if field == "exposure" else (reco, "energy")
            if np.shape(value) != shape:
                raise InputError(f"{name}: {field} has shape {np.shape(value)}, expected {shape}, {axes.format(axis)}.")
            array = np.asarray(value)
            if array.dtype == bool:
                continue
            bad = ~np.isfinite(array) | (array < 0)
            if bad.any():
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                where = f"bin {place[0]}" if len(place) == 1 else f"bin (energy, y, x) = {place}"
                raise InputError(
                    f"{name}: {field} must be finite and not negative, found {array[place]} in {where} "
                    f"({int(bad.sum())} bad of {array.size}). Repair the input, or set the bins to 0 and exclude them "
                    "with mask_safe."
                )

    def check_matrix(self, found: tuple[int, ...] | None) -> None:
        """Raise an `InputError` unless an energy dispersion of the shape ``found`` is one of these axes."""
        if found is not None and found != (self.n_true, self.n_reco):
            raise InputError(
                f"{type(self).__name__}: edisp has shape {found}, expected ({self.n_true}, {self.n_reco}): true-energy "
                "bins of the exposure by energy bins of the counts."
            )

    def check_true_energies(self, edisp: EDispMap) -> None:
        """Raise an `InputError` unless migration tables are on the true energies of the exposure."""
        if not (is_concrete(edisp.energy_true_edges) and is_concrete(self.energy_true_edges)):
            return
        own, other = np.asarray(self.energy_true_edges), np.asarray(edisp.energy_true_edges)
        if own.shape != other.shape or not np.allclose(own, other, rtol=1e-5):
            raise InputError(
                f"{type(self).__name__}: the true energies of edisp ({other[0]:.4g} to {other[-1]:.4g} TeV) are not "
                f"those of the exposure ({own[0]:.4g} to {own[-1]:.4g} TeV). Make both on one axis."
            )
