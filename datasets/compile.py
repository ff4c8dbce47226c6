"""Compiling programs."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from threading import Thread
from typing import Any, Generic, TypeVar

import jax
from jax.experimental import multihost_utils

from ..kernels.programs import MOST, Memory, Programs
from ..kernels.programs import clear_programs as clear_programs

# What else XLA is told by each release of jaxlib that has been tried; others may not know the options, and would refuse
# to compile. In 0.10 its new emitters for fused loops double the compile time of our programs on CPUs without making
# them faster. From 0.11 on that is no option; programs of 0.12 take up to 1.8 times as long to compile as those of 0.10
# without emitters, and run in 0.6 to 1 of the time.
TRIED: dict[str, dict[str, bool | int]] = {"0.10.": {"xla_cpu_use_fusion_emitters": False}, "0.11.": {}, "0.12.": {}}
RELEASE = next((options for release, options in TRIED.items() if version("jaxlib").startswith(release)), None)

# LLVM's later levels of optimisation add a tenth to the compile time. Without any it is half in 0.10, a third less in
# 0.12, and programs take twice as long.
QUICK = None if RELEASE is None else RELEASE | {"xla_backend_optimization_level": 1}
QUICKEST = None if RELEASE is None else RELEASE | {"xla_backend_optimization_level": 0}


def with_flags(given: str, options: dict[str, bool | int] | None) -> str:
    """A value of ``XLA_FLAGS`` with these options too, as far as they are not in it. XLA reads it when it compiles its
    first program, and aborts on options that it does not know."""
    more = [f"--{name}={str(value).lower()}" for name, value in (options or {}).items() if name not in given]
    return " ".join([given, *more]).strip()


def being_traced(*args: object) -> bool:
    """Whether this is part of the program of somebody else: of a ``jax.jit`` around it, also where nothing in ``args``
    is a symbol of that, or of a transformation of ``args``."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args)):
        return True
    # inside a jit every operation is recorded, of constants too
    return isinstance(jax.lax.full((), 0), jax.core.Tracer)


def _whole(leaf: object) -> object:
    """An array that lies on the devices of several processes as an array of this one; others as they are."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


Result = TypeVar("Result")

OF_A_FIT = 4
"""Variants that programs of whole fits keep, as these are large."""

MOST_PREPARED = 256


class Program(Generic[Result]):
    """A jitted function whose first argument is static, compiled quickly on CPUs.

    Results that lie on the devices of several processes are handed out whole, in each of them. ``most``: variants that
    it keeps, ``static``: places of its static arguments, see `Programs`.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        options: dict[str, bool | int] | None = QUICK,
        most: int = MOST,
        static: tuple[int, ...] = (0,),
    ):
        self.__doc__ = function.__doc__
        self.function = function
        self._plain = Programs(function, static, most)
        self._quick = Programs(function, static, most, options)
        self._prepared: Memory[Hashable, None] = Memory(MOST_PREPARED)

    def __call__(self, *args: object) -> Result:
        # JAX takes compiler options for outermost programs only
        inside = being_traced(args)
        out = (self._quick if jax.default_backend() == "cpu" and not inside else self._plain)(*args)
        return out if inside else jax.tree.map(_whole, out)

    def lower(self, *args: object) -> None:
        """Trace it for these arguments, so that a call has only to compile."""
        self._outermost().lower(*args)

    def compile(self, *args: object) -> None:
        """Compile it for these arguments, if it is not, so that calls in several threads have only to run it."""
        self._outermost().lower(*args).compile()

    def shapes(self, *args: object) -> Any:
        """Shapes and types of what it would return: a tree of `jax.ShapeDtypeStruct`."""
        return self._outermost().eval_shape(*args)

    def prepare(
        self, *args: object, before: Callable[[], None] | None = None, run: bool = True
    ) -> threading.Thread | None:
        """Call it with these arguments in the background, for its compilation, if that has not been asked for before;
        the running thread. ``before`` is called first: two threads that trace hold each other up. Without ``run`` it is
        compiled only: of two programs that sum over devices at a time each may wait for devices that the other has."""
        key = self._plain.key(args)
        if key in self._prepared:
            return None
        self._prepared[key] = None
        if before is not None:
            before()
        # not a daemon: ending the interpreter while XLA compiles is a crash

        def compile_now() -> None:
            try:
                if run:
                    self(*args)
                else:
                    self.compile(*args)
            except Exception:
                # the call that needs the program meets the same error, and reports it
                self._prepared.pop(key, None)

        thread = threading.Thread(target=compile_now)
        thread.start()
        return thread

    def count(self) -> int:
        """Number of variants that are compiled and kept."""
        return self._quick.count() + self._plain.count()

    def clear(self) -> None:
        """Let go of all variants."""
        for part in (self._quick, self._plain, self._prepared):
            part.clear()

    def _outermost(self) -> Programs[Result]:
        return self._quick if jax.default_backend() == "cpu" else self._plain


def quick_programs(
    *static: int, most: int = MOST, options: dict[str, bool | int] | None = QUICK
) -> Callable[[Callable[..., Result]], Program[Result]]:
    """A decorator: the function as a `Program`, with the places of its static arguments."""
    return lambda function: Program(function, options, most, static)


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
