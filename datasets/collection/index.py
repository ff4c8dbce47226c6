"""The YAML index of datasets, as gammapy writes it: names, types and files.

An entry may have ``mask_fit``, which gammapy ignores, and which replaces the fit mask in the file::

    datasets:
    -   name: hess-23523
        type: SpectrumDatasetOnOff
        filename: pha_obshess-23523.fits
        mask_fit: {energy_min: 0.66 TeV, energy_max: 30 TeV}

Bins wholly inside the range are fitted. A mask that is no range is written as ``mask_fit: {bins: [false, true, ...]}``,
one per energy; fit masks of maps that differ from pixel to pixel are in the files only.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from astropy import units as u

from ..counts.base import CountsBase
from ..dataset import Dataset
from ..errors import InputError, warn
from ..io.fits import naming
from ..io.ogip_write import sibling_paths
from ..io.paths import Filename, as_path, existing, write_files
from ..io.yaml import dump_index, load_yaml
from ..units import Given
from .lazy import LazyDataset
from .registry import DATASET_TYPES, DatasetType, dataset_type

LONGEST = 100
"""Letters of a name that become part of a file name."""


@runtime_checkable
class HasEnergies(Protocol):
    """A dataset whose fit mask may be a range of energies."""

    @property
    def data_shape(self) -> tuple[int, ...]: ...

    def energy_mask(self, energy_min: Given | None = None, energy_max: Given | None = None) -> np.ndarray: ...


def read_index(filename: Filename, lazy: bool = False) -> list[tuple[str, Dataset | LazyDataset]]:
    """Names and datasets of a YAML index and the files it names, which are looked for beside it, then as given.

    With ``lazy`` a file is read when its dataset is first asked for; the index is checked, and that the files are
    there, at once. A checksum that does not match gives a warning: the index may have been edited on purpose.
    """
    path = as_path(filename)
    data = load_yaml(path)
    _verify(data, path)
    if not isinstance(data.get("datasets"), list):
        raise InputError(
            f"{path}: not an index of datasets: found the keys {list(data)}, expected 'datasets' with a list."
        )
    found: list[tuple[str, Dataset | LazyDataset]] = []
    for i, entry in enumerate(data["datasets"]):
        with naming(path):
            dataset = _entry(entry, i, path)
            found.append((dataset.name, dataset if lazy else dataset.load()))
    return found


def _verify(data: dict[str, Any], path: Path) -> None:
    """Take the checksum out of ``data`` and compare it, if there is one."""
    stored = data.pop("checksum", None)
    if stored is not None and stored != _checksum(dump_index(data)):
        warn(
            f"{path}: the checksum does not match, so the file was changed after it was written. "
            "If this was on purpose, remove the line 'checksum'."
        )


def _checksum(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _entry(entry: object, i: int, index: Path) -> LazyDataset:
    if not isinstance(entry, dict):
        raise InputError(f"datasets[{i}]: found {entry!r}, expected a mapping with name, type and filename.")
    missing = [key for key in ("name", "type", "filename") if key not in entry]
    if missing:
        raise InputError(
            f"datasets[{i}]: {', '.join(missing)} missing, found {', '.join(map(str, entry))}. Add it to the entry."
        )
    name, kind, file = str(entry["name"]), entry["type"], entry["filename"]
    if not isinstance(kind, str) or kind not in DATASET_TYPES:
        raise InputError(
            f"dataset {name!r}: the type {kind!r} cannot be read; this version reads {', '.join(DATASET_TYPES)}. "
            "Remove the entry, or make the type known with gammajax.register_dataset."
        )
    given = as_path(file)
    beside = index.parent / given
    path = beside if existing(beside) is not None or existing(given) is None else given
    if existing(path) is None:
        raise InputError(f"dataset {name!r}: {path}: the file was not found. Correct filename in the index.")
    return LazyDataset(name, kind, partial(_read, kind, path, entry.get("mask_fit"), name, index))


def _read(kind: str, path: Path, mask_fit: object, name: str, index: Path) -> Dataset:
    with naming(index):
        dataset = DATASET_TYPES[kind].read(path)
        if mask_fit is None:
            return dataset
        with naming(f"dataset {name!r}"):
            if not isinstance(dataset, HasEnergies):
                raise InputError(f"mask_fit: {kind} has no fit mask in energy. Remove the entry mask_fit.")
            return dataset.replace(mask_fit=_read_mask(mask_fit, dataset))


def _read_mask(entry: object, dataset: HasEnergies) -> np.ndarray:
    form = "expected {energy_min: 0.66 TeV, energy_max: 30 TeV} or {bins: [false, true, ...]}"
    if not isinstance(entry, dict) or not entry or set(entry) - {"energy_min", "energy_max", "bins"}:
        raise InputError(f"mask_fit: found {entry!r}, {form}.")
    if "bins" in entry:
        bins = entry["bins"]
        if len(entry) > 1 or not isinstance(bins, list) or not all(isinstance(b, bool) for b in bins):
            raise InputError(f"mask_fit: found {entry!r}, {form}.")
        if len(bins) != dataset.data_shape[0]:
            raise InputError(
                f"mask_fit: found {len(bins)} bins, expected {dataset.data_shape[0]}, one per energy bin of the file."
            )
        return _for_pixels(np.array(bins), dataset)
    limits = {}
    for key, text in entry.items():
        try:
            limits[key] = u.Quantity(text)
        except (TypeError, ValueError) as error:
            raise InputError(f"mask_fit: {key} is {text!r}, expected an energy such as '0.66 TeV'.") from error
        if not limits[key].isscalar or not limits[key].unit.is_equivalent("TeV") or not np.isfinite(limits[key].value):
            raise InputError(f"mask_fit: {key} is {text!r}, expected an energy such as '0.66 TeV'.")
    return dataset.energy_mask(**limits)


def _for_pixels(bins: np.ndarray, dataset: HasEnergies) -> np.ndarray:
    """A mask in energy, of the shape of the counts."""
    return np.broadcast_to(bins.reshape(-1, *(1 for _ in dataset.data_shape[1:])), dataset.data_shape)


def write_index(
    named: Iterable[tuple[str, Dataset]],
    filename: Filename,
    overwrite: bool = False,
    further: Mapping[Path, bytes] | None = None,
) -> None:
    """Write a YAML index and the files of every dataset beside it, and ``further`` ones; all of them or none.

    On/off spectra are written in the OGIP form, or in gammapy's GADF region form where they lack what OGIP needs (a
    livetime); spectra with known background in the GADF region form; maps in the GADF form; flux points as FITS tables.
    gammapy reads the result with `Datasets.read`. Other types are written by themselves: see `register_dataset`.
    """
    path = as_path(filename)
    files: dict[Path, bytes] = dict(further or {})
    entries = []
    for name, dataset in named:
        form = dataset_type(dataset)
        if form is None:
            raise InputError(
                f"dataset {name!r}: {type(dataset).__name__} cannot be written; this version writes "
                f"{', '.join(DATASET_TYPES)}. Make another type known with gammajax.register_dataset."
            )
        target = _target(path.parent, name, form, {path, *files})
        with naming(f"dataset {name!r}"):
            files |= form.contents(dataset, target, name)
        entry: dict[str, object] = {"name": name, "type": form.word or dataset.tag, "filename": target.name}
        # other types have their masks in their files
        if isinstance(dataset, CountsBase) and dataset.mask_fit is not None:
            entry |= _mask_entry(np.asarray(dataset.mask_fit), dataset)
        entries.append(entry)
    text = dump_index({"datasets": entries, "metadata": {"creator": "gammajax"}})
    # the index comes last: once it is there, all it names is there
    files[path] = (text + dump_index({"checksum": _checksum(text)})).encode()
    write_files(files, overwrite)


def _target(folder: Path, name: str, form: DatasetType, taken: set[Path]) -> Path:
    """A file name that no other file of this index has, in letters that every program and file system knows."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = form.stem + (re.sub(r"[^\w.+-]", "_", plain)[:LONGEST] or "dataset")
    for suffix in ("", *(f"-{i}" for i in range(2, len(taken) + 3))):
        path = folder / f"{stem}{suffix}{form.suffix}"
        if not taken & {path, *sibling_paths(path).values()}:
            break
    return path


def _mask_entry(mask: np.ndarray, dataset: CountsBase) -> dict[str, object]:
    """The fit mask as an entry of the index, where it is one of energies."""
    bins = mask.reshape(dataset.n_reco, -1)[:, 0]
    if not np.array_equal(_for_pixels(bins, dataset), mask):
        return {}
    inside = np.flatnonzero(bins)
    if inside.size:
        low, high = (float(dataset.energy_edges[i]) for i in (inside[0], inside[-1] + 1))
        if np.array_equal(dataset.energy_mask(low, high), mask):
            return {"mask_fit": {"energy_min": f"{low!r} TeV", "energy_max": f"{high!r} TeV"}}
    return {"mask_fit": {"bins": [bool(b) for b in bins]}}
