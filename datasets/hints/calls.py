"""Calls with arguments that a function does not have, and switches that are neither True nor False: the error says
which there are, and what to write."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import InputError, closest
from .arguments import CALLS
from .switches import check_switches, switches_of

Function = TypeVar("Function", bound=Callable[..., Any])


class NoSuchArgument(InputError, TypeError):
    """Arguments that a function does not have, or lacks, as `TypeError`; the message says what to write."""


def hinted(function: Function) -> Function:
    """The function, whose wrong calls end in an `InputError` that shows the right one. Right calls are as they were.

    Arguments that are declared as ``bool`` are True or False then: "no" is no switch, and would be taken for True.
    """
    switches = switches_of(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if switches:
            check_switches(switches, function.__qualname__, args, kwargs)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            wrong = None if isinstance(error, InputError) else wrong_call(function, args, kwargs)
            if wrong is None:
                raise
            raise wrong from None

    return call  # type: ignore[return-value]  # it has its signature


def wrong_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = ""
) -> NoSuchArgument | None:
    """The error for arguments that do not fit to a function, None if they do. ``name``: in the message, if another."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = name or function.__qualname__
        bare = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        shown = f"{name}{inspect.Signature([p.replace(annotation=p.empty) for p in bare])}"
        unknown = [k for k in kwargs if k not in signature.parameters]
        if not unknown:
            return NoSuchArgument(f"{name}: {error}. The call is {shown}.")
        says = CALLS.get(name.rpartition(".")[2], {}).get(unknown[0])
        hint = f"Here: {says}." if says else closest(unknown[0], [p.name for p in bare], "arguments")
        return NoSuchArgument(f"{name} has no argument {unknown[0]!r}. {hint}")
    return None
