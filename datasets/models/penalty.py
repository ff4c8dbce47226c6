"""Gaussian priors on several parameters at once: a covariance, or smoothness along a list of parameters."""

import math
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..arrays import Array, frozen_array, is_concrete, module_with
from ..errors import InputError, listed
from ..hints.modules import HintedModule, found
from ..units import Given, numbers_in
from .parameter import Parameter
from .prior import require_width

Matrix = Float[Array, "n n"]

TAG = "GaussianPriorPenalty"

ROUNDING = 1e-13
"""Smallest eigenvalue of a matrix with the diagonal 1 that counts as positive."""


class GaussianPriorPenalty(HintedModule):
    """A prior on several parameters: lambda_ (x - mean)^T C^-1 (x - mean) is added to the fit statistic.

    Parameters
    ----------
    parameters : names of the parameters, full or unambiguous endings; x are their numbers in their own units. Numbers
        in free arrays of modules go by their full names, such as ``"image.spatial.module.pixels[0, 2]"``
    mean : (n,) numbers, or one for all; 0 by default
    covariance : (n, n) symmetric and positive definite; the unit matrix by default
    lambda_ : strength, not negative

    Normalisation is left out, as in gammapy. It goes into the models: ``gj.Models(models, penalties=[penalty])``. One
    parameter alone takes a `GaussianPrior`. Raises `InputError` for numbers that do not fit together::

        names = [f"crab.spectral.norm_{i}" for i in range(6)]
        smooth = gj.GaussianPriorPenalty.SmoothnessPenalty(names, mean=1.0, lambda_=3.0)
    """

    names: tuple[str, ...] = eqx.field(static=True)
    mean: Float[Array, " n"]
    precision: Matrix
    lambda_: Float[Array, ""]

    def __init__(
        self,
        parameters: Iterable[str],
        mean: Given | None = None,
        covariance: Given | None = None,
        lambda_: Given = 1.0,
    ) -> None:
        names = _names(parameters)
        matrix = np.eye(len(names)) if covariance is None else _matrix(covariance, len(names), "covariance")
        self.names, self.precision = names, frozen_array(_inverse(matrix))
        self.mean, self.lambda_ = _mean(mean, len(names)), _numbers(lambda_, "lambda_")

    def __check_init__(self) -> None:
        _check_numbers(self)

    @classmethod
    def from_precision(
        cls,
        parameters: Iterable[str],
        precision: Given,
        mean: Given | None = None,
        lambda_: Given = 1.0,
    ) -> Self:
        """From the inverse of the covariance, (n, n), which may leave directions free (semi-definite)."""
        names = _names(parameters)
        fields = {"precision": frozen_array(_matrix(precision, len(names), "precision")), "names": names}
        made = module_with(cls, fields | {"mean": _mean(mean, len(names)), "lambda_": _numbers(lambda_, "lambda_")})
        _check_numbers(made)
        return made

    @classmethod
    def from_diagonal(
        cls, parameters: Iterable[str], sigma: Given, mean: Given | None = None, lambda_: Given = 1.0
    ) -> Self:
        """Independent priors of these standard deviations, (n,) or one for all."""
        names = _names(parameters)
        width = _each(sigma, len(names), "sigma")
        for one in width:
            require_width(float(one), f"{cls.__name__}: sigma")
        return cls.from_precision(names, np.diag(width**-2.0), mean, lambda_)

    @classmethod
    def L2_penalty(cls, parameters: Iterable[str], mean: Given | None = None, lambda_: Given = 1.0) -> Self:
        """lambda_ sum (x - mean)^2."""
        return cls.from_diagonal(parameters, 1.0, mean, lambda_)

    @classmethod
    def SmoothnessPenalty(cls, parameters: Iterable[str], mean: Given | None = None, lambda_: Given = 1.0) -> Self:
        """lambda_ times the sum of squared differences of neighbours in the list, from ``mean`` at both ends too."""
        names = _names(parameters)
        n = len(names)
        return cls.from_precision(names, 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), mean, lambda_)

    @classmethod
    def smooth_array(cls, name: str, shape: int | Iterable[int], lambda_: Given = 1.0) -> Self:
        """lambda_ times the sum of squared differences of neighbours, along all axes, in the free array ``name`` of
        this shape: of the pixels of an image, say. A constant costs nothing."""
        try:
            sizes = tuple(int(n) for n in (shape if isinstance(shape, Iterable) else (shape,)))
        except (TypeError, ValueError) as error:
            raise InputError(f"{cls.__name__}: shape must be that of the array, found {shape!r}.") from error
        n = math.prod(sizes)
        if n < 2 or any(size < 1 for size in sizes):
            raise InputError(f"{cls.__name__}: shape must be that of an array of two or more numbers, found {shape!r}.")
        precision, place = np.zeros((n, n)), np.arange(n).reshape(sizes)
        for axis, size in enumerate(sizes):
            one, other = (np.take(place, np.arange(size - 1) + step, axis).ravel() for step in (0, 1))
            for i, j, sign in ((one, one, 1.0), (other, other, 1.0), (one, other, -1.0), (other, one, -1.0)):
                np.add.at(precision, (i, j), sign)
        return cls.from_precision([f"{name}{list(index)}" for index in np.ndindex(sizes)], precision, None, lambda_)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance, (n, n), before ``lambda_``."""
        return _inverse(np.asarray(self.precision))

    def stat_sum(self, parameters: Mapping[str, Parameter]) -> Array:
        """The penalty of parameters, such as ``models.parameters``."""
        return quadratic(jnp.stack([jnp.asarray(parameters[name].value) for name in self.names]), *self.terms)

    @property
    def terms(self) -> tuple[Array, Array]:
        """Mean (n,), and lambda_ times the precision (n, n)."""
        return self.mean, self.lambda_ * self.precision

    def named(self, names: Iterable[str]) -> "GaussianPriorPenalty":
        """The same of parameters by other names."""
        fields = {"mean": self.mean, "precision": self.precision, "lambda_": self.lambda_}
        return module_with(GaussianPriorPenalty, fields | {"names": tuple(names)})

    def to_dict(self) -> dict[str, Any]:
        """YAML form."""
        return {
            "type": TAG,
            "parameters": list(self.names),
            "mean": np.asarray(self.mean).tolist(),
            "precision": np.asarray(self.precision).tolist(),
            "lambda": float(self.lambda_),
        }

    def __repr__(self) -> str:
        return f"GaussianPriorPenalty({', '.join(self.names)})"


def quadratic(x: Array, mean: Array, matrix: Array) -> Array:
    """(x - mean)^T matrix (x - mean)."""
    delta = x - mean
    return delta @ (matrix @ delta)


def in_full(
    penalties: Iterable[GaussianPriorPenalty], full_name: Callable[[str], str], known: Container[str]
) -> tuple[GaussianPriorPenalty, ...]:
    """Penalties with the full names of their parameters; those of numbers in arrays are ``known`` as they are."""
    full = []
    for penalty in penalties:
        if not isinstance(penalty, GaussianPriorPenalty):
            raise InputError(f"Models: penalties must be GaussianPriorPenalty objects, found {found(penalty)}.")
        names = [name if name in known else full_name(name) for name in penalty.names]
        if len(set(names)) < len(names):
            raise InputError(f"Models: a penalty names one parameter twice: {listed(names)}.")
        full.append(penalty.named(names))
    return tuple(full)


def read_penalties(data: object, where: str) -> list[GaussianPriorPenalty]:
    """Penalties of a YAML file: a list of mappings with type, parameters, mean, covariance or precision, and lambda."""
    if not isinstance(data, list):
        raise InputError(f"{where}, penalties: found {type(data).__name__}, expected a list.")
    return [_read_penalty(entry, f"{where}, penalty {i + 1}") for i, entry in enumerate(data)]


def _read_penalty(entry: object, where: str) -> GaussianPriorPenalty:
    keys = ("type", "parameters", "mean", "covariance", "precision", "lambda")
    if not isinstance(entry, dict) or entry.get("type") != TAG or set(entry) - set(keys):
        raise InputError(f"{where}: found {entry!r}, expected a mapping of type {TAG} with {', '.join(keys[1:])}.")
    given = {"parameters": entry.get("parameters", ()), "mean": entry.get("mean"), "lambda_": entry.get("lambda", 1.0)}
    try:
        if "precision" in entry:
            return GaussianPriorPenalty.from_precision(precision=entry["precision"], **given)
        return GaussianPriorPenalty(covariance=entry.get("covariance"), **given)
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error


def _names(parameters: Iterable[str]) -> tuple[str, ...]:
    names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong or not names or len(set(names)) < len(names):
        raise InputError(
            f"{TAG}: parameters must be the names of different parameters, found {[*names]!r}. They are the keys of "
            "models.parameters."
        )
    return names


def _numbers(given: Given, what: str) -> Array:
    return numbers_in(given, "", f"{TAG}: {what}")


def _mean(mean: Given | None, n: int) -> np.ndarray:
    return _each(0.0 if mean is None else mean, n, "mean")


def _each(numbers: Given, n: int, what: str) -> np.ndarray:
    """Numbers of all parameters, (n,), from one for each or one for all."""
    given = np.asarray(_numbers(numbers, what))
    if given.shape not in ((), (n,)):
        raise InputError(f"{TAG}: {what} has shape {given.shape}, expected {(n,)}, one number for each parameter.")
    made: np.ndarray = frozen_array(np.broadcast_to(given, n))
    return made


def _matrix(given: Given, n: int, what: str) -> np.ndarray:
    matrix = np.asarray(_numbers(given, what))
    if matrix.shape != (n, n):
        raise InputError(f"{TAG}: {what} has shape {matrix.shape}, expected {(n, n)} for {n} parameters.")
    diagonal = np.diag(matrix)
    if np.all(np.isfinite(matrix)) and np.all(diagonal > 0):
        # amplitudes and indices are apart by many powers of ten
        scaled = matrix / np.sqrt(np.outer(diagonal, diagonal))
        # a precision may leave directions free
        least = -ROUNDING if what == "precision" else ROUNDING
        if np.allclose(scaled, scaled.T, rtol=0, atol=1e-8) and np.min(np.linalg.eigvalsh(scaled)) > least:
            symmetric: np.ndarray = (matrix + matrix.T) / 2
            return symmetric
    raise InputError(f"{TAG}: {what} must be symmetric and positive definite, found {matrix.tolist()}.")


def _inverse(matrix: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.diag(matrix))
    if not np.min(np.linalg.eigvalsh(matrix / np.outer(scale, scale))) > ROUNDING:
        raise InputError(f"{TAG}: the precision leaves directions free, so that there is no covariance.")
    inverse: np.ndarray = np.linalg.inv(matrix / np.outer(scale, scale)) / np.outer(scale, scale)
    return (inverse + inverse.T) / 2


def _check_numbers(penalty: GaussianPriorPenalty) -> None:
    if is_concrete(penalty.lambda_) and not (np.ndim(penalty.lambda_) == 0 and 0 <= penalty.lambda_ < np.inf):
        raise InputError(f"{TAG}: lambda_ must be a number that is not negative, found {penalty.lambda_}.")
    if is_concrete(penalty.mean) and not np.all(np.isfinite(penalty.mean)):
        raise InputError(f"{TAG}: mean must be finite, found {penalty.mean}.")
