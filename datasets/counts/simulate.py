"""Simulated counts."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ..arrays import is_concrete
from ..errors import InputError
from ..hints.calls import hinted
from ..statistics.base import Bins
from ..units import Given
from .base import Expected
from .dataset import CountsDataset, require_counts
from .npred import SomeModels, acting

AnyDataset = TypeVar("AnyDataset", bound=CountsDataset)

POISSON = "threefry2x32"
"""The kind of keys that JAX draws Poisson numbers from; of others one of this kind is drawn first."""

MOST = 2.0**53
"""Largest number of counts in a bin: all whole numbers up to it are exact."""


@hinted
def fake(
    key: jax.Array,
    dataset: AnyDataset,
    models: SomeModels = (),
    name: str | None = None,
    *,
    npred_background: Given | None = None,
) -> AnyDataset:
    """The dataset with Poisson counts drawn around the prediction of ``models``.

    For on/off data off counts are drawn too, around ``npred_background`` / alpha; ``npred_background`` is the
    background expected in the on region, one number per bin, by default the estimate alpha n_off from the present off
    counts. ``key`` is a JAX random key; the same key gives the same counts. Works under jit and vmap over keys.
    """
    require_key(key, "fake")
    expected = expected_counts(dataset, models, name, npred_background, "fake")
    return _with_counts(dataset, dataset.draw(key, expected, _poisson))


@hinted
def asimov(
    dataset: AnyDataset, models: SomeModels = (), name: str | None = None, *, npred_background: Given | None = None
) -> AnyDataset:
    """The dataset with counts equal to their expectation, as `fake` without the noise."""
    expected = expected_counts(dataset, models, name, npred_background, "asimov")
    return _with_counts(dataset, {k: v for k, v in expected._asdict().items() if v is not None})


def expected_counts(
    dataset: CountsDataset, models: SomeModels, name: str | None, npred_background: Given | None, what: str
) -> Expected:
    """What counts of the dataset are drawn around; ``what`` begins messages."""
    require_counts(dataset, what)
    expected = dataset.expected(acting(models, name), npred_background, what)
    for field, shown in (("counts_off", "the expected counts_off"), ("counts", "npred")):
        bins = getattr(expected, field)
        if bins is None or not is_concrete(bins):
            continue
        counts = np.asarray(bins)
        # whole numbers end there in float64
        bad = ~((counts >= 0) & (counts <= MOST))
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            huge = f": numbers of counts end at {MOST:.0e}" if MOST < counts[first] < np.inf else ""
            raise InputError(
                f"{what}: {shown} must be finite and not negative, found {float(counts[first])} in bin "
                f"{', '.join(map(str, first))}{huge}."
            )
    return expected


def require_key(key: object, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for what is no random key of JAX, or several of them."""
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if not (typed and shape == ()) and not (dtype == np.uint32 and shape == _raw_shape()):
        shown = str(key)[:60] if shape in (None, ()) else f"{shape} of {dtype}"
        raise InputError(f"{what}: found {shown} as key, expected jax.random.key(seed). Of many: jax.vmap over them.")


def _raw_shape() -> tuple[int, ...]:
    """Shape of the keys that are no arrays of keys but of their words."""
    return jax.eval_shape(lambda: jax.random.PRNGKey(0)).shape


def _poisson(key: jax.Array, expected: Bins) -> Bins:
    if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if str(jax.random.key_impl(key)) != POISSON:
        key = jax.random.wrap_key_data(jax.random.bits(key, (2,), jnp.uint32), impl=POISSON)
    # jax.random.poisson counts in int32 by default; large exposures need more
    dtype = jnp.int64 if jax.config.read("jax_enable_x64") else jnp.int32
    return jax.random.poisson(key, expected, dtype=dtype).astype(jnp.result_type(float))


def _with_counts(dataset: AnyDataset, counts: dict[str, Bins]) -> AnyDataset:
    settled = {k: np.asarray(v, float) if is_concrete(v) else v for k, v in counts.items()}
    return dataset.replace(**settled)
