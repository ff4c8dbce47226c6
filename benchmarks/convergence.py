"""Fits from scattered starts: how often they end in the best minimum known, and what they say of themselves if not.

    python benchmarks/convergence.py [--seed 1] [--starts 30] [--data jc_hess ...] [--models pl ecpl ...]
        [--simulated 20 [--counts 10 10000]] [--method scoring minuit gammapy] [--json FILE]

A problem is a real spectrum (or several, fitted together) and a spectral model. Starts are drawn as a user would choose
them: amplitudes within a factor 30 of the source's, indices within 1, and so on (`START`). A fit is *right* if it ends
less than 0.1 above the lowest statistic known for its problem (from the shared data, or lower in this run), a *lie* if
it says success more than 0.5 above that, *named* if it is right and says that a parameter has no best value or is not
constrained (many optima lie at infinity), *unsure* if it is right and says neither that nor success. *Finite* is the
share of right ones where the best statistic known was reached, by some fit, at a minimum that the data give to every
parameter. ``--simulated N``
takes N spectra of random truth, of so many counts, in place of the real ones. ``--method``: ours, Minuit fed with our
gradient, gammapy.
"""

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from measure import data_folder, fit_range, joint_crab_files, median, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)

RIGHT, LIE = 0.1, 0.5
NAMED = ("at_infinity", "unconstrained", "vanished", "flat")

START: dict[str, dict[str, tuple[str, float, float]]] = {
    # parameter: kind of scatter, centre, reach; amplitudes are in units of the source's at 1 TeV
    "pl": {"amplitude": ("factor", 1, 30), "index": ("add", 2.5, 1)},
    "pl2": {"amplitude": ("factor", 1, 30), "index": ("add", 2.5, 1)},
    "lp": {"amplitude": ("factor", 1, 30), "alpha": ("add", 2.5, 1), "beta": ("add", 0.1, 0.5)},
    "ebl": {"amplitude": ("factor", 1, 30), "index": ("add", 2.5, 1)},
    "ecpl": {"amplitude": ("factor", 1, 30), "index": ("add", 2.2, 1), "lambda_": ("1/energy", 1, 30)},
    "ecpl3": {"amplitude": ("factor", 1, 30), "index": ("add", 2.2, 1), "ecut": ("energy", 1, 30)},
    "ecpla": {
        "amplitude": ("factor", 1, 30),
        "index": ("add", 2.2, 1),
        "lambda_": ("1/energy", 1, 30),
        "alpha": ("factor", 1, 2),
    },
    "bpl": {
        "amplitude": ("factor", 1, 30),
        "index1": ("add", 2.2, 1),
        "index2": ("add", 2.8, 1),
        "ebreak": ("break", 1, 5),
    },
    "sbpl": {
        "amplitude": ("factor", 1, 30),
        "index1": ("add", 2.2, 1),
        "index2": ("add", 2.8, 1),
        "ebreak": ("break", 1, 5),
    },
    "secpl": {
        "amplitude": ("factor", 1, 30),
        "index_1": ("add", 2.2, 1),
        "index_2": ("factor", 1, 2),
        "expfactor": ("expfactor", 1, 30),
    },
    "pl+pl": {
        "amplitude": ("factor", 0.5, 30),
        "index": ("add", 2.2, 1),
        "amplitude_2": ("factor", 0.5, 30),
        "index_2": ("add", 2.8, 1),
    },
}

KINDS: dict[str, Callable[..., Any]] = {
    "pl": gj.PowerLawSpectralModel,
    "pl2": gj.PowerLaw2SpectralModel,
    "lp": gj.LogParabolaSpectralModel,
    "ecpl": gj.ExpCutoffPowerLawSpectralModel,
    "ecpl3": gj.ExpCutoffPowerLaw3FGLSpectralModel,
    "ecpla": gj.ExpCutoffPowerLawSpectralModel,
    "bpl": gj.BrokenPowerLawSpectralModel,
    "sbpl": gj.SmoothBrokenPowerLawSpectralModel,
    "secpl": gj.SuperExpCutoffPowerLaw4FGLSpectralModel,
}


@dataclass
class Data:
    """Datasets fitted together, with what starts need to know: amplitude of the source at 1 TeV, energies in TeV."""

    name: str
    datasets: gj.Datasets
    amplitude: float
    cutoff: float
    middle: float


