"""Simulated counts."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .convert import is_concrete
from .counts_base import CountsBase
from .errors import InputError
from .models import Models
from .npred import Counts, npred, npred_signal
from .statistic import WStatistic


def fake(key: Any, dataset: Counts, models: Any = (), name: str | None = None, *, npred_background: Any = None) -> Any:
    """The dataset with Poisson counts drawn around the prediction of ``models``.

    For on/off data off counts are drawn too, around ``npred_background`` / alpha; ``npred_background`` is the
    background expected in the on region, one number per bin, by default the estimate alpha n_off from the present off
    counts. ``key`` is a JAX random key; the same key gives the same counts. Works under jit and vmap over keys.
    """
    _check_dataset(dataset, "fake")
    if not isinstance(dataset, WStatistic):
        expected = npred(dataset, models, name)
        _check_expected(expected, "fake")
        return _with_counts(dataset, counts=_poisson(key, expected))
    signal, background, off = _on_off_expected(dataset, models, name, npred_background, "fake")
    on_key, off_key = jax.random.split(key)
    return _with_counts(dataset, counts=_poisson(on_key, signal + background), counts_off=_poisson(off_key, off))


def asimov(dataset: Counts, models: Any = (), name: str | None = None, *, npred_background: Any = None) -> Any:
    """The dataset with counts equal to their expectation, as `fake` without the noise."""
    _check_dataset(dataset, "asimov")
    if not isinstance(dataset, WStatistic):
        expected = npred(dataset, models, name)
        _check_expected(expected, "asimov")
        return _with_counts(dataset, counts=expected)
    signal, background, off = _on_off_expected(dataset, models, name, npred_background, "asimov")
    return _with_counts(dataset, counts=signal + background, counts_off=off)


def _check_dataset(dataset: Any, what: str) -> None:
    if not isinstance(dataset, CountsBase):
        raise InputError(f"{what}: found {type(dataset).__name__}, expected one dataset of counts: datasets['name'].")


def _on_off_expected(
    dataset: Any, models: Any, name: str | None, npred_background: Any, what: str
) -> tuple[Any, Any, Any]:
    signal = npred_signal(dataset, Models(models), name)
    background = dataset.background if npred_background is None else npred_background
    if background is None:
        raise InputError(
            f"{what}: an on/off dataset without off counts needs npred_background, the expected background."
        )
    background = jnp.broadcast_to(jnp.asarray(background), signal.shape)
    alpha = jnp.asarray(dataset.alpha)
    off = jnp.where(alpha > 0, background / jnp.where(alpha > 0, alpha, 1.0), 0.0)
    _check_expected(signal + background, what)
    return signal, background, off


def _check_expected(expected: Any, what: str) -> None:
    if is_concrete(expected):
        bad = ~(np.isfinite(expected) & (np.asarray(expected) >= 0))
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{what}: npred must be finite and not negative, found {float(expected[first])} in bin "
                f"{', '.join(map(str, first))}."
            )


def _poisson(key: Any, expected: Any) -> jax.Array:
    # jax.random.poisson counts in int32 by default; large exposures need more
    dtype = jnp.int64 if jax.config.read("jax_enable_x64") else jnp.int32
    return jax.random.poisson(key, expected, dtype=dtype).astype(jnp.result_type(float))


def _with_counts(dataset: Any, **counts: Any) -> Any:
    settled = {k: np.asarray(v, float) if is_concrete(v) else v for k, v in counts.items()}
    return dataset.replace(**settled)
