"""The tables of habits as pages show them."""

from collections.abc import Iterator

from .arguments import ARGUMENTS, ASSIGNMENTS
from .attributes import ATTRIBUTES
from .names import NAMES, OBJECTS


def markdown() -> str:
    """All habits: what users of gammapy type, and what to write here, in tables by class."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from _table("Names in the packages", {f"`{name}`": text for name, text in NAMES.items()})
    for owner in {**ATTRIBUTES, **ASSIGNMENTS, **ARGUMENTS}:
        rows = {f"`.{name}`": text for name, text in ATTRIBUTES.get(owner, {}).items()}
        rows |= {f"`.{name} = ...`": text for name, text in ASSIGNMENTS.get(owner, {}).items()}
        rows |= {f"`{owner}({name}=...)`": text for name, text in ARGUMENTS.get(owner, {}).items()}
        yield from _table(f"`{owner}`", rows)
    yield from _table("Objects of gammapy", {f"a `{name}`": text for name, text in OBJECTS.items()})


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield from (f"## {title}", "", "| gammapy | here |", "|---|---|")
    yield from (f"| {habit} | {text.replace('|', chr(92) + '|')} |" for habit, text in rows.items())
    yield ""