def real_data() -> list[Data]:
    folder = data_folder() / "convergence"
    if not folder.is_dir():
        sys.exit("The spectra were not found: set GAMMAJAX_TEST_DATA to the folder that holds convergence/.")
    by_instrument: dict[str, dict[str, gj.SpectrumDatasetOnOff]] = {}
    for name, path in joint_crab_files().items():
        low, high = fit_range(name)
        dataset = gj.SpectrumDatasetOnOff.read(path).with_mask_fit(energy_min=low, energy_max=high, round_to_edge=False)
        for key in (name.split("_")[0], "all"):
            by_instrument.setdefault(key, {})[name] = dataset
    found = []
    for name, file, cutoff in (
        ("crab_stacked", "crab_stacked.fits", 10.0),
        ("sim_ECPL", "simulated_spectrum_dataset_ECPL.fits", 5.0),
    ):
        try:
            found.append(described(name, {"s": gj.SpectrumDatasetOnOff.read(folder / file)}, cutoff))
        except gj.InputError as error:
            print(f"{name} is left out: {error}")
    found += [described(f"jc_{k}", v, 1.0 if k == "fermi" else 10.0) for k, v in by_instrument.items()]
    return found


def described(name: str, datasets: Mapping[str, Any], cutoff: float) -> Data:
    data = gj.Datasets(dict(datasets))
    edges = [np.asarray(d.energy_edges)[:-1][np.asarray(d.mask)] for d in data]
    middle = float(np.exp(np.mean([np.log(e).mean() for e in edges if e.size])))
    spectrum = gj.PowerLawSpectralModel(amplitude=1e-11, index=2.5, reference=1.0)
    fitted = gj.fit(data, gj.Models([gj.SkyModel(spectrum, name="s")]))
    return Data(name, data, float(fitted.parameters["s.spectral.amplitude"].value), cutoff, middle)


def simulated_data(n: int, seed: int, counts: tuple[float, float] = (10, 1e4)) -> list[Data]:
    """Spectra of some counts of the source, of random truth, on the responses of the real ones."""
    random = np.random.default_rng(seed)
    made: list[Data] = []
    templates = [d for d in real_data() if len(d.datasets) == 1 and d.name != "jc_fermi"]
    while len(made) < n:
        template = templates[len(made) % len(templates)]
        dataset = next(iter(template.datasets))
        kind = random.choice(["pl", "lp", "ecpl", "bpl", "pl+pl"])
        truth = gj.Models([gj.SkyModel(model(kind, draw(kind, template, random, reach=0.3)), name="s")])
        expected = float(np.sum(np.asarray(gj.npred(dataset, truth))[np.asarray(dataset.mask)]))
        wanted = 10 ** random.uniform(*np.log10(counts))
        values = {p: float(truth.parameters[p].value) for p in truth.parameters.names if "amplitude" in p}
        truth = truth.with_values({p: v * wanted / expected for p, v in values.items()})
        fake = gj.fake(jax.random.PRNGKey(int(random.integers(2**31))), dataset, truth)
        made.append(described(f"sim{len(made)}_{kind}_{wanted:.0f}", {"s": fake}, template.cutoff))
    return made


def draw(kind: str, data: Data, random: np.random.Generator, reach: float = 1.0) -> dict[str, float]:
    """Start values of a model; ``reach`` below 1 keeps them nearer to the centre."""
    found: dict[str, float] = {}
    for name, (how, centre, width) in START[kind].items():
        s = random.uniform(-1, 1) * reach
        if how == "add":
            found[name] = centre + s * width
        elif how == "factor":
            found[name] = centre * width**s * (data.amplitude if name.startswith("amplitude") else 1.0)
        else:
            energy = {"energy": data.cutoff, "1/energy": data.cutoff, "expfactor": data.cutoff, "break": data.middle}
            found[name] = energy[how] * width**s
    if kind == "pl2":
        # of the integral from 1 TeV to 10 TeV
        index = found["index"]
        found["amplitude"] *= (1 - 10 ** (1 - index)) / (index - 1)
    if kind in ("bpl",):
        found["amplitude"] *= found["ebreak"] ** -found["index1"]
    if "lambda_" in found:
        found["lambda_"] = 1 / found["lambda_"]
    if "expfactor" in found:
        found["expfactor"] = (found["expfactor"] * 1e6) ** -found["index_2"]
    return found


def model(kind: str, values: Mapping[str, float]) -> Any:
    if kind == "pl+pl":
        first, second = (
            gj.PowerLawSpectralModel(amplitude=values[f"amplitude{s}"], index=values[f"index{s}"], reference=1.0)
            for s in ("", "_2")
        )
        return first + second
    if kind == "pl2":
        return KINDS[kind](emin=1.0, emax=10.0, **values)
    if kind == "bpl":
        return KINDS[kind](**values)
    if kind == "ecpla":
        return KINDS[kind](reference=1.0, **dict(values) | {"alpha": gj.Parameter(values["alpha"], frozen=False)})
    return KINDS[kind](reference=1.0, **values)


@dataclass
class End:
    """How a fit ended."""

    stat: float
    success: bool
    status: str
    evaluations: int
    seconds: float
    start: dict[str, float]
    end: list[float]


def fitted(data: Data, kind: str, start: dict[str, float], method: str) -> End:
    models = gj.Models([gj.SkyModel(model(kind, start), name="s")])
    if method == "gammapy":
        return fitted_by_gammapy(data, models, start)
    began = time.perf_counter()
    result = gj.fit(data.datasets, models, method)
    seconds = time.perf_counter() - began
    values = [float(result.parameters[n].value) for n in result.free_names]
    return End(float(result.stat), result.success, result.status, result.evaluations, seconds, start, values)


