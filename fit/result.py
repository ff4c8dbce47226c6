"""What a fit returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.hints.calls import hinted
from ..datasets.hints.modules import Hinted
from ..datasets.io.paths import write_files
from ..datasets.models.collection import Models
from ..datasets.models.parameters import Parameters, parameter_html
from .covariance import Curvature
from .result_files import result_contents
from .result_read import result_fields
from .simpler import simpler
from .spectra import FittedSpectrum, dense_covariance, source_name
from .status import Status

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class Minima:
    """What several starts of a fit led to.

    ``stats``: the statistic of each distinct minimum (ends within 0.001 of each other are one), in rising order;
    ``counts``: how many starts ended there.
    """

    stats: tuple[float, ...]
    counts: tuple[int, ...]

    def moved(self, by: float) -> "Minima":
        """The same with another zero of the statistic: responses were looked up again at the place of the source."""
        return Minima(tuple(s + by for s in self.stats), self.counts)


@dataclass(frozen=True, eq=False)
class FitResult(Hinted):
    """Best fit with errors.

    ``models`` carry the best-fit values and errors; ``stat`` is the statistic summed over all datasets, with priors;
    ``status`` is a `Status`, which may be compared with its word: "converged" (and only that is ``success``),
    "unconstrained" (a lowest statistic that the parameters ``degenerate`` share), "vanished" (a component has no effect
    left), "at_infinity" (a parameter has no best value), "flat" (the statistic falls on, too slowly to matter),
    "stalled", "max_iterations" or "stopped".
    ``message`` says what that means here and, if something is wrong, the cure. ``edm`` is the estimated distance to the
    minimum in units of the statistic. ``starts`` is what several starts led to. ``data_checksum`` tells the data apart
    (counts, off counts and masks): two results have the same data where it is the same. ``energy_ranges`` are the
    lowest and the highest energy (TeV) of the fitted bins by dataset, of those that have any; see `energy_range`.
    """

    models: Models
    stat: float
    status: Status
    message: str
    iterations: int
    evaluations: int
    edm: float
    method: str
    free_names: tuple[str, ...]
    n_bins: int
    datasets_names: tuple[str, ...]
    curvature: Curvature
    starts: Minima | None = None
    data_checksum: str = ""
    energy_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        return self.status == Status.CONVERGED

    @property
    def parameters(self) -> Parameters:
        return self.models.parameters

    @property
    def ndf(self) -> int:
        """Fitted bins minus free parameters."""
        return self.n_bins - len(self.free_names)

    @property
    def degenerate(self) -> list[str]:
        """Directions that the data do not constrain, by the names of their parameters."""
        return self.curvature.degenerate

    @property
    def at_bound(self) -> list[str]:
        """Parameters that ended at a bound; where the statistic still falls there, their error is NaN."""
        return self.curvature.at_bound

    @property
    def hints(self) -> list[str]:
        """What else a reader should know, in sentences; of fits that converged.

        They name parameters that are within two errors of having no effect, such as a cutoff consistent with none.
        """
        return simpler(self.models, self.free_names) if self.success else []

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the free parameters in the order of ``free_names``, in their units, shape (n, n)."""
        return dense_covariance(self.curvature, self.free_names)

    def spectrum(self, name: str | None = None) -> FittedSpectrum:
        """The spectrum of the source ``name`` (not needed if there is one only) with its errors."""
        source = source_name(self.models, name)
        return FittedSpectrum(source, self.models, self.datasets_names, self.free_names, self.curvature)

    def energy_range(self, name: str | None = None) -> tuple[float, float] | None:
        """Lowest and highest energy (TeV) that took part in the fit, of the datasets that the source ``name`` acts on.

        Without a name those of all datasets. Beyond them a fitted spectrum is an extrapolation. None where no energies
        are known, as of a result that an earlier version wrote.
        """
        acting = None if name is None else self.models[source_name(self.models, name)]
        known = [ends for own, ends in self.energy_ranges.items() if acting is None or acting.acts_on(own)]
        return (min(low for low, _ in known), max(high for _, high in known)) if known else None

    @property
    def correlation(self) -> np.ndarray:
        """Correlation matrix of the free parameters; 0 for parameters without an error."""
        covariance = self.covariance
        sigma = np.sqrt(np.diag(covariance))
        sigma = np.where(np.isfinite(sigma), sigma, 0.0)
        covariance = np.where(np.isfinite(covariance), covariance, 0.0)
        safe = np.where(sigma > 0, sigma, 1.0)
        return np.where(np.outer(sigma, sigma) > 0, covariance / np.outer(safe, safe), 0.0)

    def table(self) -> "Table":
        """An astropy Table of all parameters: name, value, error, unit, min, max, frozen, link, prior."""
        table = self.parameters.to_table()
        table.meta.update(self.summary())
        return table

    def summary(self) -> dict[str, Any]:
        """Figures of the fit as plain numbers and strings."""
        return {
            "stat": float(self.stat),
            "n_bins": int(self.n_bins),
            "n_free": len(self.free_names),
            "ndf": int(self.ndf),
            "status": str(self.status),
            "success": bool(self.success),
            "message": self.message,
            "iterations": int(self.iterations),
            "evaluations": int(self.evaluations),
            "edm": float(self.edm),
            "method": self.method,
            "degenerate": list(self.degenerate),
            "at_bound": list(self.at_bound),
            "minima": [float(s) for s in (self.starts.stats if self.starts else ())],
            "minima_counts": [int(c) for c in (self.starts.counts if self.starts else ())],
            "datasets": list(self.datasets_names),
            "data_checksum": self.data_checksum,
            "energy_ranges": {name: [float(low), float(high)] for name, (low, high) in self.energy_ranges.items()},
        }

    @classmethod
    def read(cls, filename: Any) -> "FitResult":
        """Read the YAML form that `write` makes: models, figures of the fit, and the covariance beside it.

        Scans and errors of spectra go on from it as from the result of the fit. The covariance is NaN where the file
        has none (directions that the data do not constrain), but for its diagonal.

        Raises
        ------
        InputError
            for other files, and for fits of models of your own with free arrays, which YAML does not hold
        """
        fields = result_fields(filename)
        minima = Minima(fields.pop("minima"), fields.pop("minima_counts"))
        return cls(**fields, starts=minima if minima.stats else None)

    @hinted
    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write the result; the ending chooses the form.

        ``.yaml``: models as gammapy reads them, with the figures of the fit and the covariance beside them;
        ``.ecsv``: the parameter table; ``.fits``: parameter table and covariance as two HDUs.
        """
        write_files(result_contents(self, filename), overwrite=overwrite)

    def __repr__(self) -> str:
        lines = [
            f"FitResult: {self.status}, stat = {self.stat:.4f}, {self.n_bins} bins, "
            f"{len(self.free_names)} free parameters, {self.iterations} iterations, edm = {self.edm:.2g}",
        ]
        if not self.success or self.curvature.at_bound:
            lines.append(f"  {self.message}")
        parameters = self.parameters
        for name in self.free_names[:20]:
            if name in parameters.names:
                p = parameters[name]
                lines.append(f"  {name} = {float(p.value):.6g} +- {float(p.error):.3g} {p.unit}".rstrip())
        if len(self.free_names) > 20:
            lines.append(f"  ... {len(self.free_names) - 20} more")
        lines += [f"  {hint}" for hint in self.hints[:3]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        status = f"{self.status}, stat = {self.stat:.4f}, {self.n_bins} bins, {len(self.free_names)} free parameters"
        return parameter_html(self.parameters, status)
