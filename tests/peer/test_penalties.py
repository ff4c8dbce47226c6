"""Gaussian priors on several parameters, against gammapy."""

import warnings

import astropy.units as u
import numpy as np
import pytest

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit
    from gammapy.stats import GaussianPriorPenalty

pytestmark = pytest.mark.filterwarnings("ignore")

COVARIANCE = np.array([[0.04, 0.01], [0.01, 0.09]])


def test_values():
    """Of all ways to make one, at the same numbers."""
    spectral = peer.PiecewiseNormSpectralModel([1, 2, 4, 8] * u.TeV, norms=[1, 3, 2, 5])
    parameters = list(spectral.parameters)
    names = [p.name for p in parameters]
    ours = gj.PiecewiseNormSpectralModel([1, 2, 4, 8], [1, 3, 2, 5]).parameters
    mean = [1, 2, 3, 4]
    for make, given in {
        "from_precision": {"precision": np.diag([1.0, 2, 3, 4])},
        "from_diagonal": {"sigma": np.array([0.1, 0.2, 0.3, 0.4])},
        "L2_penalty": {},
        "SmoothnessPenalty": {},
    }.items():
        wanted = getattr(GaussianPriorPenalty, make)(parameters, mean=mean, lambda_=0.7, **given).stat_sum()
        found = getattr(gj.GaussianPriorPenalty, make)(names, mean=mean, lambda_=0.7, **given).stat_sum(ours)
        assert float(found) == pytest.approx(wanted, rel=1e-10)


def test_fit(spectrum_factory, power_law):
    """The same penalty on the spectrum of a run: statistic, best fit and errors."""
    run = spectrum_factory(seed=3)
    names = ["source.spectral.index", "source.spectral.amplitude"]
    scale = np.array([1.0, 1e-11])
    covariance = COVARIANCE * np.outer(scale, scale)
    penalty = gj.GaussianPriorPenalty(names, mean=[2.2, 2e-11], covariance=covariance, lambda_=2.0)
    models = gj.Models(power_law(), penalties=penalty)
    theirs = gj.to_gammapy(models)
    assert [p.name for p in theirs._penalties[0].parameters] == ["index", "amplitude"]
    datasets = Datasets([gj.to_gammapy(run)])
    datasets.models = theirs
    without = float(gj.stat_sum(run, power_law()))
    added = float(gj.stat_sum(run, models)) - without
    assert added == pytest.approx(theirs._penalties[0].stat_sum(), rel=1e-8)
    result = gj.fit(run, models)
    best = Fit().run(datasets)
    assert result.stat == pytest.approx(best.total_stat, abs=2e-2)
    for name in ("index", "amplitude"):
        ours, other = result.parameters[name], datasets.models[0].spectral_model.parameters[name]
        assert float(ours.value) == pytest.approx(other.value, abs=0.02 * other.error)
        assert float(ours.error) == pytest.approx(other.error, rel=0.02)
    # and back
    again = gj.from_gammapy(theirs)
    assert again.penalties[0].names == tuple(names)
    np.testing.assert_allclose(again.penalties[0].covariance, penalty.covariance, rtol=1e-8)
    np.testing.assert_allclose(again.penalties[0].mean, penalty.mean)
    assert float(again.penalties[0].lambda_) == 2.0


def test_names_inside_compound_models():
    product = peer.PowerLawSpectralModel() * peer.PiecewiseNormSpectralModel([1, 2, 4, 8] * u.TeV)
    source = peer.SkyModel(spectral_model=product, name="s")
    other = peer.SkyModel(spectral_model=peer.PowerLawSpectralModel(), name="o")
    models = peer.Models([other, source])
    models.set_penalties([GaussianPriorPenalty.SmoothnessPenalty(list(product.model2.parameters))])
    found = gj.from_gammapy(models)
    assert found.penalties[0].names == tuple(f"s.spectral.norm_{i}" for i in range(4))


def test_gammapy_reads_files_with_penalties(tmp_path, power_law):
    models = gj.Models(power_law(), penalties=gj.GaussianPriorPenalty(["index", "amplitude"]))
    models.write(tmp_path / "models.yaml")
    assert peer.Models.read(tmp_path / "models.yaml").names == ["source"]