def fitted_by_gammapy(data: Data, models: gj.Models, start: dict[str, float]) -> End:
    """Minuit with gammapy's settings, and gammapy's own likelihood."""
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    peers = Datasets([gj.to_gammapy(d, name=n) for n, d in data.datasets.items()])
    peers.models = gj.to_gammapy(models)
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = Fit().optimize(peers)
    seconds = time.perf_counter() - began
    status = "converged" if result.success else "failed"
    values = [float(p.value) for p in result.parameters.free_parameters]
    return End(float(result.total_stat), bool(result.success), status, result.nfev, seconds, start, values)


def report(ends: dict[tuple[str, str], list[End]], best: dict[str, float]) -> list[list[str]]:
    """One line a model, and one for all: shares in percent."""
    rows = []
    kinds = list(dict.fromkeys(kind for _, kind in ends))
    for kind in [*kinds, "all"]:
        chosen = [(e, best[f"{d}/{k}"]) for (d, k), found in ends.items() if kind in (k, "all") for e in found]
        right = [e for e, b in chosen if e.stat < b + RIGHT]
        finite = [
            sum(e.stat < best[f"{d}/{k}"] + RIGHT for e in found) / len(found)
            for (d, k), found in ends.items()
            if kind in (k, "all") and any(e.success and e.stat < best[f"{d}/{k}"] + RIGHT for e in found)
        ]
        lies = [e for e, b in chosen if e.success and e.stat > b + LIE]
        named = [e for e in right if e.status in NAMED]
        unsure = [e for e in right if not e.success and e.status not in NAMED]
        rows.append(
            [
                kind, str(len(chosen)), *(f"{100 * len(x) / len(chosen):.1f}" for x in (right, lies, named, unsure)),
                f"{100 * float(np.mean(finite)):.1f} ({len(finite)})" if finite else "none",
                f"{median(e.evaluations for e, _ in chosen):.0f}",
                f"{median(e.seconds for e, _ in chosen) * 1e3:.1f}",
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--data", nargs="*")
    parser.add_argument("--models", nargs="*", choices=list(START))
    parser.add_argument("--simulated", type=int, default=0)
    parser.add_argument("--counts", nargs=2, type=float, default=(10, 1e4), help="least and most, of simulated ones")
    parser.add_argument("--method", nargs="*", default=["scoring"], choices=["scoring", "minuit", "gammapy"])
    parser.add_argument("--json")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    known = json.loads((data_folder() / "convergence" / "best.json").read_text())
    data = (
        simulated_data(arguments.simulated, arguments.seed, tuple(arguments.counts))
        if arguments.simulated
        else real_data()
    )
    data = [d for d in data if not arguments.data or d.name in arguments.data]
    by_method: dict[str, dict[tuple[str, str], list[End]]] = {m: {} for m in arguments.method}
    for number, one in enumerate(data):
        for kind in arguments.models or [k for k in START if k in KINDS or k == "pl+pl"]:
            if not arguments.simulated and f"{one.name}/{kind}" not in known:
                continue
            random = np.random.default_rng([arguments.seed, number, list(START).index(kind)])
            starts = [draw(kind, one, random) for _ in range(arguments.starts)]
            for method, ends in by_method.items():
                ends[one.name, kind] = [fitted(one, kind, start, method) for start in starts]
        print(one.name, flush=True)
    best = dict(known)
    for ends in by_method.values():
        for (name, kind), found in ends.items():
            key = f"{name}/{kind}"
            lowest = min((e.stat for e in found if np.isfinite(e.stat)), default=np.inf)
            if lowest < best.get(key, np.inf) - 1e-3:
                if key in known:
                    print(f"lower than known: {key} {lowest:.4f} < {known[key]:.4f}")
                best[key] = lowest
    for method, ends in by_method.items():
        print(f"\n{method}\n")
        header = ["model", "fits", "right %", "lies %", "named %", "unsure %", "finite %", "evaluations", "ms"]
        print(table(header, report(ends, best)))
        if arguments.verbose:
            for (name, kind), found in ends.items():
                for e in found:
                    above = e.stat - best[f"{name}/{kind}"]
                    if above > RIGHT or not e.success:
                        shown = " ".join(f"{v:.3g}" for v in e.start.values())
                        ended = " ".join(f"{v:.3g}" for v in e.end)
                        print(f"{name}/{kind} +{above:.3f} {e.status} {e.success} {e.evaluations}: {shown} -> {ended}")
    if arguments.json:
        with open(arguments.json, "w") as stream:
            json.dump(
                {m: {"/".join(k): [vars(e) for e in v] for k, v in ends.items()} for m, ends in by_method.items()},
                stream,
                indent=1,
            )


if __name__ == "__main__":
    main()
