"""Joint fits in several processes, each of which holds some of the datasets."""

import dataclasses
import hashlib
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from ...datasets.collection.datasets import Datasets
from ...datasets.dataset import Dataset
from ...datasets.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """What this process has of a joint fit: ``held`` are its datasets by their index among the ``names`` of all.

    A dataset that several processes hold is one dataset.
    """

    names: tuple[str, ...]
    held: dict[int, Dataset]
    processes: int = 1

    @property
    def process(self) -> int:
        """Number of this process."""
        return jax.process_index() if self.processes > 1 else 0

    def collect(self, make: Callable[[], T]) -> list[T]:
        """What ``make()`` returns in each process. An `InputError` in one of them is raised in all."""
        return [make()] if self.processes == 1 else _collect(make)


def share_of(datasets: Datasets, processes: int) -> Share:
    """The share of this process, which holds ``datasets``."""
    if processes == 1:
        return Share(datasets.names, dict(enumerate(datasets)))
    names = tuple(dict.fromkeys(name for names in exchange(datasets.names) for name in names))
    index = {name: i for i, name in enumerate(names)}
    return Share(names, {index[name]: dataset for name, dataset in datasets.items()}, processes)


def exchange(mine: T) -> list[T]:
    """One picklable object from each process, in the order of the processes."""
    sent = np.frombuffer(pickle.dumps(mine), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.array([sent.size], np.int32))).reshape(-1)
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: sent.size] = sent
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def _collect(make: Callable[[], T]) -> list[T]:
    try:
        mine: tuple[T | None, str] = (make(), "")
    except InputError as error:
        mine = (None, str(error))
    present = exchange(mine)
    for process, (_, message) in enumerate(present):
        if message:
            raise InputError(f"In process {process}: {message}")
    return [cast(T, value) for value, _ in present]


def digest(tree: PyTree) -> str:
    """A short text that tells pytrees of one structure apart, by every bit of their leaves."""
    found = hashlib.blake2b(digest_size=16)
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def description(static: object) -> str:
    """A text that tells static values apart in all processes: specs, trees, types, functions, numbers, texts.

    What is equal whatever it holds says so by an attribute ``described``. Other objects are told apart by pickles.

    Raises
    ------
    InputError
        for objects that cannot be pickled: they cannot be compared between processes.
    """
    if static is None or isinstance(static, bool | int | float | complex | str | bytes):
        return repr(static)
    if isinstance(static, type) or inspect.isroutine(static):
        return f"{static.__module__}.{static.__qualname__}"
    if isinstance(static, jax.tree_util.PyTreeDef):
        node = static.node_data()
        inside = ",".join(map(description, static.children()))
        return f"tree({'leaf' if node is None else description(node)};{inside})"
    if isinstance(static, tuple | list):
        return f"{type(static).__qualname__}({','.join(map(description, static))})"
    if isinstance(static, dict):
        return f"dict({','.join(f'{description(k)}:{description(v)}' for k, v in static.items())})"
    if isinstance(static, np.ndarray | np.generic):
        return f"array({digest(static)})"
    name = description(type(static))
    if dataclasses.is_dataclass(static):
        fields = (f"{f.name}={description(getattr(static, f.name))}" for f in dataclasses.fields(static))
        return f"{name}({','.join(fields)})"
    if hasattr(static, "described"):
        return f"{name}({static.described})"
    try:
        return f"{name}({hashlib.blake2b(pickle.dumps(static), digest_size=16).hexdigest()})"
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InputError(
            f"fit: a {name} among the static fields of a dataset or model cannot be compared between processes. Make "
            "it an array, or a frozen dataclass."
        ) from error


def owners(rows: list[int], holders: dict[int, list[int]], processes: int) -> dict[int, int]:
    """The process that each dataset is counted in: of those that hold it the one with the fewest so far."""
    load = [0] * processes
    owner = {}
    for row in rows:
        owner[row] = min(holders[row], key=load.__getitem__)
        load[owner[row]] += 1
    return owner
