"""Parameters: a number that a fit may change, with all that is known about it."""

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeGuard, get_args

import equinox as eqx
import jax
import numpy as np
from astropy import units as u
from astropy.time import Time

from ..arrays import Array, fields_of, for_kernels, is_known, module_with
from ..errors import InputError
from ..hints.calls import hinted
from ..hints.modules import HintedModule
from ..hints.switches import to_flag
from ..shown import Facts, number_text, robust
from ..units import Given, _unit_text, parse_unit, to_unit, with_unit
from .prior import Prior

Role = Literal[
    "", "amplitude", "norm", "position", "latitude", "width", "radius", "eccentricity", "angle", "index", "energy",
    "time", "cutoff", "rate", "exponent", "coefficient", "redshift",
]  # fmt: skip
"""What a parameter is in its model, which solvers and plots read instead of names.

``amplitude`` and ``norm`` multiply a whole component. ``latitude`` is the position that has poles. ``eccentricity`` and
``angle`` (deg) are those of an ellipse on the sky, whose half axis or standard deviation is a ``radius`` or a
``width``. ``index`` is the slope of a power law, ``energy`` and ``time`` are places on their axes. Of a cutoff
exp(-(x / x_c)^a) or exp(-r x^a), x_c is a ``cutoff``, 1 / x_c a ``rate``, r a ``coefficient`` (positive) and a an
``exponent`` (positive). No word: none of these.
"""

ROLES: tuple[str, ...] = get_args(Role)

DOMAINS: Mapping[Role, tuple[float, float]] = {
    "latitude": (-90.0, 90.0),
    "width": (0.0, math.inf),
    "radius": (0.0, math.inf),
    "eccentricity": (0.0, 1.0),
    "energy": (5e-324, math.inf),
    "redshift": (0.0, math.inf),
}
"""Between which numbers, in the unit of kernels, a parameter means anything. The formulas of models go on outside, and
so may fits; what users and files give has to lie inside."""

SCALING: tuple[Role, ...] = ("amplitude", "norm")
"""Roles of parameters that multiply a whole component."""


class Parameter(HintedModule):
    """A model parameter, from a number (in ``unit``), or from a Quantity or a text such as "2e-11 cm-2 s-1 TeV-1".

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
        value: Given,
        unit: str | u.UnitBase | None = None,
        *,
        error: Given = 0.0,
        frozen: bool = False,
        min: Given | None = None,
        max: Given | None = None,
        prior: Prior | None = None,
        link: str | None = None,
        scale: float = 1.0,
        role: Role = "",
    ) -> None:
        value = with_unit(value, "Parameter: value")
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
        if is_known(self.value):
            # arrays of JAX may be batches, for vmap
            if isinstance(self.value, np.ndarray) and self.value.ndim:
                raise InputError(f"Parameter: a single number is needed, found an array of shape {self.value.shape}.")
            if not np.all(np.isfinite(self.value)):
                raise InputError(f"Parameter: the value must be finite, found {self.value}.")

    @property
    def internal(self) -> jax.Array:
        """The value in the unit in which kernels compute: formulas of models of your own take this one.

        ``value`` is the number in ``unit``, as the user gave it: 1000 for 1000 GeV, where this is 1 (TeV).
        """
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

        ``value``, ``error``, ``min`` and ``max`` may have a unit; they are converted to the parameter's.
        """
        unknown = set(changes) - set(_FIELDS)
        if unknown:
            hint = " Give the value as a Quantity, it is converted." if "unit" in unknown else ""
            raise InputError(
                f"Parameter: the field {sorted(unknown)[0]!r} cannot be changed; {', '.join(_FIELDS)} can.{hint}"
            )
        new = module_with(Parameter, fields_of(self) | _clean(changes, self.unit))
        new.__check_init__()
        if "value" in changes:
            require_domain(new, "Parameter: value")
        return new

    @robust
    def __repr__(self) -> str:
        more = ["frozen"] if self.frozen else []
        if not (math.isinf(self.min) and math.isinf(self.max)):
            more.append(f"from {self.min:.6g} to {self.max:.6g}")
        more += [] if self.prior is None else [repr(self.prior)]
        more += [] if self.link is None else [f"link {self.link!r}"]
        return f"Parameter({', '.join([self.text, *more])})"

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


GivenParameter = Parameter | Given
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
        number = to_unit(given[name], unit, f"Parameter: {name}")
        if name in ("value", "error"):
            if number is None:
                raise InputError(f"Parameter: {name} must be a number, found None.")
            if name == "error" and is_known(number) and np.any(number < 0):
                raise InputError(f"Parameter: error must not be negative, found {np.min(number):g}.")
            clean[name] = number
            continue
        none = -math.inf if name == "min" else math.inf
        try:
            bound = none if number is None else float(number)
        except TypeError as error:
            raise InputError(f"Parameter: {name} must be one number, found {given[name]!r}.") from error
        clean[name] = none if math.isnan(bound) else bound
    if "frozen" in given:
        clean["frozen"] = to_flag(given["frozen"], "Parameter: frozen")
    if not isinstance(given.get("prior"), Prior | None):
        raise InputError(
            f"Parameter: prior must be a prior such as GaussianPrior(mu=2, sigma=0.1), found {given['prior']!r}."
        )
    if not isinstance(given.get("link"), str | None):
        raise InputError(f"Parameter: link must be a label (text), found {given['link']!r}.")
    return clean


