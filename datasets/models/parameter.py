"""Parameters: a number that a fit may change, with all that is known about it."""

import math
from typing import Any, Literal, TypeGuard, get_args

import equinox as eqx
import jax
import numpy as np
from astropy import units as u

from ..arrays import Array, NumbersLike, fields_of, for_kernels, frozen_array, module_with
from ..errors import InputError
from ..hints.modules import HintedModule
from ..shown import Facts, number_text
from ..units import _unit_text, parse_unit
from .prior import Prior

Role = Literal[
    "", "amplitude", "norm", "position", "width", "radius", "eccentricity", "angle", "index", "energy", "time",
    "cutoff", "rate", "exponent", "coefficient",
]  # fmt: skip
"""What a parameter is in its model, which solvers and plots read instead of names.

``amplitude`` and ``norm`` multiply a whole component. ``eccentricity`` and ``angle`` (deg) are those of an ellipse on
the sky, whose half axis or standard deviation is a ``radius`` or a ``width``. ``index`` is the slope of a power law,
``energy`` and ``time`` are places on their axes. Of a cutoff exp(-(x / x_c)^a) or exp(-r x^a), x_c is a ``cutoff``,
1 / x_c a ``rate``, r a ``coefficient`` (positive) and a an ``exponent`` (positive). No word: none of these.
"""

ROLES: tuple[str, ...] = get_args(Role)

SCALING: tuple[Role, ...] = ("amplitude", "norm")
"""Roles of parameters that multiply a whole component."""


