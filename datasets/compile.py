"""Compiling programs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from threading import Thread
from typing import Any

import jax
from jax.experimental import multihost_utils

# XLA's new emitters for fused loops double the compile time of our programs on CPUs without making them faster, and
# LLVM's later levels of optimisation add a tenth to it. Without any the time halves, and programs take twice as long.
# Releases of jaxlib that have not been tried may not know the options, and would refuse to compile.
TRIED_RELEASES = ("0.10.",)

KNOWN = version("jaxlib").startswith(TRIED_RELEASES)

QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1} if KNOWN else None

QUICKEST = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0} if KNOWN else None


def _whole(leaf: Any) -> Any:
    """An array that lies on the devices of several processes as an array of this one; others as they are."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


class Program:
    """A jitted function whose first argument is static, compiled quickly on CPUs.

    Results that lie on the devices of several processes are handed out whole, in each of them.
    """

    def __init__(self, function: Callable[..., Any], options: Any = QUICK):
        self.__doc__ = function.__doc__
        self._plain: Any = jax.jit(function, static_argnums=0)
        self._quick: Any = jax.jit(function, static_argnums=0, compiler_options=options)
        self._prepared: set[Any] = set()

    def __call__(self, *args: Any) -> Any:
        # JAX takes compiler options for outermost programs only
        inside = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        out = (self._quick if jax.default_backend() == "cpu" and not inside else self._plain)(*args)
        return out if inside else jax.tree.map(_whole, out)

    def lower(self, *args: Any) -> None:
        """Trace it for these arguments, so that a call has only to compile."""
        (self._quick if jax.default_backend() == "cpu" else self._plain).lower(*args)

    def shapes(self, *args: Any) -> Any:
        """Shapes and types of what it would return."""
        return (self._quick if jax.default_backend() == "cpu" else self._plain).eval_shape(*args)

    def prepare(self, *args: Any, before: Callable[[], None] | None = None) -> threading.Thread | None:
        """Call it with these arguments in the background, for its compilation, if that has not been asked for before;
        the running thread. ``before`` is called first: two threads that trace hold each other up."""
        leaves, treedef = jax.tree.flatten(args[1:])
        key = (args[0], treedef, tuple((jax.numpy.shape(x), jax.numpy.result_type(x)) for x in leaves))
        if key in self._prepared:
            return None
        self._prepared.add(key)
        if before is not None:
            before()
        # not a daemon: ending the interpreter while XLA compiles is a crash
        thread = threading.Thread(target=self, args=args)
        thread.start()
        return thread

    def count(self) -> int:
        """Number of variants compiled so far in this process."""
        return self._quick._cache_size() + self._plain._cache_size()


_ahead: ContextVar[list[Thread] | None] = ContextVar("_ahead", default=None)


@contextmanager
def tracing_ahead() -> Iterator[list[Thread]]:
    """Inside, datasets are prepared without computing: with zeros in the places of what would be computed.

    The programs that would be run are compiled in the background, by the threads in the list. So the first fit of a
    kind can be traced while these compile.
    """
    threads: list[Thread] = []
    token = _ahead.set(threads)
    try:
        yield threads
    finally:
        _ahead.reset(token)


def ahead_threads() -> list[Thread] | None:
    """The threads of `tracing_ahead`; None outside of it."""
    return _ahead.get()


def is_tracing_ahead() -> bool:
    """Whether this is inside `tracing_ahead`."""
    return _ahead.get() is not None
