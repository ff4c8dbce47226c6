"""``gammajax demo``: a simulated night on the Crab nebula, from raw responses to the fitted spectrum, and a map."""

import argparse
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
from astropy import units as u

from gammajax.cli.demo_array import (
    LIVETIME,
    NIGHT,
    START,
    TRUTH,
    Run,
    background_rate,
    effective_area,
    energy_resolution,
)
from gammajax.cli.demo_map import FILES, PICTURE, field_text, fit_field
from gammajax.cli.fit import FitOptions, fit_files
from gammajax.cli.fit_input import check_folder, check_new
from gammajax.cli.pictures import flux_points_of
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import is_ascii, make_console
from gammajax.datasets.arrays import Array
from gammajax.datasets.collection.datasets import Datasets
from gammajax.datasets.compile import QUICKEST, quick_programs
from gammajax.datasets.counts.simulate import fake
from gammajax.datasets.gti import GTI
from gammajax.datasets.io.paths import as_path
from gammajax.datasets.irf.edisp import EDispKernel
from gammajax.datasets.meta import Meta
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import SkyModel
from gammajax.datasets.models.spectral.builtin import LogParabolaSpectralModel
from gammajax.datasets.spectrum.dataset import SpectrumDatasetOnOff

if TYPE_CHECKING:
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.fit.result import FitResult

RECO_EDGES = np.logspace(-1, 2, 31)

TRUE_EDGES = np.logspace(np.log10(0.05), np.log10(200), 73)

ENERGY_MAX = 50.0


def empty_run(run: Run, number: int) -> tuple[SpectrumDatasetOnOff, np.ndarray]:
    """Responses of a run without counts, and the background expected in its source region per bin."""
    true_centre = np.sqrt(TRUE_EDGES[:-1] * TRUE_EDGES[1:])
    reco_centre = np.sqrt(RECO_EDGES[:-1] * RECO_EDGES[1:])
    # quarter hours for moving to the next position
    start = 86400.0 * 8400 + number * (LIVETIME + 900)
    dataset = SpectrumDatasetOnOff(
        energy_edges=RECO_EDGES,
        energy_true_edges=TRUE_EDGES,
        acceptance=1.0,
        acceptance_off=float(run.n_off),
        exposure=effective_area(run, true_centre) * LIVETIME,
        edisp=EDispKernel.from_gauss(TRUE_EDGES, RECO_EDGES, *energy_resolution(run, true_centre)),
        mask_safe=RECO_EDGES[:-1] > run.safe_threshold,
        livetime=LIVETIME,
        gti=GTI([start], [start + LIVETIME]),
        meta=Meta({"OBS_ID": run.name, "TELESCOP": "SIMULATED"}),
    )
    background = background_rate(run, reco_centre) * np.diff(RECO_EDGES) * LIVETIME
    fitted = dataset.with_mask_fit(energy_min=run.safe_threshold, energy_max=ENERGY_MAX, round_to_edge=False)
    return fitted, background


def crab(values: dict[str, float]) -> Models:
    """The model of the demo at given parameter values."""
    return Models([SkyModel(LogParabolaSpectralModel(**values, reference=1.0), name="crab")])


def simulate_night(seed: int = 0, runs: tuple[Run, ...] = NIGHT) -> Datasets:
    """On/off spectra of the night; the same seed gives the same counts."""
    keys = jax.random.split(jax.random.key(seed), len(runs))
    truth, night = crab(TRUTH), {}
    for number, (key, run) in enumerate(zip(keys, runs, strict=True)):
        dataset, background = empty_run(run, number)
        counts, counts_off = _draw(key, dataset, truth, background)
        night[run.name] = dataset.replace(counts=np.asarray(counts), counts_off=np.asarray(counts_off))
    return Datasets(night)


# it draws once
@quick_programs(options=QUICKEST)
def _draw(
    key: jax.Array, dataset: SpectrumDatasetOnOff, models: Models, background: Array
) -> tuple[Array | None, Array | None]:
    drawn = fake(key, dataset, models, npred_background=background)
    return drawn.counts, drawn.counts_off