class Parameter(HintedModule):
    """A model parameter.

    ``value`` (the number, in ``unit``) and ``error`` are leaves of the pytree; everything else is static.
    ``min``/``max`` are in ``unit`` too, infinite where there is no bound. Parameters with the same ``link`` label are
    one parameter. ``scale`` converts ``value`` to the unit in which kernels compute, and ``role`` says what the
    parameter is in its model (see `Role`); models set both.
    """

    value: Array
    error: Array
    unit: str = eqx.field(static=True)
    frozen: bool = eqx.field(static=True)
    min: float = eqx.field(static=True)
    max: float = eqx.field(static=True)
    prior: Prior | None = eqx.field(static=True)
    link: str | None = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    role: Role = eqx.field(static=True)

    def __init__(
        self,
        value: NumbersLike,
        unit: str | u.UnitBase | None = None,
        *,
        error: NumbersLike = 0.0,
        frozen: bool = False,
        min: float | None = None,
        max: float | None = None,
        prior: Prior | None = None,
        link: str | None = None,
        scale: float = 1.0,
        role: Role = "",
    ) -> None:
        if isinstance(value, u.Quantity):
            quantity: u.Quantity = value
            if unit is not None and parse_unit(unit, "Parameter") != quantity.unit:
                raise InputError(f"Parameter: the quantity {value} and the unit {unit!r} disagree. Give one of them.")
            value, unit = quantity.value, quantity.unit
        self.unit = _unit_text(parse_unit(unit, "Parameter")) if unit not in (None, "") else ""
        given = {"value": value, "error": error, "frozen": frozen, "min": min, "max": max, "prior": prior, "link": link}
        for name, content in _clean(given, self.unit).items():
            setattr(self, name, content)
        self.scale, self.role = float(scale), role

    def __check_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"Parameter: role must be one of {', '.join(ROLES[1:])}, found {self.role!r}.")
        if self.min > self.max:
            raise InputError(f"Parameter: min {self.min} is above max {self.max}.")
        if isinstance(self.value, np.ndarray):
            if self.value.ndim:
                raise InputError(f"Parameter: a single number is needed, found an array of shape {self.value.shape}.")
            if not np.isfinite(self.value):
                raise InputError(f"Parameter: the value must be finite, found {self.value}.")

    @property
    def internal(self) -> jax.Array:
        """The value in the unit in which kernels compute."""
        return for_kernels(self.value if self.scale == 1.0 else self.value * self.scale)

    @property
    def quantity(self) -> u.Quantity:
        return u.Quantity(np.asarray(self.value), self.unit)

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of a fit: min and max, narrowed by the support of the prior."""
        return bounds_of(self)

    def replace(self, **changes: Any) -> "Parameter":
        """A copy with changed fields (``value``, ``error``, ``frozen``, ``min``, ``max``, ``prior``, ``link``).

        ``value``, ``error``, ``min`` and ``max`` may be Quantities; they are converted to the parameter's unit.
        """
        unknown = set(changes) - set(_FIELDS)
        if unknown:
            hint = " Give the value as a Quantity, it is converted." if "unit" in unknown else ""
            raise InputError(
                f"Parameter: the field {sorted(unknown)[0]!r} cannot be changed; {', '.join(_FIELDS)} can.{hint}"
            )
        new = module_with(Parameter, fields_of(self) | _clean(changes, self.unit))
        new.__check_init__()
        return new

    def __repr__(self) -> str:
        return f"Parameter({self.text}{', frozen' if self.frozen else ''})"

    def facts(self, name: str) -> Facts:
        """What a table shows of the parameter, under a name."""
        value, error = number_text(self.value), number_text(self.error, 3)
        limits = "" if math.isinf(self.min) and math.isinf(self.max) else f"{self.min:.6g} to {self.max:.6g}"
        found = {"name": name, "value": value, "error": "" if error == "0" else error, "unit": self.unit}
        return found | {"limits": limits, "frozen": "yes" if self.frozen else "", "link": self.link or ""}

    @property
    def text(self) -> str:
        """Value, error if there is one, and unit."""
        value, error = number_text(self.value), number_text(self.error, 3)
        return f"{value}{'' if error in ('0', 'traced') else f' +- {error}'} {self.unit}".rstrip()


GivenParameter = Parameter | NumbersLike
"""A parameter as constructors take it."""


def bounds_of(parameter: Parameter) -> tuple[float, float]:
    """`Parameter.bounds`, without the look-up of an attribute of a module."""
    fields = fields_of(parameter)
    low, high, prior = fields["min"], fields["max"], fields["prior"]
    return (low, high) if prior is None else (max(low, prior.bounds[0]), min(high, prior.bounds[1]))


_FIELDS = ("value", "error", "frozen", "min", "max", "prior", "link")


def _clean(given: dict[str, Any], unit: str) -> dict[str, Any]:
    """Fields as a Parameter keeps them: read-only numbers in its unit, infinite where there is no bound."""
    clean = dict(given)
    for name in ("value", "error", "min", "max"):
        if name not in given:
            continue
        content = given[name]
        if isinstance(content, u.Quantity):
            content = _converted(content, unit, f"Parameter {name}" if name != "value" else "Parameter")
        try:
            if name in ("value", "error"):
                clean[name] = frozen_array(content)
            else:
                none = content is None or math.isnan(content)
                clean[name] = (-math.inf if name == "min" else math.inf) if none else float(content)
        except (TypeError, ValueError) as error:
            raise InputError(f"Parameter: {name} must be a number, found {content!r}.") from error
    if "frozen" in given:
        clean["frozen"] = bool(given["frozen"])
    if not isinstance(given.get("prior"), Prior | None):
        raise InputError(
            f"Parameter: prior must be a prior such as GaussianPrior(mu=2, sigma=0.1), found {given['prior']!r}."
        )
    if not isinstance(given.get("link"), str | None):
        raise InputError(f"Parameter: link must be a label (text), found {given['link']!r}.")
    return clean


def _converted(quantity: u.Quantity, unit: str, what: str) -> np.ndarray:
    try:
        return quantity.to_value(parse_unit(unit, what))
    except u.UnitConversionError as error:
        raise InputError(
            f"{what}: found unit {quantity.unit.to_string()!r}, expected one convertible to {unit!r}."
        ) from error


def placed(given: GivenParameter, like: Parameter) -> Parameter:
    """What is given in place of a parameter: a number or Quantity is its new value, a `Parameter` replaces it whole.

    Scale and role stay those of the place, whatever the unit and wherever the parameter comes from.
    """
    if not is_parameter(given):
        return like.replace(value=given)
    own, unit = (parse_unit(p.unit, "parameter") for p in (given, like))
    if not own.is_equivalent(unit):
        raise InputError(f"parameter: found unit {given.unit!r}, expected one convertible to {like.unit!r}.")
    return declared(given, like.scale if own == unit else like.scale * float(own.to(unit)), like.role)


def declared(given: Parameter, scale: float, role: Role) -> Parameter:
    """The parameter with what its model says of it: itself, if it has that already."""
    fields = fields_of(given)
    if fields["scale"] == scale and fields["role"] == role:
        return given
    return module_with(Parameter, fields | {"scale": scale, "role": role})


def internal(*parameters: Parameter) -> list[jax.Array]:
    """Values of parameters in the units in which kernels compute."""
    return [p.internal for p in parameters]


def parameter(
    default: float,
    unit: str = "",
    *,
    frozen: bool = False,
    min: float | None = None,
    max: float | None = None,
    role: Role = "",
) -> Any:
    """Declare a parameter as a field of a model class.

    ``unit`` is the unit in which kernels compute, ``role`` what the parameter is in the model. The field accepts a
    number (in ``unit``), a Quantity, or a `Parameter`; the last two may be in any equivalent unit, which they keep.
    """
    target = parse_unit(unit, "parameter declaration")
    target_text = _unit_text(target)

    def convert(given: GivenParameter) -> Parameter:
        if isinstance(given, u.Quantity):
            given = Parameter(given, frozen=frozen, min=_bound(min, given.unit), max=_bound(max, given.unit))
        elif not isinstance(given, Parameter):
            return Parameter(given, target, frozen=frozen, min=min, max=max, role=role)
        text = fields_of(given)["unit"]
        if text == target_text:
            return declared(given, 1.0, role)
        own = parse_unit(text, "parameter")
        if own == target:
            return declared(given, 1.0, role)
        if not own.is_equivalent(target):
            raise InputError(f"parameter: found unit {given.unit!r}, expected one convertible to {unit!r}.")
        return declared(given, float(own.to(target)), role)

    def _bound(bound: float | None, own: u.UnitBase) -> float | None:
        if bound is None or not own.is_equivalent(target):
            return None
        return float(target.to(own, bound))

    return eqx.field(
        default=Parameter(default, target, frozen=frozen, min=min, max=max, role=role),
        converter=convert,
        metadata={"unit": unit},
    )


# What a field made by `parameter` is to a type checker: a Parameter, given as a number, a Quantity or a Parameter.
ParameterField = Parameter | Any


def is_parameter(node: object) -> TypeGuard[Parameter]:
    # there are no subclasses, and isinstance on modules is slow
    return type(node) is Parameter
