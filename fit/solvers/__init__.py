"""Minimisers of a joint likelihood."""

from .minimise import minimise as minimise
from .newton import LEAST as LEAST
from .newton import newton_step as newton_step
from .scoring import initial_state as initial_state
from .scoring import run_scoring as run_scoring
