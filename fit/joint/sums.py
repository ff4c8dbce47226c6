"""Sums over the members of a group: a few at a time, and on many devices."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import PyTree

from .groups import BY_MEMBER, GroupSpec


def over_members(
    function: Callable[..., PyTree],
    summed: PyTree,
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    shared: PyTree,
    own: PyTree,
) -> PyTree:
    """``function(spec, arrays, shared, own)`` of a group from those of parts of its members.

    ``summed`` is a pytree like its result: True for leaves that are sums over members, False for those with one row a
    member. With ``spec.mesh`` every device takes its own rows, and only the sums leave it; with ``spec.batch`` it takes
    so many at a time.

    What the function needs besides its result is then there for ``batch`` members of each device, not for all. In
    reverse mode it is computed again rather than kept.
    """
    batched = {k: arrays[k] for k in BY_MEMBER}
    common = {k: v for k, v in arrays.items() if k not in BY_MEMBER}
    if spec.mesh is None:
        return _in_batches(function, summed, spec, batched, common, shared, own)
    (axis,) = spec.mesh.axis_names
    rows, everywhere = PartitionSpec(axis), PartitionSpec()
    of_device = replace(spec, n_members=spec.n_members // spec.mesh.size, mesh=None)

    def on_device(batched, common, shared, own):
        part = _in_batches(function, summed, of_device, batched, common, shared, own)
        return jax.tree.map(lambda is_sum, x: jax.lax.psum(x, axis) if is_sum else x, summed, part)

    return jax.shard_map(
        on_device,
        mesh=spec.mesh,
        in_specs=(rows, everywhere, everywhere, rows),
        out_specs=jax.tree.map(lambda is_sum: everywhere if is_sum else rows, summed),
        check_vma=False,
    )(batched, common, shared, own)


def _in_batches(
    function: Callable[..., PyTree],
    summed: PyTree,
    spec: GroupSpec,
    batched: dict[str, PyTree],
    common: dict[str, PyTree],
    shared: PyTree,
    own: PyTree,
) -> PyTree:
    n, size = spec.n_members, spec.batch
    if not size or size >= n:
        return function(spec, common | batched, shared, own)
    of_batch = replace(spec, n_members=size, batch=0)

    @jax.checkpoint
    def one(part):
        batched, own = part
        return function(of_batch, common | batched, shared, own)

    split = jax.tree.map(lambda x: jnp.reshape(x, (n // size, size, *jnp.shape(x)[1:])), (batched, own))
    parts = jax.lax.map(one, split)
    return jax.tree.map(lambda is_sum, x: jnp.sum(x, axis=0) if is_sum else x.reshape(n, *x.shape[2:]), summed, parts)
