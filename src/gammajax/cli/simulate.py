"""``gammajax simulate``: datasets with counts drawn from models, and lists of events."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gammajax.cli.fit_input import check_folder, check_new, read_datasets_or_spectrum
from gammajax.cli.info import datasets_table
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import make_console
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import Filename, as_path

if TYPE_CHECKING:
    import jax

    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.counts.dataset import CountsDataset
    from gammajax.datasets.dataset import Dataset
    from gammajax.datasets.events.list import EventList
    from gammajax.datasets.models.collection import Models

INDEX, MODELS = "datasets.yaml", "models.yaml"


def simulate_command(args: argparse.Namespace) -> int:
    """The command: reads an index and models, writes FOLDER/datasets.yaml, models.yaml and, if asked, event lists."""
    set_up_jax(cache=not args.no_cache)
    simulate_files(args.datasets, args.models, as_path(args.output), args.seed, args.events, args.overwrite, args.quiet)
    return 0


def simulate_files(
    datasets_file: Filename,
    models_file: Filename,
    folder: Path,
    seed: int = 0,
    events: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> "Datasets":
    """Simulate all datasets of an index and write them under their names; the `Datasets`.

    Dataset number i is drawn with the key ``jax.random.fold_in(jax.random.key(seed), i)``. With ``events`` its counts
    are those of the events, which go to NAME_events.fits; off counts are drawn as without. The lists hold the events of
    all bins, the printed table the counts of the safe and fitted ones.
    """
    import jax

    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.counts.simulate import fake
    from gammajax.datasets.models.collection import Models

    check_folder(folder)
    datasets = read_datasets_or_spectrum(datasets_file)
    models = Models.read(models_file)
    files = event_files(datasets.names) if events else {}
    check_new(folder, [INDEX, MODELS, *files.values()], overwrite)
    key = jax.random.key(seed)
    drawn: dict[str, Dataset] = {}
    lists: dict[str, EventList] = {}
    for i, (name, dataset) in enumerate(datasets.items()):
        try:
            own = jax.random.fold_in(key, i)
            # what is none of counts is an error of `fake`
            counted = cast("CountsDataset", dataset)
            simulated = fake(own, counted, models, name)
            if events:
                # the off counts of the dataset are still the ones that were given
                simulated, lists[name] = with_events(own, counted, simulated, models, name)
        except InputError as error:
            raise InputError(f"dataset {name!r}: {error}") from error
        drawn[name] = simulated
    simulated_all = Datasets(drawn)
    simulated_all.write(folder / INDEX, overwrite=overwrite)
    models.write(folder / MODELS, overwrite=overwrite)
    for name, found in lists.items():
        found.write(folder / files[name], overwrite=overwrite)
    if not quiet:
        make = make_console()
        make.print(datasets_table(simulated_all, make))
        number = (
            f", and {sum(map(len, lists.values()))} events in {len(lists)} files NAME_events.fits (events outside the "
            "safe and fit bins are in the files, not in the counts of the table)"
            if events
            else ""
        )
        print(f"Wrote {folder}/: {INDEX} and the files that it names, {MODELS}{number}")
    return simulated_all


def with_events(
    key: "jax.Array", dataset: "CountsDataset", simulated: "CountsDataset", models: "Models", name: str
) -> "tuple[CountsDataset, EventList]":
    """``simulated`` with the counts of an event list, and the list."""
    from gammajax.datasets.events.sample import bin_events, sample_events

    found = sample_events(key, dataset, models, name)
    return simulated.replace(counts=bin_events(found, dataset).counts), found


def event_files(names: Sequence[str]) -> dict[str, str]:
    """File names of the event lists, by the names of the datasets."""
    files: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^\w.+-]", "_", name)
        taken = {n.lower() for n in files.values()}
        numbers = (f"-{i}" for i in range(2, len(names) + 2))
        files[name] = next(
            f"{stem}{s}_events.fits" for s in ("", *numbers) if f"{stem}{s}_events.fits".lower() not in taken
        )
    return files
