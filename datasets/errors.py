"""The one exception that bad input ends in, and warnings about input that is read in spite of a flaw."""

import difflib
import sys
import warnings
from collections.abc import Iterable
from types import FrameType
from typing import Any

import numpy as np

LONGEST = 1500
"""Letters of a message: longer ones lose their middle."""


class InputError(ValueError):
    """Input that gammajax cannot use.

    The message says what was found, what was expected, and the cure. The command line prints it without a traceback.
    """

    def __init__(self, message: str = "") -> None:
        # what was found may be a file of any length
        if len(message) > LONGEST:
            message = f"{message[: LONGEST - 400]} [...] {message[-400:]}"
        super().__init__(message)


class NoSuchPlace(InputError, IndexError):
    """A place that a container does not have, as `IndexError`, which ends loops."""


def listed(names: Iterable[str], limit: int = 10) -> str:
    """Names in a sentence; long lists are cut."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) or "none"


def closest(name: object, known: Iterable[str], what: str = "names") -> str:
    """A sentence with the closest known names, and with the known ones where they are few."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    return f"{hint}Known {what}: {listed(known)}."


def place_of(key: Any, number: int, what: str) -> int:
    """The index of an entry, of ``number`` in all; InputError, which begins with ``what``, for what is none."""
    if isinstance(key, bool) or not isinstance(key, int | np.integer):
        raise InputError(f"{what}: found {key!r}, expected a name, a place (0, 1, ...) or a slice.")
    if not -number <= key < number:
        raise NoSuchPlace(f"{what}: there is no place {key}: there are {number}, from 0 to {number - 1}.")
    return int(key)


def warn(message: str) -> None:
    """Warn about input that is read in spite of a flaw; the warning points at the caller's line outside the package."""
    # methods of modules are called through equinox
    inside, level = (__name__.partition(".")[0], "equinox"), 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in inside:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
