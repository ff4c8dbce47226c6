"""Fit results as files: YAML that gammapy reads, a FITS file, an ECSV table."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..datasets.errors import InputError
from ..datasets.io.fits import set_cards, table_hdu, to_bytes
from ..datasets.io.paths import as_path
from ..datasets.io.text import cell_of
from ..datasets.io.yaml import dump_yaml
from ..datasets.models.collection import Models
from ..datasets.models.parameter import Parameter
from ..datasets.models.parameters import Parameters
from .covariance import DENSE_LIMIT, Curvature

if TYPE_CHECKING:
    from astropy.table import Table


class Result(Protocol):
    """What is written of a `FitResult`, which stands on this file."""

    @property
    def models(self) -> Models: ...
    @property
    def message(self) -> str: ...
    @property
    def free_names(self) -> tuple[str, ...]: ...
    @property
    def curvature(self) -> Curvature: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def degenerate(self) -> list[str]: ...
    @property
    def covariance(self) -> np.ndarray: ...
    def table(self) -> "Table": ...
    def summary(self) -> dict[str, Any]: ...


def result_contents(result: Result, filename: Any) -> dict[Path, bytes]:
    """Content by file name.

    ``.yaml``: the models, which `Models.read` and gammapy read, with the figures of the fit under ``metadata``. The
    covariance is in a second file NAME_covariance.dat in gammapy's form (a row and a column for every parameter); it is
    left out where a dense matrix has no meaning (directions that the data do not constrain) or is too large.

    ``.ecsv``: the parameter table with the figures of the fit in its header.

    ``.fits``: the table PARAMETERS with the figures of the fit as header cards, and the table COVARIANCE with one row
    per free parameter. Of a fit with thousands of parameters it holds those that several datasets share.
    """
    path = as_path(filename)
    forms = {".yaml": _yaml, ".yml": _yaml, ".ecsv": _ecsv, ".fits": _fits}
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending not in forms:
        raise InputError(
            f"{path}: the ending {path.suffix!r} is unknown. A fit result is written as {', '.join(forms)}."
        )
    return forms[ending](result, path)


def _yaml(result: Result, path: Path) -> dict[Path, bytes]:
    data = result.models.to_dict()
    files: dict[Path, bytes] = {}
    if len(result.free_names) <= DENSE_LIMIT and not result.degenerate and len(result.parameters):
        beside = path.with_name(f"{path.name.removesuffix('.gz').rsplit('.', 1)[0]}_covariance.dat")
        files[beside] = _covariance_text(result).encode()
        data["covariance"] = beside.name
    data["metadata"] = {"creator": "gammajax", "fit": result.summary()}
    files[path] = dump_yaml(data).encode()
    return files


def _covariance_text(result: Result) -> str:
    """gammapy's table of the covariance: all parameters in order, zeros for frozen ones, linked ones repeated."""
    parameters, position = result.parameters, {name: i for i, name in enumerate(result.free_names)}
    by_link = {p.link: position[n] for n, p in parameters.items() if p.link is not None and n in position}
    index = np.array(
        [position.get(n, -1) if p.link is None else by_link.get(p.link, -1) for n, p in parameters.items()]
    )
    matrix = np.where((index >= 0)[:, None] & (index >= 0), result.covariance[np.ix_(index, index)], 0.0)
    rows = [["Parameters", *map(str, range(len(index)))]]
    rows += [[cell_of(name), *map(repr, row.tolist())] for name, row in zip(parameters, matrix, strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("| " + " | ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows)
    return "\n".join(lines) + "\n"


def _ecsv(result: Result, path: Path) -> dict[Path, bytes]:
    stream = io.StringIO()
    result.table().write(stream, format="ascii.ecsv")
    return {path: stream.getvalue().encode()}


CARDS = {
    "stat": ("STAT", "fit statistic, -2 ln L"),
    "n_bins": ("NBINS", "fitted bins"),
    "n_free": ("NFREE", "free parameters"),
    "ndf": ("NDF", "bins minus free parameters"),
    "status": ("STATUS", "how the fit ended"),
    "success": ("SUCCESS", "converged, all parameters constrained"),
    "iterations": ("NITER", "iterations"),
    "evaluations": ("NEVAL", "evaluations of the statistic"),
    "edm": ("EDM", "estimated distance to minimum"),
    "method": ("METHOD", "optimiser"),
}


def _fits(result: Result, path: Path) -> dict[Path, bytes]:
    summary = result.summary()
    cards = {key: (_card(summary[field]), comment) for field, (key, comment) in CARDS.items()}
    parameters = table_hdu("PARAMETERS", _parameter_columns(result.parameters), cards)
    set_cards(parameters.header, {"HISTORY": result.message})
    if len(result.free_names) <= DENSE_LIMIT:
        names, covariance = list(result.free_names), result.covariance
    else:
        names, covariance = list(result.curvature.names), result.curvature.covariance
    columns = [_text_column("name", names), ("covariance", f"{max(len(names), 1)}D", covariance, None)]
    return {path: to_bytes([parameters, table_hdu("COVARIANCE", columns, {})])}


def _parameter_columns(parameters: Any) -> list[tuple[str, str, Any, None]]:
    rows: list[Parameter] = list(parameters.values())
    numbers = [
        (field, "D", np.array([float(getattr(p, field)) for p in rows]), None)
        for field in ("value", "error", "min", "max")
    ]
    return [
        _text_column("name", list(parameters)),
        *numbers[:2],
        _text_column("unit", [p.unit for p in rows]),
        *numbers[2:],
        ("frozen", "L", np.array([p.frozen for p in rows], bool), None),
        _text_column("link", [p.link or "" for p in rows]),
        _text_column("prior", ["" if p.prior is None else p.prior.tag for p in rows]),
    ]


def _text_column(name: str, texts: list[str]) -> tuple[str, str, Any, None]:
    return name, f"{max([1, *map(len, texts)])}A", np.array(texts, dtype=str), None


def _card(value: Any) -> Any:
    """FITS headers know neither infinity nor NaN."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
