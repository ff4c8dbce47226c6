"""Classes that answer gammapy's habits with what to write here: names, assignments and arguments that they lack.

Nothing of this runs for attributes and arguments that exist.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import equinox as eqx

from ...kernels.programs import remembered
from ..errors import InputError, closest
from .arguments import ARGUMENTS, ASSIGNMENTS
from .attributes import ATTRIBUTES
from .calls import NoSuchArgument, hinted, wrong_call
from .names import NAMES, OBJECTS
from .phrases import MODELS_GIVEN, Habits
from .switches import Switches, check_switches, switches_of

Given = TypeVar("Given")


class NoSuchAttribute(InputError, AttributeError):
    """An attribute that is not there, as `AttributeError`; the message says what to write."""


class ReadOnlyAttribute(InputError, dataclasses.FrozenInstanceError):
    """An attribute that cannot be set, as `dataclasses.FrozenInstanceError`; the message says what to write."""


def habit(table: Mapping[str, Habits], cls: type, name: str) -> str | None:
    """What to write for ``name``, by the first class among the bases of ``cls`` that says so."""
    for base in cls.__mro__:
        found = table.get(base.__name__, {}).get(name)
        if found is not None:
            return found
    return None


def sentence(hint: str) -> str:
    """What to write, as the last sentence of a message."""
    return f"Here: {hint}{'' if hint.endswith('...') else '.'}"


def no_attribute(cls: type, name: str) -> AttributeError:
    """The error for an attribute that ``cls`` or one of its objects lacks."""
    message = f"{cls.__name__} has no attribute {name!r}"
    # JAX, NumPy and notebooks ask for names with underscores all the time
    hint = None if name.startswith("_") else habit(ATTRIBUTES, cls, name)
    if hint is None:
        return AttributeError(message, name=name)
    return NoSuchAttribute(f"{message}. {sentence(hint)}")


def no_name(name: str) -> AttributeError:
    """The error for a name that the package lacks."""
    message = f"module 'gammajax' has no attribute {name!r}"
    hint = NAMES.get(name)
    return AttributeError(message, name=name) if hint is None else NoSuchAttribute(f"{message}. {sentence(hint)}")


class Hinted:
    """Base of classes without equinox; see `HintedModule`."""

    # type checkers know which attributes there are
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("__") and any(name in vars(base) for base in type(self).__mro__):
                # a property that failed with an AttributeError of its own: that error is the one to see
                return super().__getattribute__(name)
            raise no_attribute(type(self), name)


if TYPE_CHECKING:

    class HintedModule(Hinted, eqx.Module):
        """Base of the public modules."""

else:

    class HintedType(type(eqx.Module)):
        """Class of the classes derived from `HintedModule`: answers for class attributes and keyword arguments."""

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                known = _arguments(cls)
                if known is not None and not kwargs.keys() <= known:
                    raise no_argument(cls, next(name for name in kwargs if name not in known), known)
            for given in (*args, *kwargs.values()):
                refuse_foreign(given, cls.__name__)
            check_switches(_switches(cls), cls.__name__, args, kwargs)
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                wrong = None if isinstance(error, InputError) else wrong_call(cls, args, kwargs, cls.__name__)
                if wrong is None:
                    raise
                raise wrong from None

        def __getattr__(cls, name: str) -> Any:
            raise no_attribute(cls, name)

    class HintedModule(Hinted, eqx.Module, metaclass=HintedType):
        """Base of the public modules."""

        def __init_subclass__(cls, **keywords: Any) -> None:
            super().__init_subclass__(**keywords)
            for name, content in tuple(vars(cls).items()):
                if name.startswith("_") and name != "__call__":
                    continue
                if inspect.isfunction(content):
                    setattr(cls, name, hinted(content))
                elif isinstance(content, classmethod):
                    setattr(cls, name, classmethod(hinted(content.__func__)))

        def __setattr__(self, name: str, value: Any) -> None:
            try:
                super().__setattr__(name, value)
            except dataclasses.FrozenInstanceError:
                raise _read_only(self, name) from None

        def __delattr__(self, name: str) -> None:
            raise _read_only(self, name)


def _read_only(module: eqx.Module, name: str) -> ReadOnlyAttribute:
    cls = type(module)
    hint = habit(ASSIGNMENTS, cls, name) or habit(ATTRIBUTES, cls, name)
    if hint is None:
        known = {f.name for f in dataclasses.fields(cls)} | set(getattr(module, "parameters", ()))
        replaced = name in known and hasattr(cls, "replace")
        hint = f"new = old.replace({name}=...)" if replaced else "make a new object"
    return ReadOnlyAttribute(f"{cls.__name__} is immutable: {name!r} cannot be set. {sentence(hint)}")


@remembered(1024)
def _arguments(cls: type) -> frozenset[str] | None:
    """Names of the keyword arguments of the constructor; None if it takes any."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY)


@remembered(1024)
def _switches(cls: type) -> Switches:
    """Arguments of the constructor that are switches."""
    return switches_of(cls)


def no_argument(cls: type, name: str, known: frozenset[str]) -> NoSuchArgument:
    """The error for a keyword argument that the constructor of ``cls`` lacks."""
    hint = habit(ARGUMENTS, cls, name)
    says = sentence(hint) if hint is not None else closest(name, sorted(known), "arguments")
    return NoSuchArgument(f"{cls.__name__} has no argument {name!r}. {says}")


def is_foreign(given: object) -> bool:
    """Whether an object is one of gammapy."""
    return type(given).__module__.startswith("gammapy.")


def found(given: object) -> str:
    """What was given, in a word for a message, and what to do if it is an object of gammapy."""
    name = type(given).__name__
    if not is_foreign(given):
        return name
    instead = next((OBJECTS[base.__name__] for base in type(given).__mro__ if base.__name__ in OBJECTS), None)
    return f"a {name} of gammapy (take {instead or 'gj.from_gammapy(...) of it'})"


def require_models(models: Given | None, what: str) -> Given:
    """The models; an `InputError` that starts with ``what`` where none are given, as gammapy's datasets hold them."""
    if models is None:
        raise InputError(f"{what}: {MODELS_GIVEN}.")
    return models


def refuse_foreign(given: object, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for an object of gammapy, also in a list or mapping of them."""
    inner = given
    if type(given) in (list, tuple) and given:
        inner = given[0]  # type: ignore[index]
    elif type(given) is dict and given:
        inner = next(iter(given.values()))
    if is_foreign(inner):
        raise InputError(f"{what}: found {found(inner)}, expected what gammajax makes.")
