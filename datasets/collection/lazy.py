"""Datasets that are read when they are first asked for."""

from collections.abc import Callable

from ..dataset import Dataset


class LazyDataset:
    """Stands for a dataset inside `Datasets` until it is needed; the container hands out what ``load`` returns.

    A dataset is read once and kept. To JAX this is one leaf that is no array: pass ``datasets.load()`` to your own
    transformed functions. (As a pytree node that reads its file when it is flattened it would be read too early:
    equinox flattens a module whenever one of its methods is looked up.)
    """

    __slots__ = ("_dataset", "_read", "name", "tag")

    def __init__(self, name: str, tag: str, read: Callable[[], Dataset]):
        self.name, self.tag, self._read = name, tag, read
        self._dataset: Dataset | None = None

    def load(self) -> Dataset:
        """The dataset. Raises InputError where its file cannot be read."""
        if self._dataset is None:
            self._dataset = self._read()
        return self._dataset

    @property
    def is_loaded(self) -> bool:
        return self._dataset is not None

    def __repr__(self) -> str:
        return f"{self.tag} (not read yet)" if self._dataset is None else repr(self._dataset)
