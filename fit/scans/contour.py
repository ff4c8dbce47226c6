"""Confidence contours: where the profile likelihood of two parameters has risen by a given amount."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ...datasets.errors import InputError
from ...datasets.hints.calls import hinted
from ...datasets.units import Given
from ..joint.problem import SomeDatasets
from ..result import FitResult
from .conditional import ConditionalFit, crossing
from .profile import OPEN, REACHED, positive, whole_points

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, eq=False)
class Contour:
    """A closed curve in the plane of two parameters.

    ``x`` and ``y`` (n + 1,) are values of the parameters ``x_name`` and ``y_name`` in ``x_unit`` and ``y_unit``; the
    last point is the first again. At each of them the statistic is ``sigma``^2 above its minimum, except where
    ``at_bound`` (n + 1,) is True: there a bound of one of the parameters comes first. ``best`` are the best values.
    """

    x_name: str
    y_name: str
    x_unit: str
    y_unit: str
    sigma: float
    best: tuple[float, float]
    x: np.ndarray
    y: np.ndarray
    at_bound: np.ndarray
    converged: np.ndarray
    evaluations: int

    def __repr__(self) -> str:
        x, y = (
            f"{name} {np.min(v):.6g} to {np.max(v):.6g} {unit}".rstrip()
            for name, v, unit in ((self.x_name, self.x, self.x_unit), (self.y_name, self.y, self.y_unit))
        )
        return f"Contour({x}, {y}, {len(self.x) - 1} points, {self.sigma:g} sigma)"

    def table(self) -> "Table":
        """An astropy Table with one row per point: x, y, at_bound, converged."""
        from astropy.table import Table

        columns = [u.Quantity(self.x, self.x_unit), u.Quantity(self.y, self.y_unit), self.at_bound, self.converged]
        meta = {"x": self.x_name, "y": self.y_name, "sigma": self.sigma}
        return Table(columns, names=("x", "y", "at_bound", "converged"), meta=meta)


@hinted
def contour(datasets: SomeDatasets, result: FitResult, x: str, y: str, sigma: Given = 1.0, n: int = 20) -> Contour:
    """Where the profile of the parameters ``x`` and ``y`` is ``sigma``^2 above its minimum: ``n`` points and the first.

    All other free parameters are at their best. The points lie on rays from the best, evenly spaced for an elliptical
    contour. As in gammapy ``sigma`` counts along each axis: the extent of the contour is the confidence interval of
    either parameter, and ``sigma=1`` encloses both with 39 % confidence. Names, a lower minimum and input that
    cannot be used are treated as by `confidence_interval`; a contour that does not close raises `InputError`.
    """
    sigma = positive(sigma, "contour")
    n = whole_points(n, 3, "contour")
    fit = ConditionalFit(datasets, result, [x, y], "contour")
    angles = 2 * np.pi * np.arange(n) / n
    ends = [crossing(fit, np.array([np.cos(a), np.sin(a)]), sigma**2) for a in angles]
    if any(end.end == OPEN for end in ends):
        raise InputError(
            f"contour: the curve of {fit.names[0]} and {fit.names[1]} does not close: the statistic does not rise by "
            f"{sigma**2:g} in every direction, however far one goes. Lower sigma, or give the parameters bounds or "
            "priors."
        )
    ends.append(ends[0])
    points = np.array([end.held for end in ends])
    return Contour(
        x_name=fit.names[0],
        y_name=fit.names[1],
        x_unit=fit.units[0],
        y_unit=fit.units[1],
        sigma=sigma,
        best=(float(fit.best.held[0]), float(fit.best.held[1])),
        x=points[:, 0],
        y=points[:, 1],
        at_bound=np.array([end.end != REACHED for end in ends]),
        converged=np.array([end.converged for end in ends]),
        evaluations=fit.evaluations,
    )
