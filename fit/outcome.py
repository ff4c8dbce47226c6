"""Where an optimiser ended."""

from dataclasses import dataclass

import numpy as np

from .objective import Normal


@dataclass(frozen=True)
class Outcome:
    """End point of an optimiser: the free parameters ``free`` (n,), how it got there, the normal equations there.

    ``exact``: those with exact second derivatives, if the optimiser has them.
    """

    free: np.ndarray
    stat: float
    edm: float
    status: str
    iterations: int
    evaluations: int
    method: str
    expected: Normal
    message: str = ""
    exact: Normal | None = None
