"""``gammajax info``: what files hold, as tables."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import is_ascii, make_console
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import as_path

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.dataset import Dataset
    from gammajax.datasets.models.collection import Models

YAML_ENDINGS = (".yaml", ".yml", ".yaml.gz", ".yml.gz")


def info_command(args: argparse.Namespace) -> int:
    """The command. All files are read before anything is printed."""
    set_up_jax()
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.collection.registry import read_dataset

    tables: list[tuple[str, Datasets | Models]] = []
    spectra: dict[str, Dataset] = {}
    for file in args.files:
        path = as_path(file)
        if not path.name.endswith(YAML_ENDINGS):
            name = path.name.split(".")[0]
            spectra[str(path) if name in spectra else name] = read_dataset(path)
            continue
        tables.append((str(path), _read_yaml(path)))
    if spectra:
        tables.insert(0, ("", Datasets(spectra)))

    console = make_console()
    for title, content in tables:
        if title:
            console.print(title, soft_wrap=True)
        console.print(
            datasets_table(content, console) if isinstance(content, Datasets) else _models_table(content, console)
        )
    return 0


def _read_yaml(path: Path) -> "Datasets | Models":
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.io.yaml import load_yaml
    from gammajax.datasets.models.collection import Models

    keys = load_yaml(path)
    if "datasets" in keys:
        return Datasets.read(path)
    if "components" in keys:
        return Models.read(path)
    raise InputError(
        f"{path}: neither an index of datasets nor models: found the keys {list(keys)}, "
        "expected 'datasets' or 'components'."
    )


def datasets_table(datasets: "Datasets", console: "Console") -> "Table":
    """The columns of `info_table` that fit a terminal."""
    from gammajax.cli.report import MOST_ROWS, rich_table, with_rest

    info = datasets.info_table()
    columns = ("*Counts", "*Off", "*Alpha", "*Excess", "*Signif.", "*Live\n[min]", "*Fit\nbins", "*Fit range\n[TeV]")
    shown = rich_table(console, "Dataset", *columns)
    for row in info[:MOST_ROWS]:
        keys = ("counts", "counts_off", "alpha", "excess", "sqrt_ts", "livetime")
        # flux points have none of these
        counts, off, alpha, excess, significance, livetime = (
            row[key] if key in info.colnames else math.nan for key in keys
        )
        shown.add_row(
            str(row["name"]),
            _number(counts, ".6g"),
            _number(off, ".6g"),
            _number(alpha, ".4g"),
            _number(excess, ".1f"),
            _number(significance, ".1f"),
            _number(livetime / 60, ".1f"),
            f"{row['n_fit_bins']}/{row['n_bins']}",
            f"{_number(row['energy_min'], '.3g')} - {_number(row['energy_max'], '.3g')}",
        )
    return with_rest(shown, len(info))


def _number(value: float, form: str) -> str:
    return f"{float(value):{form}}" if math.isfinite(value) else "-"


def _models_table(models: "Models", console: "Console") -> "Table":
    from gammajax.cli.report import format_value, rich_table
    from gammajax.datasets.models.collection import Models

    shown = rich_table(console, "Model", "Type", "Parameter", "Value", "Bounds", "")
    for model in models:
        main = getattr(model, "spectral", model)
        kind = type(main).__name__.removesuffix("SpectralModel")
        parts = Models(model).parameters
        for number, (name, p) in enumerate(parts.items()):
            value = format_value(
                float(p.value), 0.0 if p.frozen else float(p.error), p.unit, ascii_only=is_ascii(console)
            )
            bounds = "" if math.isinf(p.min) and math.isinf(p.max) else f"{p.min:.4g} ... {p.max:.4g}"
            remarks = ["frozen"] * p.frozen + [f"link {p.link}"] * bool(p.link) + ["prior"] * (p.prior is not None)
            head = (model.name, kind) if number == 0 else ("", "")
            shown.add_row(
                *head, name.removeprefix(f"{model.name}.").removeprefix("spectral."), value, bounds, ", ".join(remarks)
            )
        if model.datasets_names is not None:
            shown.add_row("", "", f"on {', '.join(model.datasets_names)}", "", "", "")
    return shown
