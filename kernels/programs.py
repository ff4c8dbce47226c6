"""Compiled programs, and what else is kept from call to call: one door, so that all has a limit and can be let go.

A `Programs` is a ``jax.jit`` that keeps its variants (one for each shape of its arguments) in order of use, and lets go
of those that were not used for longest when there are too many. A call that runs holds its variant, so that nothing is
taken from it. `Memory` is a dictionary and `remembered` a ``functools.lru_cache`` with a limit. `KeptArrays` keeps
results by the content of all that they were made of.
"""

import functools
import hashlib
import inspect
import itertools
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import numpy as np

Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Given = ParamSpec("Given")

MOST = 32
"""Variants that a program keeps unless it says otherwise."""

GROWTH = 8
"""Factor by which a program may keep more than that where variants are asked for again that it had let go of."""

_kept: list[Callable[[], None]] = []


def clear_programs() -> None:
    """Let go of all compiled programs of gammajax, and of what else it keeps from call to call.

    Results do not change; what is called next is traced and compiled anew. Fits that run meanwhile in other threads
    finish. Without it each of the programs of a fit keeps its last few variants, some 10 MB each: one for every number
    of datasets, of bins and kind of model.

    Examples
    --------
    >>> gj.clear_programs()
    """
    for clear in _kept:
        clear()


class Memory(dict[Key, Value]):
    """A dictionary that lets go of its oldest entry when there would be more than ``most``. Made once in a module."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most
        _kept.append(self.clear)

    def __setitem__(self, key: Key, value: Value) -> None:
        while len(self) >= self.most and key not in self:
            try:
                self.pop(next(iter(self)), None)
            except (StopIteration, RuntimeError):  # another thread was at it
                continue
        super().__setitem__(key, value)


def remembered(most: int) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A decorator: the results of a function, whose arguments are hashable, are kept for the last ``most`` of them."""

    def wrap(function: Callable[Given, Result]) -> Callable[Given, Result]:
        keeping = functools.lru_cache(maxsize=most)(function)
        _kept.append(keeping.cache_clear)
        return keeping  # type: ignore[return-value]  # the type of lru_cache forgets the arguments

    return wrap


class KeptArrays:
    """Arrays that are made once and kept while all that they are made of has the same content. Made once in a module.

    Content is compared and not identity: arrays of NumPy can be changed in place. ``most_bytes`` is the limit; what was
    not used for longest goes first.
    """

    def __init__(self, most_bytes: int):
        self.most_bytes = most_bytes
        self._held: dict[Hashable, jax.Array] = {}
        self._lock = threading.Lock()
        _kept.append(self.clear)

    def get(self, static: Hashable, numbers: Sequence[Any], make: Callable[[], jax.Array]) -> jax.Array:
        """What ``make`` returns: a function of ``static`` and the arrays ``numbers``, none of them traced, and of no
        more. It may be called by several threads at a time."""
        key = (static, _settings(), *_content(numbers))
        with self._lock:
            found = self._held.pop(key, None)
            # somebody may have given its memory away
            if found is not None and not found.is_deleted():
                self._held[key] = found
                return found
        made = make()
        with self._lock:
            self._held[key] = made
            while sum(array.nbytes for array in self._held.values()) > self.most_bytes:
                del self._held[next(iter(self._held))]
        return made

    def count(self) -> int:
        """Number of arrays that are kept."""
        return len(self._held)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._held = {}


def _settings() -> Hashable:
    """Settings of JAX that change results, as they are in this thread."""
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_device")
    return (jax.default_backend(), *[str(getattr(jax.config, name)) for name in names])


def _content(numbers: Sequence[Any]) -> tuple[Hashable, bytes]:
    """Where arrays lie, and a digest of their shapes, types and values."""
    digest, lying = hashlib.sha256(), []
    for leaf in numbers:
        if isinstance(leaf, jax.Array):
            lying.append((leaf.sharding, leaf.weak_type))
        array = np.asarray(leaf)
        digest.update(f"{type(leaf).__name__}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return tuple(lying), digest.digest()


class _Variant:
    """A program for arguments of one kind, and when it was used last."""

    def __init__(self, call: Any):
        self.call, self.used = call, 0


class Programs(Generic[Result]):
    """A jitted function that keeps at most ``limit`` variants. Made once in a module.

    ``most``: the limit. It doubles, up to `GROWTH` times, when a variant comes back that it had let go of: then more
    than that are in use. ``static`` and ``options`` are ``static_argnums`` and ``compiler_options`` of ``jax.jit``.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        static: tuple[int, ...] = (),
        most: int = MOST,
        options: dict[str, bool | int] | None = None,
    ):
        functools.update_wrapper(self, function)
        self.function, self.options = function, options
        self.most = self.limit = most
        self._static = static
        self._held: dict[Hashable, _Variant] = {}
        self._gone: dict[int, None] = {}
        self._lock, self._clock = threading.Lock(), itertools.count(1)
        _kept.append(self.clear)

    def __call__(self, *args: object, **kwargs: object) -> Result:
        if kwargs:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        out: Result = self._of(args)(*args)
        return out

    def lower(self, *args: object) -> Any:
        """Trace it for these arguments, so that a call has only to compile: what ``lower`` of ``jax.jit`` returns."""
        return self._of(args).lower(*args)

    def eval_shape(self, *args: object) -> Any:
        """Shapes and types of what it would return: a tree of `jax.ShapeDtypeStruct`."""
        return self._of(args).eval_shape(*args)

    def count(self) -> int:
        """Number of variants that are compiled and kept."""
        return sum(variant.call._cache_size() for variant in list(self._held.values()))

    def clear(self) -> None:
        """Let go of all variants."""
        with self._lock:
            self._held, self._gone, self.limit = {}, {}, self.most

    def key(self, args: tuple[object, ...]) -> Hashable:
        """What tells variants apart: values of static arguments, trees, shapes and types of the others."""
        static = self._static
        leaves, tree = jax.tree.flatten([arg for i, arg in enumerate(args) if i not in static])
        return tuple([args[i] for i in static]), tree, tuple([_kind(leaf) for leaf in leaves])

    def _of(self, args: tuple[object, ...]) -> Any:
        key = self.key(args)
        variant = self._held.get(key)
        if variant is None:
            with self._lock:
                variant = self._held.get(key) or self._new(key)
        variant.used = next(self._clock)
        return variant.call

    def _new(self, key: Hashable) -> _Variant:
        if hash(key) in self._gone:
            self.limit = min(2 * self.limit, GROWTH * self.most)
        while len(self._held) >= self.limit:
            oldest = min(self._held, key=lambda k: self._held[k].used)
            del self._held[oldest]
            if len(self._gone) >= GROWTH * self.most:
                self._gone.pop(next(iter(self._gone)))
            self._gone[hash(oldest)] = None

        # a function of its own: JAX keeps traces for as long as the function lives
        @functools.wraps(self.function)
        def function(*args: object) -> Result:
            return self.function(*args)

        variant = _Variant(jax.jit(function, static_argnums=self._static, compiler_options=self.options))
        # before it is used for the first time it is not the oldest
        variant.used = next(self._clock)
        self._held[key] = variant
        return variant


def programs(*static: int, most: int = MOST) -> Callable[[Callable[..., Result]], Programs[Result]]:
    """A decorator: the function as `Programs`, with the places of its static arguments."""
    return lambda function: Programs(function, static, most)


def _kind(leaf: Any) -> Hashable:
    try:
        return leaf.shape, leaf.dtype
    except AttributeError:
        return (type(leaf),)
