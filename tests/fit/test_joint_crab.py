"""The joint Crab analysis of five instruments against gammapy 2.1 and the published fits."""

import numpy as np
import pytest

import gammajax as gj

FREE = ("crab.spectral.amplitude", "crab.spectral.alpha", "crab.spectral.beta")


def select(datasets, instrument):
    return datasets if instrument == "joint" else datasets.select(n for n in datasets.names if n.startswith(instrument))


@pytest.mark.parametrize("instrument", ["fermi", "magic", "veritas", "fact", "hess", "joint"])
def test_fits(joint_crab, log_parabola, instrument):
    datasets, reference, _ = joint_crab
    expected = reference["fits"][instrument]
    result = gj.fit(select(datasets, instrument), log_parabola())
    assert result.success and result.status == "converged"
    for parameter in expected["parameters"]:
        if parameter["frozen"]:
            continue
        ours = result.parameters[parameter["name"]]
        assert abs(float(ours.value) - parameter["value"]) < 0.05 * parameter["error"], parameter["name"]
        assert float(ours.error) == pytest.approx(parameter["error"], rel=0.02, abs=0), parameter["name"]
    # gammapy's minimum is not exact: ours may be lower, and its integrals carry 1e-4
    assert abs(result.stat - expected["total_stat"]) < 0.05
    ours, theirs = result.correlation, np.array(expected["covariance_free"])
    sigma = np.sqrt(np.diag(theirs))
    np.testing.assert_allclose(ours, theirs / np.outer(sigma, sigma), atol=0.02)


def test_joint_statistic(joint_crab, log_parabola):
    result = gj.fit(joint_crab[0], log_parabola())
    assert abs(result.stat - 460.294) < 0.05
    assert result.n_bins == sum(d["n_fit"] for d in joint_crab[1]["datasets"])
    assert float(gj.stat_sum(joint_crab[0], result.models)) == pytest.approx(result.stat, rel=1e-12)


MODELS = {
    "ref_PL": gj.PowerLawSpectralModel(index=2.6, amplitude=3.5e-11),
    "ref_LogParabola": gj.LogParabolaSpectralModel(
        amplitude=3.8e-11, alpha=2.47, beta=0.10423067565678043, reference=1.0
    ),
    "ref_ECPL": gj.ExpCutoffPowerLawSpectralModel(index=2.3, amplitude=4e-11, lambda_=0.07),
}


@pytest.mark.parametrize("point", MODELS)
def test_npred_and_stat_bin_by_bin(joint_crab, point):
    datasets, reference, arrays = joint_crab
    models = gj.Models([gj.SkyModel(MODELS[point], name="crab")])
    for name, dataset in datasets.items():
        for function, key in ((gj.npred_signal, "npred_signal"), (gj.npred, "npred")):
            expected = arrays[f"{point}::{name}::{key}"]
            ours = np.asarray(function(dataset, models))
            # gammapy's spectral integrals carry 1e-4
            np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-4 * 1e-3 * expected.max())
    total = float(gj.stat_sum(datasets, models))
    expected = reference["reference_points"][point.removeprefix("ref_")]["total_stat"]
    assert total == pytest.approx(expected, abs=0.05)


def test_same_minimum_from_far_starts(joint_crab, log_parabola):
    """200 random starts: amplitude off by up to 30 either way, index by 1, curvature by 0.5."""
    rng = np.random.default_rng(2019)
    best = gj.fit(joint_crab[0], log_parabola())
    values = np.array([float(best.parameters[n].value) for n in FREE])
    errors = np.array([float(best.parameters[n].error) for n in FREE])
    reached, evaluations = 0, []
    for _ in range(200):
        start = log_parabola(
            amplitude=values[0] * 30 ** rng.uniform(-1, 1),
            alpha=values[1] + rng.uniform(-1, 1),
            beta=values[2] + rng.uniform(-0.5, 0.5),
        )
        result = gj.fit(joint_crab[0], start)
        found = np.array([float(result.parameters[n].value) for n in FREE])
        reached += result.success and bool(np.all(np.abs(found - values) < 0.01 * errors))
        evaluations.append(result.evaluations)
    assert reached >= 198, f"{reached} of 200 starts, evaluations {np.median(evaluations)} to {max(evaluations)}"
