"""The examples run, and do what they say."""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import gammajax as gj
from gammajax.cli.demo import TRUTH, crab, pulls, simulate_night

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    tested = {"joint_fit", "fit_map", "gradients", "neural_spectrum", "stack_and_compare", "folder_to_results"}
    assert tested == {path.stem for path in EXAMPLES.glob("*.py")}


def test_joint_fit(tmp_path, capsys):
    result = load("joint_fit").main(tmp_path / "sed.png")
    assert result.success
    assert max(abs(pull) for pull in pulls(result).values()) < 4
    assert (tmp_path / "sed.png").read_bytes().startswith(b"\x89PNG")
    assert "dN/dE at 10 TeV" in capsys.readouterr().out


def test_fit_map(capsys):
    example = load("fit_map")
    result = example.main()
    assert result.success and len(result.free_names) == 6
    truth = {"background.spectral.norm": 1.0} | {
        name: example.TRUTH[name.rsplit(".", 1)[-1]] for name in result.free_names[:-1]
    }
    for name, value in truth.items():
        p = result.parameters[name]
        assert abs(float(p.value) - value) < 4 * float(p.error), name
    # about a tenth of a pixel is what the counts allow
    assert 0.002 < float(result.parameters["nebula.spatial.lon_0"].error) < 0.01
    assert "nebula.spatial.sigma: " in capsys.readouterr().out


def test_gradients(capsys):
    result, slopes, samples, accepted = load("gradients").main()
    night = simulate_night(seed=1)[:3]
    for name, step in (("crab.spectral.alpha", 1e-5), ("crab.spectral.amplitude", 1e-16)):
        value = TRUTH[name.rsplit(".", 1)[-1]]
        low, high = (float(gj.stat_sum(night, crab(TRUTH).with_values({name: value + d}))) for d in (-step, step))
        np.testing.assert_allclose(slopes[name], (high - low) / (2 * step), rtol=1e-4)
    assert accepted > 0.8
    for i, name in enumerate(result.free_names):
        p = result.parameters[name]
        assert abs(samples[:, i].mean() - float(p.value)) < 0.5 * float(p.error)
        assert 0.7 < samples[:, i].std() / float(p.error) < 1.4


def test_stack_and_compare(capsys):
    total, alone, together, events = load("stack_and_compare").main()
    night = simulate_night(seed=1)
    assert total.counts.sum() == sum(run.counts[np.asarray(run.mask_safe)].sum() for run in night)
    beta = [result.parameters["crab.spectral.beta"] for result in (alone, together)]
    # points at low energies hold the curvature
    assert float(beta[1].error) < 0.5 * float(beta[0].error)
    assert all(abs(float(b.value) - 0.1) < 3 * float(b.error) for b in beta)
    counts = float(night[0].counts.sum())
    assert abs(len(events.energy) - counts) < 5 * np.sqrt(2 * counts)
    assert "sigma" in capsys.readouterr().out


def test_neural_spectrum(capsys):
    result, ratio = load("neural_spectrum").main()
    night = simulate_night(seed=1)
    assert result.stat < float(gj.stat_sum(night, crab(TRUTH))) + 3
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)


def test_folder_to_results(tmp_path):
    example = load("folder_to_results")
    example.simulate(tmp_path)
    result, points, curve, residual = example.analyse(tmp_path)
    assert result.success and points.n_points == 4 and curve.n_times == 3
    index = result.parameters["crab.spectral.index"]
    assert abs(float(index.value) - 2.4) < 4 * float(index.error)
    truth = 3e-11 * float(points.energy_ref[0]) ** -2.4
    assert abs(points.dnde.value[0] - truth) < 4 * points.dnde_err.value[0]
    assert abs(np.nanmean(residual["residual"])) < 0.3 and 0.8 < np.nanstd(residual["residual"]) < 1.2
    for name in ("sed", "light-curve", "residual", "significance"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert gj.FluxPoints.read(tmp_path / "flux-points.fits").n_points == 4
    # what one writes, without empty lines
    lines = inspect.getsource(example.analyse).splitlines()[1:-1]
    assert sum(bool(line.strip()) for line in lines) <= 30
