"""Arrays as fields of modules: read-only, concrete or traced, stacked; how fields are read and set past a constructor.

This is the only file that reaches past constructors. Fits of ten thousand runs build and read as many modules, and what
equinox does on each attribute and in each constructor would be most of their time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

Array = jax.Array | np.ndarray
"""Numbers as the package keeps them: NumPy on the host, JAX on a device or inside a transformation."""

NumbersLike = Array | float | Sequence[float]
"""Numbers as users hand them in. Quantities are arrays of NumPy."""

Mask = Bool[Array, "..."]
Numbers = Float[Array, "..."]

Module = TypeVar("Module", bound=eqx.Module)


def for_kernels(value: Array) -> jax.Array:
    """The array itself. Kernels are typed for JAX, and compute with numbers of NumPy as well."""
    return cast(jax.Array, value)


def stack_rows(rows: list[Any]) -> Any:
    """One array of equal ones. On CPUs NumPy does it, without compiling anything."""
    if len(rows) == 1 and isinstance(rows[0], np.ndarray):
        return rows[0][None]
    if any(isinstance(v, jax.core.Tracer) for v in rows):
        return jnp.stack(rows)
    if any(isinstance(v, jax.Array) for v in rows) and jax.default_backend() != "cpu":
        return jnp.stack(rows)
    return np.stack([np.asarray(v) for v in rows])


def ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Quotient, 0 where the denominator is: an off acceptance of 0 stands for alpha = 0."""
    return np.where(lower > 0, upper / np.where(lower > 0, lower, 1.0), 0.0)


def frozen_array(value: Any, dtype: Any = float) -> Any:
    """A read-only numpy copy; JAX arrays and tracers stay such, and arrays that are read-only already pass unchanged.

    Keeping those lets runs that share a response share its memory, which joint fits recognise. Where floating-point
    numbers are asked for, JAX arrays of integers are converted: unsigned ones would wrap around below 0.
    """
    if value is None:
        return value
    if isinstance(value, jax.Array):
        as_it_is = dtype is not float or value.dtype in (np.float64, np.float32)
        return value if as_it_is else value.astype(jnp.result_type(float))
    if isinstance(value, np.ndarray) and not value.flags.writeable and value.base is None and value.dtype == dtype:
        return value
    array = np.array(value, dtype=dtype)
    array.flags.writeable = False
    return array


def is_concrete(value: object) -> bool:
    """Whether a value is a number and not a symbol inside a JAX transformation."""
    return not isinstance(value, jax.core.Tracer)


def is_known(value: object) -> TypeGuard[np.ndarray]:
    """Whether a value is an array of numbers, of NumPy or JAX, which may be looked at."""
    return isinstance(value, np.ndarray) or (isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer))


class PickledTrees:
    """A frozen dataclass whose fields hold structures of pytrees, one or a tuple of them, and that can be pickled.

    JAX pickles structures of lists and dictionaries only; others go as a tree of that structure, of whole numbers.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {name: _with_trees(value) for name, value in self.__dict__.items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update({name: _with_structures(value) for name, value in state.items()})


class _Tree(NamedTuple):
    content: Any


def _with_trees(value: Any) -> Any:
    if isinstance(value, jax.tree_util.PyTreeDef):
        return _Tree(jax.tree_util.tree_unflatten(value, range(value.num_leaves)))
    return tuple(map(_with_trees, value)) if type(value) is tuple else value


def _with_structures(value: Any) -> Any:
    if type(value) is _Tree:
        return jax.tree_util.tree_structure(value.content)
    return tuple(map(_with_structures, value)) if type(value) is tuple else value


def fields_of(module: eqx.Module) -> dict[str, Any]:
    """The fields of a module as they are kept; what fits of thousands of models read.

    Attributes of modules, and `vars` of them, go through a look-up in Python.
    """
    fields: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return fields


def module_with(cls: type[Module], fields: Mapping[str, Any]) -> Module:
    """A module of a class with these fields, past its constructor: nothing is converted and nothing checked.

    For fields that come from a module of the class, so that they have been checked already.
    """
    module = object.__new__(cls)
    object.__getattribute__(module, "__dict__").update(fields)
    return module


def set_fields(new: object, fields: Mapping[str, Any]) -> None:
    """Set fields of an object whose class refuses changes, from its own constructor: nobody else has seen it yet."""
    for name, value in fields.items():
        object.__setattr__(new, name, value)


def differ(a: object, b: object) -> bool:
    """Whether two numbers or arrays are known, and not the same."""
    if a is b or not (is_concrete(a) and is_concrete(b)):
        return False
    return not np.array_equal(np.asarray(a, float), np.asarray(b, float), equal_nan=True)
