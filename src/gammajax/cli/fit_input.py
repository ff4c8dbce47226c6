"""What commands read, and where they write."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import Filename, as_path
from gammajax.datasets.units import warn_of_cut_bins

if TYPE_CHECKING:
    from astropy import units as u

    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.counts.dataset import CountsDataset


CURE = "Give an edge of the bins to choose."


def check_folder(folder: Path) -> None:
    """Results can be written there; found out before a long fit, not after it."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir():
        raise InputError(f"{folder}: cannot write there, {existing} is a file. Choose another folder with --output.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot write there, {existing} may not be changed. Choose another with --output.")


def check_new(folder: Path, names: list[str], overwrite: bool) -> None:
    """None of the files exists yet, unless they may be replaced."""
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(
            f"{folder}: results are there already ({', '.join(there[:3])}{' ...' if len(there) > 3 else ''}). "
            "Choose another folder with --output, or replace them with --overwrite."
        )


def read_datasets_or_spectrum(filename: Filename) -> "Datasets":
    """The datasets of an index, or a single spectrum under the name of its file."""
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.collection.registry import read_dataset

    path = as_path(filename)
    if path.name.endswith((".yaml", ".yml", ".yaml.gz", ".yml.gz")):
        return Datasets.read(path)
    return Datasets({path.name.split(".")[0]: read_dataset(path)})


def with_range(datasets: "Datasets", energy_min: str | None, energy_max: str | None) -> "Datasets":
    """The datasets with their fitted bins narrowed to an energy range."""
    if energy_min is None and energy_max is None:
        return datasets
    low, high = parse_energy(energy_min, "--energy-min"), parse_energy(energy_max, "--energy-max")
    narrowed = {}
    for name, dataset in datasets.items():
        # flux points have both methods, too
        binned = cast("CountsDataset", dataset)
        # flux points have a range each
        edges = getattr(binned, "energy_edges", None)
        if edges is not None:
            cut = np.asarray(edges)
            warn_of_cut_bins(
                cut[:-1], cut[1:], (low, high), f"--energy-min, --energy-max: {name}", "which is not fitted", CURE
            )
        mask = np.asarray(binned.with_mask_fit(energy_min=low, energy_max=high, round_to_edge=False).mask_fit)
        narrowed[name] = binned.with_mask_fit(mask if binned.mask_fit is None else mask & np.asarray(binned.mask_fit))
    return type(datasets)(narrowed)


def parse_energy(text: str | None, option: str) -> "u.Quantity | None":
    """An energy such as "0.5TeV"; a bare number is in TeV."""
    from astropy import units as u

    if text is None:
        return None
    try:
        energy = u.Quantity(text)
    except (TypeError, ValueError):
        energy = None
    if energy is not None and energy.unit == u.dimensionless_unscaled:
        energy = energy.value * u.TeV
    if energy is None or not energy.isscalar or not energy.unit.is_equivalent("TeV") or not energy > 0 * u.TeV:
        raise InputError(f"{option}: found {text!r}, expected an energy such as 0.5TeV or 500GeV.")
    return energy


def energies(texts: Sequence[str], option: str = "--energy-edges") -> np.ndarray:
    """Edges of bands in TeV from texts such as "500GeV" and "1"."""
    found = [parse_energy(text, option) for text in texts]
    return np.array([e.to_value("TeV") for e in found if e is not None])


LONGEST = 100
"""Letters of a name in the name of a file."""


def file_names(wanted: Iterable[tuple[str, str]], ending: str) -> dict[tuple[str, str], str]:
    """A file for each of (kind, name of a dataset or model), in letters that every file system knows, no two alike."""
    names: dict[tuple[str, str], str] = {}
    for kind, name in wanted:
        stem, taken = kind + "-" + re.sub(r"[^\w.+-]", "_", name)[:LONGEST], {n.lower() for n in names.values()}
        numbers = ("", *(f"-{i}" for i in range(2, len(taken) + 3)))
        names[kind, name] = next(f"{stem}{n}{ending}" for n in numbers if f"{stem}{n}{ending}".lower() not in taken)
    return names
