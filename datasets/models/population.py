"""Hierarchical priors: parameters that are drawn from one Gaussian, whose mean and width are parameters too."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import equinox as eqx
import numpy as np

from ..arrays import is_concrete
from ..errors import InputError, listed
from ..io.paths import Filename
from ..units import Given, to_unit
from .component import ModelComponent, Section
from .parameter import GivenParameter, Parameter, declared, is_parameter, of_field
from .sky_model import ModelBase

TAG = "PopulationModel"


class GaussianDistribution(ModelComponent):
    """What a `PopulationModel` draws from: a Gaussian of ``mean`` and standard deviation ``width``, both `Parameter`s
    in one unit. The width is not negative; Raises `InputError` for widths of 0 or less, and for other units."""

    mean: Parameter
    width: Parameter
    tag = ("GaussianDistribution", "gauss-distribution")

    def __init__(self, mean: GivenParameter = 0.0, width: GivenParameter = 1.0) -> None:
        unit = cast(Parameter, width).unit if is_parameter(width) else None
        self.mean = declared(_parameter(mean, "mean", unit), 1.0, "")
        self.width = declared(_parameter(width, "width", self.mean.unit), 1.0, "width")
        if self.mean.unit != self.width.unit:
            raise InputError(
                f"{TAG}: the mean is in {self.mean.unit!r} and the width in {self.width.unit!r}, expected one unit: "
                "that of the members. Convert one of them."
            )

    def __check_init__(self) -> None:
        width = self.width.value
        if is_concrete(width) and not np.all(np.asarray(width) > 0):
            raise InputError(f"{TAG}: found the width {width}, expected one above 0.")

    @classmethod
    def from_extra(cls, entry: Section, parameters: dict[str, Parameter], base: Filename) -> "GaussianDistribution":
        """From a section of a YAML file."""
        missing = [name for name in ("mean", "width") if name not in parameters]
        if missing:
            raise InputError(f"the parameter {missing[0]!r} is missing. A distribution has a mean and a width.")
        return cls(**parameters)


class PopulationModel(ModelBase):
    """A hierarchical prior: parameters of other models are drawn from a Gaussian whose mean and width are parameters.

    It adds sum_i ((x_i - mean) / width)^2 + n ln(2 pi width^2) to the fit statistic, -2 ln of the density of the
    members x_i (n,), normalised, for mean and width may be free. It predicts nothing, and stands among the models.

    Parameters
    ----------
    members : names of the parameters, full or unambiguous endings, or one name; their numbers are in one unit. Their
        own priors multiply this one
    mean, width : numbers in the unit of the members, Quantities or `Parameter`s: free unless frozen, with bounds and
        priors of their own; one that is no `Parameter` is kept in the unit of the other. They go by the names
        ``population.distribution.mean`` and ``population.distribution.width``
    name : default "population"

    The density has no maximum in a free width: where all members are the mean it grows without limit as the width
    goes to 0. So `fit` and `Likelihood.fit` refuse a free width whose lower bound is not above 0; sample
    ``like.log_prob`` for its posterior. A free mean is fine. Raises `InputError` for numbers that do not fit together::

        norms = [f"run-{i}.exposure.norm" for i in range(100)]
        scatter = gj.PopulationModel(norms, mean=1.0, width=gj.Parameter(0.1, min=0.01), name="norms")
        like = gj.likelihood(datasets, gj.Models([*models, scatter]))
    """

    distribution: GaussianDistribution
    name: str = eqx.field(static=True)
    members: tuple[str, ...] = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    flags = ()
    tag = (TAG, "population")
    parts = ("distribution",)
    predicts = False

    def __init__(
        self,
        members: str | Iterable[str],
        mean: GivenParameter = 0.0,
        width: GivenParameter = 1.0,
        name: str = "population",
    ) -> None:
        names = (members,) if isinstance(members, str) else tuple(members)
        if not names or any(not isinstance(n, str) for n in names) or len(set(names)) < len(names):
            raise InputError(
                f"{TAG} {name!r}: members must be the names of different parameters, found {[*names]!r}. They are the "
                "keys of models.parameters."
            )
        self.distribution = GaussianDistribution(mean, width)
        self.name, self.members, self.datasets_names = str(name), names, ()

    def acts_on(self, dataset_name: str) -> bool:
        """No dataset: it is a prior."""
        return False

    def resized(self) -> "PopulationModel":
        """After new values: the width has to be one."""
        GaussianDistribution.__check_init__(self.distribution)
        return self

    def replace(self, **changes: Any) -> "PopulationModel":
        given: dict[str, Any] = {"mean": self.distribution.mean, "width": self.distribution.width}
        return PopulationModel(**({**given, "members": self.members, "name": self.name} | changes))


def full_names(model: PopulationModel, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Full names of the members among those of numbers that are ``known``."""
    return tuple(_full_name(model, name, known) for name in model.members)


def _full_name(model: PopulationModel, name: str, known: Mapping[str, Any]) -> str:
    found = [name] if name in known else [n for n in known if n.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    wrong = f"{name!r} may be {listed(found)}: give the full name." if found else f"there is no {name!r}."
    raise InputError(
        f"{TAG} {model.name!r}: members have to be parameters of the models beside it, and {wrong} The names are the "
        "keys of models.parameters."
    )


def require_unit(model: PopulationModel, units: Mapping[str, str]) -> None:
    """Raise an `InputError` for members, with their ``units``, that are not in that of the mean."""
    own = model.distribution.mean.unit
    for name, unit in units.items():
        if unit != own:
            raise InputError(
                f"{TAG} {model.name!r}: {name} is in {unit!r}, and mean and width in {own!r}. Give all of them in "
                "one unit."
            )


def _parameter(given: GivenParameter, name: str, unit: str | None) -> Parameter:
    """What is given as a parameter; numbers and Quantities in ``unit``, if it is known."""
    if is_parameter(given):
        return given
    number = cast(Given, given)
    try:
        return Parameter(number) if unit is None else Parameter(cast(Given, to_unit(number, unit, "value")), unit)
    except InputError as error:
        raise of_field(f"{TAG}: {name}", error) from error
