"""The weighted Cash statistic beside gammapy's, whose weights are the numbers of a fit mask."""

import numpy as np
import pytest

import gammajax as gj

pytest.importorskip("gammapy")
pytestmark = pytest.mark.filterwarnings("ignore")

EDGES = np.array([1.0, 2, 4, 8])
WEIGHTS = np.array([0.25, 1.0, 0.5])
SPECTRUM = gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11)


@pytest.mark.parametrize("masks", [{}, {"mask_fit": [1, 1, 0]}, {"mask_fit": [1, 1, 0], "mask_safe": [0, 1, 1]}])
def test_spectra(masks):
    run = gj.SpectrumDataset(
        EDGES,
        counts=[60, 30, 12],
        background=[5, 4, 3],
        exposure=[2e12] * 3,
        stat_type="cash_weighted",
        weights=WEIGHTS,
        **masks,
    )
    models = gj.Models([gj.SkyModel(SPECTRUM, name="s")])
    peer = gj.to_gammapy(run, name="a")
    peer.models = gj.to_gammapy(models)
    assert peer.stat_type == "cash_weighted"
    np.testing.assert_allclose(gj.stat_sum(run, models), peer.stat_sum(), rtol=1e-7)
    back = gj.from_gammapy(peer)
    assert back.stat_type == "cash_weighted"
    np.testing.assert_allclose(gj.stat_sum(back, models), gj.stat_sum(run, models), rtol=1e-12)


def test_maps():
    rng = np.random.default_rng(1)
    geom, shape = gj.SkyGeom.create(skydir=(0, 0), npix=(6, 6), binsz=0.1), (3, 6, 6)
    weights = rng.uniform(0.1, 1, shape)
    weights[0, 0, 0] = 0
    run = gj.MapDataset(
        geom,
        EDGES,
        counts=rng.poisson(2, shape),
        background=np.ones(shape),
        exposure=np.full(shape, 1e12),
        stat_type="cash_weighted",
        weights=weights,
        source_grid="pixel",
    )
    source = gj.SkyModel(SPECTRUM, name="s", spatial=gj.PointSpatialModel())
    models = gj.Models([source, gj.FoVBackgroundModel(datasets_names="a", name="b")])
    peer = gj.to_gammapy(run, name="a")
    peer.models = gj.to_gammapy(models)
    np.testing.assert_allclose(gj.stat_sum({"a": run}, models), peer.stat_sum(), rtol=1e-6)
    back = gj.from_gammapy(peer).replace(source_grid="pixel")
    np.testing.assert_array_equal(back.weights[weights > 0], weights[weights > 0])
    assert back.mask_fit.sum() == weights.size - 1
    np.testing.assert_allclose(gj.stat_sum({"a": back}, models), gj.stat_sum({"a": run}, models), rtol=1e-12)
