import numpy as np
import pytest

import gammajax as gj
from gammajax.cli import demo, demo_map

pytestmark = pytest.mark.slow


def test_responses_are_plausible():
    energy = np.geomspace(0.05, 100, 100)
    for run in demo.NIGHT:
        area = demo.effective_area(run, energy)
        assert np.all(np.diff(area) > 0)
        assert 5e8 < np.interp(1.0, energy, area) < 1e10, "cm2 at 1 TeV"
        width, bias = demo.energy_resolution(run, energy)
        assert np.all((width > 0.1) & (width < 0.25))
        assert np.all(np.abs(bias[energy > run.safe_threshold]) < 0.1)
        rate = demo.background_rate(run, energy)
        assert np.all(np.diff(rate[energy > run.area_threshold * 2]) < 0)


def test_the_night_looks_like_the_crab_nebula():
    night = demo.simulate_night(0)
    thresholds = {float(d.energy_edges[:-1][d.mask][0]) for d in night}
    assert len(thresholds) > 2, "thresholds differ with the zenith angle"
    for dataset in night:
        assert 1 / 20 < dataset.alpha[0] < 1 / 3
        per_minute = float(np.sum(dataset.excess[dataset.mask_safe])) / 28
        assert 2 < per_minute < 20
        assert np.all(np.asarray(dataset.edisp.matrix).sum(1) <= 1 + 1e-12)
    assert sum(int(np.sum(d.mask)) for d in night) > 50


def test_the_same_seed_gives_the_same_night():
    first, again, other = (demo.simulate_night(seed) for seed in (3, 3, 4))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
        np.testing.assert_array_equal(a.counts_off, b.counts_off)
        assert np.any(a.counts != c.counts)


def test_the_truth_is_recovered_within_the_errors():
    seeds = range(40)
    start, found = demo.crab(demo.START), []
    for seed in seeds:
        result = gj.fit(demo.simulate_night(seed), start)
        assert result.success
        found.append(list(demo.pulls(result).values()))
    found = np.array(found)
    n = len(found)
    assert np.all(np.abs(found.mean(0)) < 3.5 / np.sqrt(n)), found.mean(0)
    assert np.all(np.abs(found.std(0) - 1) < 3.5 / np.sqrt(2 * n)), found.std(0)
    assert np.abs(found).max() < 4.5


def test_the_map_shows_the_hidden_source(tmp_path):
    """Parameters within errors of the truth, and nothing but the source that is not in the models is left over."""
    found = demo_map.fit_field(tmp_path, tmp_path / "results", 1, False, False)
    assert found.result.success
    p = found.result.parameters
    for name, truth in {"crab.spectral.amplitude": 3.85e-11, "crab.spectral.alpha": 2.5}.items():
        assert abs(float(p[name].value) - truth) < 4 * float(p[name].error)
    peak = found.residuals.peaks("sqrt_ts", threshold=5.0)[0]
    assert np.hypot(peak["lon"] - demo_map.HIDDEN[0], peak["lat"] - demo_map.HIDDEN[1]) < 2 * demo_map.PIXEL
    ny, nx = np.indices(found.residuals.geom.shape)
    far = np.hypot(nx - peak["x"], ny - peak["y"]) > 4
    rest = np.asarray(found.residuals["residual"])[0][far]
    assert abs(rest.mean()) < 0.2 and 0.8 < rest.std() < 1.2 and np.abs(rest).max() < 5
    assert "sigma at RA 84.1" in demo_map.field_text(found)
    field = gj.Datasets.read(tmp_path / "map-datasets.yaml")
    start = gj.Models.read(tmp_path / "map-models.yaml")
    assert gj.fit(field, start).stat == pytest.approx(found.result.stat, rel=1e-9)
    assert sorted(f.name for f in (tmp_path / "results").iterdir()) == [
        "map-result.yaml",
        "map-result_covariance.dat",
        "residual.fits.gz",
    ]


def test_files_hold_the_night(tmp_path):
    demo.write_night(tmp_path, seed=7)
    night, again = demo.simulate_night(7), gj.Datasets.read(tmp_path / "datasets.yaml")
    assert again.names == night.names
    for a, b in zip(night, again, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
        np.testing.assert_array_equal(a.mask, b.mask)
        np.testing.assert_allclose(a.alpha, b.alpha)
    models = gj.Models.read(tmp_path / "models.yaml")
    for model in (models, demo.crab(demo.START)):
        assert float(model.parameters["amplitude"].value) == demo.START["amplitude"]
    stats = [float(gj.stat_sum(d, demo.crab(demo.TRUTH))) for d in (night, again)]
    np.testing.assert_allclose(*stats, rtol=1e-6)
    with pytest.raises(gj.InputError, match="exists already"):
        demo.write_night(tmp_path, seed=7)
