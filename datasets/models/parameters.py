"""The view of the parameters of models, by name."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError, closest, listed
from ..hints.modules import Hinted
from ..shown import html_table, robust
from .parameter import Parameter

if TYPE_CHECKING:
    from astropy.table import Table

NUMBERS = ("value", "error", "min", "max")
"""Fields of parameters that are numbers in their unit."""


class Parameters(Hinted, Mapping[str, Parameter]):
    """Parameters of models by full name (``model.component.parameter``), in the order of the models."""

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self._parameters = parameters

    def full_name(self, name: str) -> str:
        """The full name that ``name`` stands for: itself, or the only full name that ends in it."""
        if not isinstance(name, str):
            raise InputError(f"Parameters: found {type(name).__name__}, expected the name of one: 's.spectral.index'.")
        if name in self._parameters:
            return name
        ending = [n for n in self._parameters if n.endswith(f".{name}")]
        if len(ending) == 1:
            return ending[0]
        if ending:
            raise InputError(f"Parameters: {name!r} is ambiguous; it may be {listed(ending)}. Give the full name.")
        raise InputError(f"Parameters: there is no parameter {name!r}. {closest(name, self._parameters)}")

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[self.full_name(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def get(self, name: str, default: Any = None) -> Any:
        return self._parameters.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._parameters)

    @property
    def free(self) -> "Parameters":
        """Those that a fit changes; linked parameters appear once, under their first name."""
        return Parameters({n: p for n, p in self.unique.items() if not p.frozen})

    @property
    def unique(self) -> "Parameters":
        """All, linked parameters once, under their first name."""
        seen: set[str] = set()
        kept = {}
        for name, p in self._parameters.items():
            if p.link is None or p.link not in seen:
                kept[name] = p
            if p.link is not None:
                seen.add(p.link)
        return Parameters(kept)

    def to_table(self) -> "Table":
        """An astropy Table with one row per parameter: name, value, error, unit, min, max, frozen, link, prior."""
        from astropy.table import Table

        rows = [
            {
                "name": n,
                "value": float(p.value),
                "error": float(p.error),
                "unit": p.unit,
                "min": p.min,
                "max": p.max,
                "frozen": p.frozen,
                "link": p.link or "",
                "prior": p.prior.tag if p.prior is not None else "",
            }
            for n, p in self._parameters.items()
        ]
        columns = ("name", "value", "error", "unit", "min", "max", "frozen", "link", "prior")
        if not rows:
            return Table(names=columns, dtype=("U1", float, float, "U1", float, float, bool, "U1", "U1"))
        table = Table(rows=rows, names=columns)
        # so that value and error stand side by side in a terminal; files keep all digits
        for name, form in (("value", ".8g"), ("error", ".3g"), ("min", ".3g"), ("max", ".3g")):
            table[name].info.format = form
        return table

    @robust
    def __repr__(self) -> str:
        return "\n".join(f"{n}: {p!r}" for n, p in self._parameters.items())

    @robust
    def _repr_html_(self) -> str:
        return parameter_html(self)


def parameter_html(parameters: Mapping[str, Parameter], caption: str = "") -> str:
    """An HTML table of parameters."""
    return html_table([p.facts(name) for name, p in parameters.items()], caption)
