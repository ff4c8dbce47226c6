"""Forms in which responses are kept in files of their own, by name: `datasets.io` knows them, and adds them here."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import InputError

Filename = str | os.PathLike[str]


class Form(NamedTuple):
    """How responses are read and written: ``read(filename, hdu)`` and ``write(response, filename, overwrite)``.

    ``write`` takes by keyword what the response itself does not say, such as energies. None: it cannot be written.
    """

    read: Callable[[Filename, str | None], Any]
    write: Callable[..., None] | None = None


FORMS: dict[str, dict[str, Form]] = {}
"""By the name of a class of responses: its forms by name."""


def read_response(kind: str, format: str, filename: Filename, hdu: str | None = None) -> Any:
    """The response in a file; InputError for a form that is not known."""
    return _form(kind, format, "read").read(filename, hdu)


def write_response(
    kind: str, format: str, response: object, filename: Filename, overwrite: bool, **further: object
) -> None:
    """Write a response; ``further`` is what it does not say itself. InputError for a form that is not known."""
    write = _form(kind, format, "written").write
    assert write is not None
    write(response, filename, overwrite, **further)


def _form(kind: str, name: str, done: str) -> Form:
    known = {n: form for n, form in FORMS[kind].items() if form.write is not None or done == "read"}
    if name not in known:
        raise InputError(f"{kind}: format is {name!r}, expected one of {', '.join(map(repr, known))} to be {done}.")
    return known[name]
