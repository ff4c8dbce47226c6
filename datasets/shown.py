"""How objects show themselves: one line of figures, and a table in notebooks. Nothing is computed by JAX for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from html import escape
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

Shows = TypeVar("Shows")

Facts = Mapping[str, str]
"""What is shown of an object: figures as text, by their names."""

MOST_LISTED = 6
"""Length up to which an array is shown number by number."""


def number_text(values: Any, digits: int = 6) -> str:
    """A number, a few numbers, or the range of many; numbers inside a JAX transformation are "traced"."""
    if isinstance(values, jax.core.Tracer):
        return "traced"
    array = np.asarray(values)
    if array.size == 0:
        return "none"
    if array.ndim == 0:
        return f"{float(array):.{digits}g}"
    if array.size <= MOST_LISTED:
        return f"[{', '.join(f'{v:.{digits}g}' for v in array.ravel().astype(float))}]"
    return f"{np.nanmin(array):.{digits}g} to {np.nanmax(array):.{digits}g} ({array.size} values)"


def sum_text(values: Any) -> str:
    """The sum of an array."""
    if isinstance(values, jax.core.Tracer):
        return "traced"
    return f"{np.sum(np.asarray(values, float)):.6g}"


def html_table(rows: Sequence[Facts], caption: str = "") -> str:
    """An HTML table with one row for each of ``rows``, whose columns are the names of all."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(_html_row(row.get(name, "") for name in names) for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def robust(show: Callable[[Shows], str]) -> Callable[[Shows], str]:
    """A representation that falls back on the bare tree where fields do not hold what they should: JAX and equinox put
    None, shapes and other things into trees, and show them in their errors."""

    @wraps(show)
    def shown(self: Shows) -> str:
        try:
            return show(self)
        except Exception:
            return bare(self)

    return shown


def bare(tree: object) -> str:
    """A tree as equinox shows it, or its type alone where it has not been filled."""
    try:
        fields = ", ".join(f"{name}={eqx.tree_pformat(value)}" for name, value in vars(tree).items())
        return f"{type(tree).__name__}({fields})"
    except Exception:
        return f"<{type(tree).__name__}>"


class Shown:
    """Base of what shows itself by figures: a subclass has ``facts``."""

    @property
    def facts(self) -> Facts:
        """The figures."""
        return {}

    @robust
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name} {text}'.strip() for name, text in self.facts.items())})"

    @robust
    def _repr_html_(self) -> str:
        return html_table([self.facts], type(self).__name__)
