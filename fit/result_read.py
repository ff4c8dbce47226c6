"""Fit results from the YAML files that `FitResult.write` makes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.errors import InputError
from ..datasets.io.paths import as_path, beside, read_bytes
from ..datasets.io.text import cell_of
from ..datasets.io.yaml import load_yaml
from ..datasets.models.collection import Models
from ..datasets.models.parameter import Parameter
from ..datasets.models.parameters import Parameters
from .covariance import Curvature
from .joint.arrowhead import Theta
from .status import Status


@dataclass(frozen=True)
class KnownCurvature(Curvature):
    """Errors and covariance of a file: ``covariance`` is that of all free parameters, NaN where the file has none."""

    def dense(self) -> np.ndarray:
        return self.covariance


def result_fields(filename: Any) -> dict[str, Any]:
    """The fields of a `FitResult` but for ``starts``, which is under "minima" and "minima_counts"."""
    path = as_path(filename)
    # a folder such as "." has no name
    if not {".yaml", ".yml"} & set(path.suffixes[-2:]):
        raise InputError(
            f"{path}: FitResult.read takes the YAML form, which has models, covariance and figures. Write it: "
            "result.write('result.yaml')."
        )
    data = load_yaml(path)
    figures = data.get("metadata", {}).get("fit") if isinstance(data.get("metadata", {}), dict) else None
    if not isinstance(figures, dict):
        raise InputError(
            f"{path}: there are no figures of a fit under metadata, fit. The models alone: gj.Models.read(filename)."
        )
    _require_kinds(figures, path)
    models = Models.from_dict(data, str(path), path.parent)
    parameters = distinct(models.parameters)
    free = tuple(name for name, p in parameters.items() if not p.frozen)
    try:
        if len(free) != figures["n_free"]:
            raise InputError(
                f"{path}: {figures['n_free']} parameters were free in the fit, and {len(free)} of the models are. Free "
                "arrays of models of your own are not in the file."
            )
        fields = {
            "models": models,
            "status": _status(figures, path),
            "free_names": free,
            "datasets_names": tuple(figures["datasets"]),
            "curvature": _curvature(models.parameters, free, data, figures, path),
        }
        own = ("stat", "message", "iterations", "evaluations", "edm", "method", "n_bins")
        # files of 0.1.0 have none
        minima = {name: tuple(figures.get(name, ())) for name in ("minima", "minima_counts")}
        data = {
            "data_checksum": str(figures.get("data_checksum", "")),
            "energy_ranges": _energy_ranges(figures.get("energy_ranges", {}), path),
        }
        return fields | {name: figures[name] for name in own} | minima | data
    except KeyError as error:
        raise InputError(f"{path}: metadata, fit: the key {error.args[0]!r} is missing.") from error


KINDS: dict[str, tuple[type, ...]] = {
    "stat": (int, float),
    "edm": (int, float),
    "iterations": (int,),
    "evaluations": (int,),
    "n_bins": (int,),
    "n_free": (int,),
    "message": (str,),
    "method": (str,),
    **dict.fromkeys(("datasets", "minima", "minima_counts", "degenerate", "at_bound"), (list,)),
}
"""What the figures of a fit are."""


def _require_kinds(figures: dict[str, Any], path: Path) -> None:
    for key, kinds in KINDS.items():
        if key in figures and (not isinstance(figures[key], kinds) or isinstance(figures[key], bool)):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"{path}: metadata, fit: {key} is {figures[key]!r}, expected {expected}.")


def _energy_ranges(given: object, path: Path) -> dict[str, tuple[float, float]]:
    """Energies that took part in the fit by dataset; files of 0.1.0 have none."""
    found = {}
    if not isinstance(given, dict):
        raise InputError(f"{path}: metadata, fit: energy_ranges is {str(given)[:60]!r}, expected ranges by dataset.")
    for name, ends in given.items():
        numbers = isinstance(ends, list) and len(ends) == 2 and all(type(end) in (int, float) for end in ends)
        if not numbers or not 0 < ends[0] <= ends[1] < np.inf:
            raise InputError(
                f"{path}: metadata, fit: energy_ranges of {name!r} is {ends!r}, expected the lowest and the highest "
                "energy in TeV. Without the key the energies of the fit are unknown."
            )
        found[str(name)] = (float(ends[0]), float(ends[1]))
    return found


def _status(figures: dict[str, Any], path: Path) -> Status:
    try:
        status = Status(figures["status"])
    except ValueError as error:
        known = ", ".join(status.value for status in Status)
        raise InputError(
            f"{path}: metadata, fit: the status is {figures['status']!r}, expected one of {known}."
        ) from error
    # in 0.1.0 fits with directions that the data do not constrain ended so
    unconstrained = status is Status.CONVERGED and figures.get("success") is False
    return Status.UNCONSTRAINED if unconstrained else status


def distinct(parameters: Parameters) -> dict[str, Parameter]:
    """The parameters in their order, linked ones once."""
    links: set[str] = set()
    found = {}
    for name, p in parameters.items():
        if p.link is None or p.link not in links:
            found[name] = p
        links |= set() if p.link is None else {p.link}
    return found


def _curvature(
    parameters: Parameters, free: tuple[str, ...], data: dict[str, Any], figures: dict[str, Any], path: Path
) -> KnownCurvature:
    errors = np.array([float(parameters[name].error) for name in free])
    covariance = np.where(np.eye(len(free), dtype=bool), np.square(errors), np.nan)
    if "covariance" in data:
        covariance = _read_covariance(beside(data["covariance"], path.parent), tuple(parameters), free)
    return KnownCurvature(
        errors=np.array([float(p.error) for p in distinct(parameters).values()]),
        names=list(free),
        covariance=covariance,
        local_covariance=[],
        degenerate=list(figures.get("degenerate", ())),
        at_bound=list(figures.get("at_bound", ())),
        response=(),
        places=Theta(np.arange(len(free)), ()),
        free_errors=errors,
    )


def _read_covariance(path: Path, names: tuple[str, ...], free: tuple[str, ...]) -> np.ndarray:
    """The rows and columns of the free parameters of gammapy's table."""
    if not path.is_file():
        raise InputError(f"{path}: the file of the covariance is missing. Copy it beside the YAML file.")
    rows = [
        line.strip().strip("|").split("|")
        for line in read_bytes(path).decode(errors="replace").splitlines()[1:]
        if line.strip()
    ]
    found = tuple(row[0].strip() for row in rows)
    if found != tuple(map(cell_of, names)):
        raise InputError(f"{path}: the rows are not the parameters of the models beside it. Keep both of one fit.")
    matrix = np.array([[float(cell) for cell in row[1:]] for row in rows])
    at = [names.index(name) for name in free]
    return matrix[np.ix_(at, at)]
