"""Staging without computing, for the first fit of a kind: its programs can then be traced while others compile."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .footprint import Response, place
from .image_plan import Plan
from .program import Program
from .sky_model import SkyModel

_running: ContextVar[list[Thread] | None] = ContextVar("_running", default=None)


@contextmanager
def rehearsal() -> Iterator[list[Thread]]:
    """Inside, `staged` gives zeros in the places of what it would compute, and has its programs compiled in the
    background: by the threads in the list."""
    threads: list[Thread] = []
    token = _running.set(threads)
    try:
        yield threads
    finally:
        _running.reset(token)


def is_running() -> bool:
    """Whether this is a rehearsal."""
    return _running.get() is not None


def staged(program: Program, sizes: Plan, response: Response, model: SkyModel) -> Any:
    """``program(sizes, response, model)``: a footprint and what comes with it."""
    threads = _running.get()
    if threads is None:
        return program(sizes, response, model)
    shapes = program.shapes(sizes, response, model)
    thread = program.prepare(sizes, response, model)
    if thread is not None:
        threads.append(thread)
    pair = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    # programs depend on where windows are
    _, _, first = place(response.geom, model.spatial, sizes)
    return eqx.tree_at(lambda p: (p[0].x, p[0].y), pair, tuple(np.asarray(c) for c in first))
