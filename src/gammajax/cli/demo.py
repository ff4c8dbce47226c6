"""``gammajax demo``: a simulated night on the Crab nebula, from raw responses to the fitted spectrum.

Everything is made of a few formulas with numbers typical of an array of four 12 m Cherenkov telescopes such as H.E.S.S.
(Aharonian et al. 2006, A&A 457, 899: some 1e5 m2 of effective area, an energy resolution of 15 %, several gamma rays a
minute from the Crab nebula). No instrument's data are used.
"""

import argparse
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np
from astropy import units as u

from gammajax.cli.fit import FitOptions, fit_files
from gammajax.cli.fit_input import check_folder, check_new
from gammajax.cli.pictures import flux_points_of
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import is_ascii, make_console
from gammajax.datasets.arrays import Array
from gammajax.datasets.collection.datasets import Datasets
from gammajax.datasets.counts.simulate import fake
from gammajax.datasets.gti import GTI
from gammajax.datasets.io.paths import as_path
from gammajax.datasets.irf.edisp import EDispKernel
from gammajax.datasets.meta import Meta
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import SkyModel
from gammajax.datasets.models.spectral.builtin import LogParabolaSpectralModel
from gammajax.datasets.spectrum.dataset import SpectrumDatasetOnOff
from gammajax.kernels.programs import programs

if TYPE_CHECKING:
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.fit.result import FitResult

LIVETIME = 28 * 60.0

TRUTH = {"amplitude": 3.85e-11, "alpha": 2.5, "beta": 0.1}
"""Log parabola at 1 TeV, near the joint fit of Nigro et al. 2019 (A&A 625, A10)."""

START = {"amplitude": 1e-11, "alpha": 2.0, "beta": 0.0}

RECO_EDGES = np.logspace(-1, 2, 31)

TRUE_EDGES = np.logspace(np.log10(0.05), np.log10(200), 73)

ENERGY_MAX = 50.0


@dataclass(frozen=True)
class Run:
    """Pointing of one run: zenith angle and offset of the source from the centre of the field of view, in degrees."""

    name: str
    zenith: float
    offset: float

    @property
    def n_off(self) -> int:
        """Background regions on the ring around the pointing, less those too near to the source."""
        return max(int(2 * np.pi * self.offset / 0.33) - 3, 3)

    @property
    def area_threshold(self) -> float:
        """Energy (TeV) at which half of the showers are recorded: there is more air towards the horizon."""
        return 0.25 * np.cos(np.deg2rad(self.zenith)) ** -2.5

    @property
    def safe_threshold(self) -> float:
        """Energy (TeV) above which the energy scale is biased by less than 10 %."""
        return 0.9 * self.area_threshold


NIGHT = (
    Run("run-1", 46.0, 0.5),
    Run("run-2", 44.7, 0.5),
    Run("run-3", 45.2, 0.7),
    Run("run-4", 48.3, 0.5),
    Run("run-5", 52.6, 0.7),
    Run("run-6", 57.4, 1.0),
)
"""The Crab nebula passes the zenith of southern sites at some 45 degrees."""


def recorded_share(run: Run, energy: np.ndarray) -> np.ndarray:
    """Share of the showers that trigger and pass the cuts at ``energy`` (TeV): as E^2.2 far below the threshold."""
    return 1 / (1 + (run.area_threshold / energy) ** 2.2)


def effective_area(run: Run, energy: np.ndarray) -> np.ndarray:
    """Effective area in cm2: 3e5 m2 at high energies, more at large zenith angles, less off axis."""
    light_pool = 3e9 * np.cos(np.deg2rad(run.zenith)) ** -1.5
    return light_pool * np.exp(-((run.offset / 1.9) ** 2)) * recorded_share(run, energy)


def energy_resolution(run: Run, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative width and bias of the reconstructed energy: 15 % and none far above the threshold.

    Below it only showers that fluctuate upwards are recorded.
    """
    distance = energy / run.area_threshold
    return 0.14 + 0.06 / (1 + distance**2), 0.35 / (1 + (2 * distance) ** 1.8)


def background_rate(run: Run, energy: np.ndarray) -> np.ndarray:
    """Cosmic rays taken for gamma rays, in s-1 TeV-1 within the source region, at reconstructed ``energy`` (TeV).

    They follow the spectrum of cosmic rays, E^-2.7.
    """
    return 0.012 * energy**-2.7 * np.exp(-((run.offset / 2.2) ** 2)) * recorded_share(run, energy)


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


@programs()
def _draw(
    key: jax.Array, dataset: SpectrumDatasetOnOff, models: Models, background: Array
) -> tuple[Array | None, Array | None]:
    drawn = fake(key, dataset, models, npred_background=background)
    return drawn.counts, drawn.counts_off


def demo_command(args: argparse.Namespace) -> int:
    """The command: simulate, write, fit as a user would, compare with the truth."""
    set_up_jax(cache=not args.no_cache)
    folder = as_path(args.output)
    say = partial(print, flush=True) if not args.quiet else lambda *_: None
    check_folder(folder)
    check_new(folder, ["datasets.yaml", "models.yaml", "results"], args.overwrite)
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
    return 0 if result.success else 1


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
