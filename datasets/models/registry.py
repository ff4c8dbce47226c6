"""Registries of the parts of models: classes by the tags that name them in files, open to classes of a user's own."""

import inspect
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

from ..errors import InputError
from .component import ModelComponent

Component = TypeVar("Component", bound=type[ModelComponent])


class Registry(dict[str, Component]):
    """Classes derived from ``base`` by their tags: those of the package, and those that `register` adds.

    ``name`` is the function that users call, which messages name.
    """

    def __init__(self, base: type, classes: Collection[Component], name: str) -> None:
        super().__init__({tag: cls for cls in classes for tag in cls.tag})
        self.base, self.name = base, name
        self.built_in: Mapping[str, Component] = dict(self)

    def register(self, cls: Component) -> Component:
        """Let files name the models of a class by its tags; usable as a decorator.

        A class may be registered again, which replaces it, but not in place of one of the package's.
        """
        if not inspect.isclass(cls) or not issubclass(cls, self.base):
            raise InputError(
                f"{self.name}: found {cls!r}, expected a class derived from gammajax.{self.base.__name__}."
            )
        tags = cls.tag
        if not isinstance(tags, tuple) or not tags or not all(map(_is_word, tags)):
            raise InputError(
                f"{self.name}: {cls.__name__} needs the words that stand for it in files, such as "
                f"tag = ({cls.__name__!r},); found {tags!r}."
            )
        if inspect.isabstract(cls):
            raise InputError(f"{self.name}: {cls.__name__} has no {', '.join(sorted(cls.__abstractmethods__))}.")
        taken = [tag for tag in tags if self.built_in.get(tag, cls) is not cls]
        if taken:
            raise InputError(f"{self.name}: the tag {taken[0]!r} is one of the package's. Choose another tag.")
        self.update(dict.fromkeys(tags, cls))
        return cls


def _is_word(tag: object) -> bool:
    return isinstance(tag, str) and re.fullmatch(r"[\w-]+", tag) is not None
