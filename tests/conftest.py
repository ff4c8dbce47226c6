import ctypes
import gc
import importlib
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from cases.devices import compile_quickest

from gammajax.datasets.compile import QUICKEST, with_flags

# The time of this suite is the compilation of programs that run a few times each, so that none is optimised.
# CI runs the demo, the examples and the documentation by themselves, as users do. XLA_FLAGS given from outside hold.
os.environ["XLA_FLAGS"] = with_flags(os.environ.get("XLA_FLAGS", ""), QUICKEST)

MOST_MEMORY = 2**32
"""Bytes above which a test process lets go of its compiled programs after a file."""

LOG10_BETA = 0.24 / np.log(10)  # of the published log parabola

jax.config.update("jax_enable_x64", True)
# once JAX runs it keeps its devices: one, whatever command lines ask for that run in this process
jax.devices()


@pytest.fixture(scope="session", autouse=True)
def quickest_programs():
    """The programs of fits, which have options of their own, likewise."""
    importlib.import_module("gammajax")
    compile_quickest()


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """Compiled programs stay in memory: a few GB for the whole suite.

    What is let go of has to go back to the system: else memory would stay above the limit, and from then on every file
    would compile anew what those before it had compiled.
    """
    yield
    status = Path("/proc/self/statm")
    if status.exists() and int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") > MOST_MEMORY:
        importlib.import_module("gammajax").clear_programs()
        jax.clear_caches()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


@pytest.fixture(scope="session")
def data_path():
    """Folder of the real test data, which is not part of the project."""
    given = os.environ.get("GAMMAJAX_TEST_DATA")
    path = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("real test data not found: set GAMMAJAX_TEST_DATA to its folder")
    return path


@pytest.fixture(scope="session")
def joint_crab(data_path):
    """The ten on/off spectra of the joint Crab analysis in their fit ranges, and gammapy's reference numbers."""
    import gammajax as gj

    folder = data_path / "joint-crab"
    reference = json.loads((folder / "reference.json").read_text())
    datasets = {}
    for entry in reference["datasets"]:
        instrument, rest = entry["name"].split("_", 1)
        low, high = reference["settings"]["ranges_TeV"][instrument]
        dataset = gj.SpectrumDatasetOnOff.read(folder / "spectra" / instrument / f"pha_{rest}.fits")
        datasets[entry["name"]] = dataset.with_mask_fit(energy_min=low, energy_max=high, round_to_edge=False)
    return gj.Datasets(datasets), reference, np.load(folder / "reference.npz")


@pytest.fixture(scope="session")
def log_parabola():
    """Factory of the joint Crab model."""
    import gammajax as gj

    def make(amplitude=3.8e-11, alpha=2.47, beta=LOG10_BETA):
        spectrum = gj.LogParabolaSpectralModel(amplitude=amplitude, alpha=alpha, beta=beta, reference=1.0)
        return gj.Models([gj.SkyModel(spectrum, name="crab")])

    return make


@pytest.fixture(scope="session")
def spectrum_factory():
    """Factory of small simulated spectra with a power law of index 2.5, on/off or with a known background."""
    import gammajax as gj

    def make(seed=0, *, on_off=True, n_reco=12, n_true=16, amplitude=3e-11, exposure=3e12, noise=True, background=40.0):
        true, reco = np.geomspace(0.1, 100, n_true + 1), np.geomspace(0.2, 50, n_reco + 1)
        edisp = gj.EDispKernel.from_gauss(true, reco, 0.15)
        centre = np.sqrt(true[:-1] * true[1:])
        area = exposure * centre / (1 + centre / 3)
        background = background * (reco[:-1] / reco[0]) ** -1.5
        model = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=amplitude), name="source")])
        common = {"energy_true_edges": true, "exposure": area, "edisp": edisp, "livetime": 1500.0}
        if on_off:
            dataset = gj.SpectrumDatasetOnOff(reco, acceptance_off=8.0, **common)
            draw = {"npred_background": background}
        else:
            dataset, draw = gj.SpectrumDataset(reco, background=background, **common), {}
        if noise:
            return gj.fake(jax.random.key(seed), dataset, model, **draw)
        return gj.asimov(dataset, model, **draw)

    return make


@pytest.fixture(scope="session")
def power_law():
    """Factory of the model that `spectrum_factory` simulates."""
    import gammajax as gj

    def make(index=2.5, amplitude=3e-11):
        return gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=index, amplitude=amplitude), name="source")])

    return make


@pytest.fixture(scope="session")
def background_runs_factory(spectrum_factory):
    """Factory of runs with a known background each, and a model with a source and the norm and tilt of each run."""
    import gammajax as gj

    def make(number, seed, **fields):
        datasets = gj.Datasets({f"run-{i}": spectrum_factory(seed + i, on_off=False, **fields) for i in range(number)})
        norm = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0))
        backgrounds = [gj.FoVBackgroundModel(norm, datasets_names=name) for name in datasets.names]
        source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.0, amplitude=1e-11), name="source")
        return datasets, gj.Models([source, *backgrounds])

    return make


@pytest.fixture
def command_line(monkeypatch):
    """The command line changes settings of its process, and here that is the process of the tests."""
    from gammajax.cli import session

    before = jax.config.jax_enable_x64
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
    monkeypatch.setattr(session, "cache_folder", lambda jaxlib: None)
    yield
    jax.config.update("jax_enable_x64", before)
