"""Priors on single parameters.

A prior's value is -2 ln pdf of the parameter's number in the parameter's own unit, so that it adds to the fit
statistic; normalisation constants are included, as in gammapy.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from ..arrays import Array, is_concrete, set_fields
from ..errors import InputError
from ..units import kernel_numbers, to_unit


@dataclass(frozen=True)
class Prior:
    """Base of all priors. ``weight`` multiplies -2 ln pdf."""

    tag: ClassVar[str] = ""
    names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        numbers = {}
        for name in (*self.names, "weight"):
            given = getattr(self, name, 1.0)
            found = to_unit(given, "", f"{type(self).__name__}: {name}")
            if found is None or np.ndim(found) or not is_concrete(found):
                raise InputError(f"{type(self).__name__}: {name} must be one number, found {given!r}.")
            number = float(found)
            if not math.isfinite(number):
                raise InputError(f"{type(self).__name__}: {name} must be finite, found {number}.")
            numbers[name] = number
        if numbers["weight"] < 0:
            raise InputError(
                f"{type(self).__name__}: weight must not be negative, found {numbers['weight']}: the prior would push "
                "away from what it says."
            )
        # plain floats: priors are compared and hashed as part of a program, and written to files
        set_fields(self, numbers)

    def __call__(self, value: Array | float) -> Array | float:
        """-2 ln pdf times weight at ``value``; elementwise and differentiable."""
        raise TypeError("a concrete prior is needed")

    @property
    def bounds(self) -> tuple[float, float]:
        """Range outside which the density is zero."""
        return (-math.inf, math.inf)

    def to_dict(self) -> dict[str, object]:
        """YAML form, as gammapy writes it."""
        parameters = [{"name": n, "value": getattr(self, n)} for n in self.names]
        return {"type": self.tag, "parameters": parameters, "weight": getattr(self, "weight", 1.0)}


LEAST, MOST = 1e-140, 1e140
"""Ends of widths whose squares, and the inverses of these, are numbers."""


def _positive(owner: Prior, name: str) -> None:
    value = getattr(owner, name)
    if not value > 0:
        raise InputError(f"{type(owner).__name__}: {name} must be positive, found {value!r}.")


def require_width(value: float, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for a width that is not positive or whose square is no number."""
    if not value > 0:
        raise InputError(f"{what} must be positive, found {value!r}.")
    if not LEAST <= value <= MOST:
        raise InputError(
            f"{what} must be between {LEAST:g} and {MOST:g}, found {value!r}. Freeze a parameter that is known so "
            "well, and leave out the prior of one that is not."
        )


@dataclass(frozen=True)
class GaussianPrior(Prior):
    """((x - mu) / sigma)^2 + ln(2 pi sigma^2)."""

    mu: float = 0.0
    sigma: float = 1.0
    weight: float = 1.0
    tag: ClassVar[str] = "GaussianPrior"
    names: ClassVar[tuple[str, ...]] = ("mu", "sigma")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_width(self.sigma, f"{type(self).__name__}: sigma")

    def __call__(self, value: Array | float) -> Array | float:
        value = kernel_numbers(value, "", "value")
        return self.weight * (((value - self.mu) / self.sigma) ** 2 + math.log(2 * math.pi * self.sigma**2))


@dataclass(frozen=True)
class UniformPrior(Prior):
    """Constant between ``min`` and ``max``, impossible outside (they act as bounds of the fit)."""

    min: float = 0.0
    max: float = 1.0
    weight: float = 1.0
    tag: ClassVar[str] = "UniformPrior"
    names: ClassVar[tuple[str, ...]] = ("min", "max")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.min < self.max:
            raise InputError(f"UniformPrior: min must be below max, found min={self.min!r}, max={self.max!r}.")

    @property
    def bounds(self) -> tuple[float, float]:
        return (self.min, self.max)

    def __call__(self, value: Array | float) -> Array | float:
        value = kernel_numbers(value, "", "value")
        inside = (value >= self.min) & (value <= self.max)
        return self.weight * jnp.where(inside, 2 * math.log(self.max - self.min), jnp.inf)


@dataclass(frozen=True)
class LogUniformPrior(Prior):
    """2 ln(x ln(max / min)) between ``min`` and ``max``, impossible outside."""

    min: float = 1e-14
    max: float = 1e-10
    weight: float = 1.0
    tag: ClassVar[str] = "LogUniformPrior"
    names: ClassVar[tuple[str, ...]] = ("min", "max")

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "min")
        if not self.min < self.max:
            raise InputError(f"LogUniformPrior: min must be below max, found min={self.min!r}, max={self.max!r}.")

    @property
    def bounds(self) -> tuple[float, float]:
        return (self.min, self.max)

    def __call__(self, value: Array | float) -> Array | float:
        value = kernel_numbers(value, "", "value")
        inside = (value >= self.min) & (value <= self.max)
        safe = jnp.where(inside, value, self.min)
        return self.weight * jnp.where(inside, 2 * jnp.log(safe * math.log(self.max / self.min)), jnp.inf)


@dataclass(frozen=True)
class GeneralizedGaussianPrior(Prior):
    """-2 ln of the generalised normal density: shape 1/eta, location mu, scale sigma sqrt(2) (eta = 0.5: Gaussian)."""

    mu: float = 0.0
    sigma: float = 1.0
    eta: float = 0.5
    weight: float = 1.0
    tag: ClassVar[str] = "GeneralizedGaussianPrior"
    names: ClassVar[tuple[str, ...]] = ("mu", "sigma", "eta")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_width(self.sigma, f"{type(self).__name__}: sigma")
        _positive(self, "eta")

    def __call__(self, value: Array | float) -> Array | float:
        value = kernel_numbers(value, "", "value")
        beta, scale = 1.0 / self.eta, self.sigma * math.sqrt(2.0)
        z = jnp.abs(value - self.mu) / scale
        safe = jnp.where(z > 0, z, 1.0)
        power = jnp.where(z > 0, safe**beta, 0.0)
        norm = math.log(2 * scale) + gammaln(1 + self.eta)
        return self.weight * 2 * (power + norm)


PRIORS = {c.tag: c for c in (GaussianPrior, UniformPrior, LogUniformPrior, GeneralizedGaussianPrior)}
