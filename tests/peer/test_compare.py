"""Test statistics of nested models against fits of gammapy to the same data."""

import warnings

import pytest

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling")

pytestmark = pytest.mark.filterwarnings("ignore")


def models(spectral):
    return gj.Models(gj.SkyModel(spectral, name="s"))


def their_stat(dataset, ours):
    """The statistic of gammapy's own fit, of the data alone without models."""
    from gammapy.datasets import Datasets

    theirs = gj.to_gammapy(dataset)
    if ours is None:
        return theirs.stat_sum()
    theirs.models = gj.to_gammapy(ours)
    result = peer.Fit().run(Datasets([theirs]))
    assert result.success
    return result.total_stat


def test_nested_models_and_a_component(spectrum_factory):
    dataset = spectrum_factory(seed=5)
    straight = models(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11))
    curved = models(gj.LogParabolaSpectralModel(alpha=2.5, beta=0.1, amplitude=3e-11, reference=1.0))
    results = [gj.fit({"a": dataset}, m) for m in (straight, curved)]
    null, of_line, of_curve = (their_stat(dataset, m) for m in (None, straight, curved))
    assert gj.compare(*results).delta_ts == pytest.approx(of_line - of_curve, abs=2e-3)
    found = gj.component_ts({"a": dataset}, results[0], "s")
    assert found.delta_ts == pytest.approx(null - of_line, abs=2e-3) and found.ndf == 2
