"""Where an optimiser ended."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """End point of an optimiser: the free parameters ``free`` (n,) and how it got there."""

    free: np.ndarray
    stat: float
    edm: float
    status: str
    iterations: int
    evaluations: int
    method: str
    message: str = ""