def demo_command(args: argparse.Namespace) -> int:
    """The command: simulate, write, fit as a user would, compare with the truth; then the same with a small map."""
    set_up_jax(cache=not args.no_cache)
    folder = as_path(args.output)
    say = partial(print, flush=True) if not args.quiet else lambda *_: None
    check_folder(folder)
    check_new(folder, ["datasets.yaml", "models.yaml", *FILES, "results"], args.overwrite)
    say(f"Simulating {len(NIGHT)} runs of {LIVETIME / 60:.0f} min on the Crab nebula (seed {args.seed}).")
    write_night(folder, args.seed, args.overwrite)
    say(f"Wrote {folder}/: datasets.yaml with its spectra (OGIP), models.yaml with start values.")

    files, output = (folder / "datasets.yaml", folder / "models.yaml"), folder / "results"
    command = ["gammajax", "fit", *map(str, files), "-o", str(output)]
    command += ["--no-plots"] * args.no_plots + ["--overwrite"] * args.overwrite
    say(f"Running: {shlex.join(command)}")
    options = FitOptions(output, plots=not args.no_plots, overwrite=args.overwrite, quiet=args.quiet)
    result = fit_files(*files, options)
    points = flux_points_of(Datasets.read(files[0]), result, "crab")
    if points is not None:
        points.write(output / "flux-points-crab.ecsv", sed_type="dnde", overwrite=True)
    if not args.quiet:
        print_truth(result)
        if points is not None:
            print_points(points)
            print(f"Wrote {output}/flux-points-crab.ecsv")
    field = fit_field(folder, output, args.seed, not args.no_plots, args.overwrite)
    if not args.quiet:
        print(f"\n{field_text(field)}")
        print(f"Wrote {output}/: map-result.yaml, residual.fits.gz{f', {PICTURE}' * (not args.no_plots)}")
    return 0 if result.success and field.result.success else 1


def write_night(folder: Path, seed: int, overwrite: bool = False) -> None:
    """The files of the demo: spectra, index, models with start values."""
    simulate_night(seed).write(folder / "datasets.yaml", overwrite=overwrite)
    crab(START).write(folder / "models.yaml", overwrite=overwrite)


def print_truth(result: "FitResult") -> None:
    """Fitted values beside the simulated ones."""
    from gammajax.cli.report import format_value, rich_table

    console = make_console()
    plain = is_ascii(console)
    table = rich_table(console, "Parameter", "Simulated", "Fitted", "*Pull")
    for name, pull in pulls(result).items():
        p, truth = result.parameters[name], TRUTH[name.rsplit(".", 1)[-1]]
        value, error = float(p.value), float(p.error)
        fitted = format_value(value, error, p.unit, ascii_only=plain)
        table.add_row(name, format_value(truth, ascii_only=plain), fitted, f"{pull:+.2f}")
    console.print(table)
    console.print("Pull: (fitted - simulated) / error. Two in three lie within 1, nineteen in twenty within 2.")


def print_points(points: "FluxPoints") -> None:
    """Flux points as a table; of points that are limits the limit."""
    from gammajax.cli.report import format_value, rich_table

    console = make_console()
    plain = is_ascii(console)
    table = rich_table(console, "Energy [TeV]", "E2 dN/dE [TeV cm-2 s-1]", "*sqrt(TS)")
    low, high = (np.asarray(edge) for edge in (points.energy_min, points.energy_max))
    value, error, limit = (u.Quantity(points.quantity(f"e2dnde{s}")).value for s in ("", "_err", "_ul"))
    for i in np.flatnonzero(np.isfinite(value)):
        if points.is_ul[i]:
            flux = "< " + format_value(float(f"{limit[i]:.2e}"), ascii_only=plain)
        else:
            flux = format_value(float(value[i]), float(error[i]), ascii_only=plain)
        table.add_row(f"{low[i]:.3g} to {high[i]:.3g}", flux, f"{np.asarray(points.sqrt_ts)[i]:.1f}")
    console.print("Flux points, all runs jointly; limits at two standard deviations:")
    console.print(table)


def pulls(result: "FitResult") -> dict[str, float]:
    """(fitted - simulated) / error of the free parameters."""
    parameters = {name: p for name, p in result.parameters.items() if not p.frozen}
    return {n: (float(p.value) - TRUTH[n.rsplit(".", 1)[-1]]) / float(p.error) for n, p in parameters.items()}
