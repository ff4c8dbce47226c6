"""``gammajax stack``: the sum of datasets, as an index and its files."""

import argparse

from gammajax.cli.fit_input import check_folder, check_new
from gammajax.cli.info import datasets_table
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import make_console
from gammajax.datasets.io.paths import as_path

INDEX = "datasets.yaml"


def stack_command(args: argparse.Namespace) -> int:
    """The command: reads an index, writes FOLDER/datasets.yaml and what it names, shows the sum and the datasets."""
    set_up_jax(cache=not args.no_cache)
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.counts.base import CountsBase

    folder = as_path(args.output)
    check_folder(folder)
    check_new(folder, [INDEX], args.overwrite)
    datasets = Datasets.read(args.datasets)
    stacked = datasets.stack_reduce()
    Datasets({args.name: stacked}).write(folder / INDEX, overwrite=args.overwrite)
    if args.quiet:
        return 0
    console = make_console()
    shown = f"{args.name} (sum)" if args.name in datasets else args.name
    console.print(datasets_table(Datasets({shown: stacked}) + datasets, console))
    if any(isinstance(dataset, CountsBase) and dataset.mask_fit is not None for dataset in datasets):
        print("Fit ranges are not carried over: give one to the fit, with --energy-min and --energy-max.")
    print(f"Wrote {folder}/: {INDEX} and the files that it names")
    return 0
