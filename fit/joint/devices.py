"""Where the arrays of a joint fit live: a mesh of devices along the datasets."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ...datasets.errors import InputError

AT_A_TIME, AT_A_TIME_ELSEWHERE = 2**21, 2**28
"""Bytes of the data of maps that processors, and other devices, take at a time. Their images need some 30 times as
much."""


def check_mesh(mesh: Mesh | None) -> Mesh | None:
    """The mesh with its axis left to the compiler.

    Raises
    ------
    InputError
        for what is not a mesh of one axis, and for a mesh whose rows do not fall to the processes in equal, connected
        parts.
    """
    if mesh is None:
        return None
    how = "Make one with jax.sharding.Mesh(jax.devices(), ('datasets',))."
    if not isinstance(mesh, Mesh):
        raise InputError(f"fit: mesh must be a jax.sharding.Mesh, found {type(mesh).__name__}. {how}")
    if len(mesh.axis_names) != 1:
        raise InputError(
            f"fit: the mesh must have one axis, along which the datasets lie; found {mesh.axis_names}. {how}"
        )
    of_process = [d.process_index for d in mesh.devices.flat]
    present = sorted(set(of_process))
    if len(present) > 1 and (
        present != list(range(jax.process_count())) or of_process != list(np.repeat(present, mesh.size // len(present)))
    ):
        raise InputError(
            "fit: a mesh of several processes must hold all of them, in order, with as many devices of each; found "
            f"devices of the processes {of_process}. {how}"
        )
    return Mesh(mesh.devices, mesh.axis_names)


def n_processors() -> int:
    """CPU devices that fits of this process may use beside each other: one where JAX runs on other devices, and where
    there are several processes."""
    return jax.local_device_count() if jax.default_backend() == "cpu" and jax.process_count() == 1 else 1


def processors(n: int) -> Mesh | None:
    """The mesh over which ``n`` maps are spread where nobody gave one: as many processors as shorten the longest row of
    maps, or None if one will do."""
    needed = -(-n // -(-n // n_processors())) if n else 0
    return Mesh(np.array(jax.local_devices()[:needed]), ("datasets",)) if needed > 1 else None


def n_processes(mesh: Mesh | None) -> int:
    """Number of processes that a fit on this mesh runs in."""
    return 1 if mesh is None else len({d.process_index for d in mesh.devices.flat})


def rows_per_device(n: int, batch: int | None) -> tuple[int, int]:
    """Rows for ``n`` datasets on a device, and how many of them at a time (0: all).

    Batches have one size, of ``batch`` at most; there is less than one row of padding a batch.
    """
    if batch is None or batch >= n:
        return n, 0
    n_batches = -(-n // batch)
    size = -(-n // n_batches)
    return n_batches * size, size


def rows_at_a_time(arrays: dict[str, PyTree], mesh: Mesh | None) -> int:
    """How many maps a device takes at a time by default, from the ``arrays`` of one: images that stay in the cache of a
    processor take less time, and those of hundreds of maps would fill the memory of any device."""
    size = sum(np.size(leaf) * np.dtype(jax.numpy.result_type(leaf)).itemsize for leaf in jax.tree.leaves(arrays))
    platform = jax.default_backend() if mesh is None else mesh.devices.flat[0].platform
    return max(1, (AT_A_TIME if platform == "cpu" else AT_A_TIME_ELSEWHERE) // size)


def placed_rows(mesh: Mesh, rows: Array) -> jax.Array:
    """An array with one row a dataset, each row on its device; ``rows`` are those of this process."""
    sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
    if n_processes(mesh) == 1:
        return jax.device_put(rows, sharding)
    rows = np.asarray(rows)
    return jax.make_array_from_process_local_data(sharding, rows, (rows.shape[0] * n_processes(mesh), *rows.shape[1:]))


def placed_everywhere(mesh: Mesh, array: Array) -> jax.Array:
    """A copy of an array on every device; every process has the same."""
    sharding = NamedSharding(mesh, PartitionSpec())
    if n_processes(mesh) == 1:
        return jax.device_put(array, sharding)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