def require_domain(parameter: Parameter, name: str) -> None:
    """Raise an `InputError` that starts with ``name`` for a value outside the domain of its role."""
    fields = fields_of(parameter)
    domain = DOMAINS.get(fields["role"])
    value = fields["value"]
    if domain is None or isinstance(value, jax.core.Tracer) or np.ndim(value):
        return
    low, high = domain
    if not low <= float(value) * fields["scale"] <= high * (1 + 1e-9):
        unit, scale = fields["unit"], fields["scale"]
        least = "a number above 0" if 0 < low < 1e-300 else f"at least {low / scale:g}"
        most = "" if math.isinf(high) else f" and at most {high / scale:g}"
        unit = f" {unit}" if unit else ""
        raise InputError(f"{name}: found {float(value):.6g}{unit}, expected {least}{most}{unit}.")


def placed(given: GivenParameter, like: Parameter, name: str = "parameter") -> Parameter:
    """What is given in place of a parameter: a number or Quantity is its new value, a `Parameter` replaces it whole.

    Scale and role stay those of the place, whatever the unit and wherever the parameter comes from.
    """
    if not is_parameter(given):
        try:
            return like.replace(value=given)
        except InputError as error:
            raise of_field(name, error) from error
    own, unit = (parse_unit(p.unit, name) for p in (given, like))
    if not own.is_equivalent(unit):
        raise InputError(f"{name}: found unit {given.unit!r}, expected one convertible to {like.unit!r}.")
    found = declared(given, like.scale if own == unit else like.scale * float(own.to(unit)), like.role)
    require_domain(found, name)
    return found


def of_field(name: str, error: InputError) -> InputError:
    """What is wrong with the value of a parameter, for the field of a model that it stands in."""
    return InputError(f"{name}: {str(error).removeprefix('Parameter: ').removeprefix('value: ')}")


def declared(given: Parameter, scale: float, role: Role) -> Parameter:
    """The parameter with what its model says of it: itself, if it has that already."""
    fields = fields_of(given)
    if fields["scale"] == scale and fields["role"] == role:
        return given
    return module_with(Parameter, fields | {"scale": scale, "role": role})


def internal(*parameters: Parameter) -> list[jax.Array]:
    """Values of parameters in the units in which kernels compute."""
    return [p.internal for p in parameters]


@hinted
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
    number (in ``unit``), a Quantity or text, or a `Parameter`; these may be in any equivalent unit, which they keep.
    """
    declaration = Declaration(unit, frozen, min, max, role)
    return eqx.field(default=declaration(default), converter=declaration, metadata={"unit": unit})


class Declaration:
    """What a model class says of a parameter: makes one of what its constructor is given.

    ``name`` is that of the field, for messages; `ModelComponent` sets it.
    """

    def __init__(self, unit: str, frozen: bool, min: float | None, max: float | None, role: Role) -> None:
        self.name = "parameter"
        self.unit = parse_unit(unit, "parameter declaration")
        self.text = _unit_text(self.unit)
        self.frozen, self.min, self.max, self.role = frozen, min, max, role

    def __call__(self, given: GivenParameter | Time) -> Any:
        """The parameter; InputError for what is none, other units, and values outside the domain of the role."""
        found = self._placed(given)
        if self.role in DOMAINS:
            require_domain(found, self.name)
        return found

    def _placed(self, given: GivenParameter | Time) -> Any:
        if isinstance(given, Time) and self.role == "time":
            # what number it is depends on the scale of the model, which converts it
            return given
        if not is_parameter(given):
            given = with_unit(given, self.name)
            if not isinstance(given, u.Quantity):
                return self._made(given, self.unit, self.min, self.max)
            own = given.unit
            if not own.is_equivalent(self.unit):
                raise self._other_unit(own)
            low, high = (self._bound(b, own) for b in (self.min, self.max))
            return declared(self._made(given, None, low, high), *self._of(own))
        text = fields_of(given)["unit"]
        if text == self.text:
            return declared(given, 1.0, self.role)
        own = parse_unit(text, self.name)
        if not own.is_equivalent(self.unit):
            raise self._other_unit(own)
        return declared(given, *self._of(own))

    def _made(self, given: Given, unit: u.UnitBase | None, min: float | None, max: float | None) -> Parameter:
        try:
            return Parameter(given, unit, frozen=self.frozen, min=min, max=max, role=self.role)
        except InputError as error:
            raise of_field(self.name, error) from error

    def _of(self, own: u.UnitBase) -> tuple[float, Role]:
        """Factor from another unit to that of kernels, and the role."""
        return 1.0 if own == self.unit else float(own.to(self.unit)), self.role

    def _bound(self, bound: float | None, own: u.UnitBase) -> float | None:
        return None if bound is None else float(self.unit.to(own, bound))

    def _other_unit(self, own: u.UnitBase) -> InputError:
        return InputError(f"{self.name}: found unit {own.to_string()!r}, expected one convertible to {self.text!r}.")


# What a field made by `parameter` is to a type checker: a Parameter, given as a number, a Quantity or a Parameter.
ParameterField = Parameter | Any


def is_parameter(node: object) -> TypeGuard[Parameter]:
    # there are no subclasses, and isinstance on modules is slow
    return type(node) is Parameter
