"""Light curves of runs against flux points of each bin, and bins of time against the times of the runs."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from cases import light_curves

import gammajax as gj

EDGES = [0.5, 2.0, 20.0]
FIELDS = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "sqrt_ts", "stat", "stat_null")


@pytest.fixture(scope="module")
def runs(spectrum_factory):
    return light_curves.runs(spectrum_factory)


@pytest.fixture(scope="module")
def nights(runs, power_law):
    return gj.light_curve(runs, power_law(), "source", "night-wise", EDGES * u.TeV, longitude=15.0, norms=[0.5, 2])


def test_each_bin_as_flux_points_of_its_runs(runs, nights, power_law):
    assert nights.shape == (3, 2)
    for place, names in enumerate((["run-0", "run-1"], ["run-2", "run-3"], ["run-4"])):
        alone = gj.flux_points(runs.select(names), power_law(), "source", EDGES, norms=[0.5, 2])
        found = nights.at(place)
        for field in FIELDS:
            np.testing.assert_allclose(getattr(found, field), getattr(alone, field), rtol=1e-9, err_msg=field)
            np.testing.assert_array_equal(getattr(nights, field)[place], getattr(found, field))
        np.testing.assert_allclose(found.stat_scan, alone.stat_scan, rtol=1e-9)
        for name in ("counts", "npred", "npred_excess"):
            sums = alone.meta["columns"][name].sum(axis=1)
            np.testing.assert_allclose(found.meta["columns"][name][:, 0], sums, rtol=1e-9)
        np.testing.assert_allclose(nights.flux[place].value, alone.quantity("flux").value)


def test_nights_begin_at_noon(nights):
    """At 15 deg east noon is at 11:00 UTC."""
    assert [t[:16] for t in nights.time_start.utc.iso] == ["2009-06-17 11:00", "2009-06-18 11:00", "2009-06-21 11:00"]
    np.testing.assert_allclose((nights.time_stop - nights.time_start).to_value("h"), 24.0)


def test_runs_have_their_own_times(runs, power_law):
    """Event types of a run have equal times, and share theirs."""
    twice = gj.Datasets({**dict(runs.items()), "other": runs["run-1"]})
    found = gj.light_curve(twice, power_law(), "source", "run-wise", EDGES)
    assert found.n_times == 5
    np.testing.assert_allclose(found.time_min, np.add(light_curves.REFERENCE, light_curves.DAYS), rtol=0, atol=1e-9)
    np.testing.assert_allclose((found.time_max - found.time_min) * 86400, light_curves.LENGTH, atol=1e-5)
    counts = found.points.meta["columns"]["counts"].reshape(5, 2)
    alone = gj.light_curve(runs, power_law(), "source", "run-wise", EDGES)
    ratio = counts / alone.points.meta["columns"]["counts"].reshape(5, 2)
    np.testing.assert_array_equal(ratio, np.array([1, 2, 1, 1, 1])[:, None] * np.ones(2))
    assert np.argmax(found.flux[:, 0]) == 2
    # the fluxes that they were drawn with
    pulls = (alone.norm - np.array(light_curves.FLUXES)[:, None]) / alone.norm_err
    assert np.abs(pulls).max() < 4


def test_runs_that_overlap_share_a_bin(runs, power_law):
    """From the first start to the last stop, fitted jointly; the others keep theirs."""
    later = runs["run-3"].gti
    shifted = gj.GTI(np.asarray(later.start) + 700.0, np.asarray(later.stop) + 700.0, float(later.reference))
    more = gj.Datasets({**dict(runs.items()), "other": runs["run-3"].replace(gti=shifted)})
    with pytest.warns(UserWarning, match="2 datasets overlap in time, and share 1 bins.*run-3, other"):
        found = gj.light_curve(more, power_law(), "source", "run-wise", EDGES)
    alone = gj.light_curve(runs, power_law(), "source", "run-wise", EDGES)
    assert found.n_times == 5
    np.testing.assert_array_equal(found.time_min, alone.time_min)
    longer = (np.asarray(found.time_max) - np.asarray(alone.time_max)) * 86400
    np.testing.assert_allclose(longer, [0, 0, 0, 700, 0], atol=1e-4)
    both = gj.flux_points(more.select(["run-3", "other"]), power_law(), "source", EDGES)
    np.testing.assert_allclose(found.norm[3], both.norm, rtol=1e-9)
    np.testing.assert_array_equal(found.norm[[0, 1, 2, 4]], alone.norm[[0, 1, 2, 4]])


def test_times_given_in_every_way(runs, power_law):
    edges = Time(light_curves.REFERENCE + np.array([0.0, 1.0, 2.0, 3.0, 5.0]), format="mjd", scale="tt")
    ways = (edges, list(edges), [edges[[i, i + 1]] for i in range(4)], edges.mjd, edges.mjd * 24 * u.h, edges.utc)
    for given in ways:
        found = gj.light_curve(runs, power_law(), "source", given, EDGES)
        # the bin without a run is left out
        np.testing.assert_allclose(found.time_min - light_curves.REFERENCE, [0, 1, 3], atol=1e-9)
        np.testing.assert_allclose(found.time_max - light_curves.REFERENCE, [1, 2, 5], atol=1e-9)


def test_runs_on_an_edge_are_left_out_with_a_word(runs, power_law):
    """The edge lies in the pause of run-2."""
    edge = 1.05 + 750 / 86400
    edges = light_curves.REFERENCE + np.array([0.0, edge, 2.0])
    with pytest.warns(UserWarning, match="1 of 5 datasets .*run-2"):
        found = gj.light_curve(runs, power_law(), "source", edges, EDGES)
    left = gj.light_curve(runs.remove("run-2"), power_law(), "source", edges, EDGES)
    np.testing.assert_array_equal(found.norm, left.norm)
    np.testing.assert_allclose(found.gti.ontime.value, 3 * 1400.0)


def test_energies_are_the_same_at_all_times(runs, power_law):
    """A run with a higher threshold has the flux of the whole band, by the shape of the spectrum."""
    edges = np.asarray(runs["run-0"].energy_edges)
    high = runs["run-0"].with_mask_fit(energy_min=edges[3], round_to_edge=True)
    found = gj.light_curve({**dict(runs.items()), "run-0": high}, power_law(), "source", "run-wise", edges[[1, 6]])
    assert found.energy_min[0] == pytest.approx(edges[1]) and found.energy_max[0] == pytest.approx(edges[6])
    alone = gj.flux_points(runs["run-0"], power_law(), "source", edges[[3, 6]])
    assert found.norm[0, 0] == pytest.approx(float(alone.norm[0]), rel=1e-9)
    reference = power_law()["source"].spectral.integral(edges[1], edges[6])
    assert found.flux[0, 0].value == pytest.approx(float(alone.norm[0] * reference), rel=1e-9)


def test_a_temporal_model_stays(runs, power_law):
    """Norms are multiples of what the model predicts for the time of a run."""
    decay = gj.ExpDecayTemporalModel(t0=1.0, t_ref=light_curves.REFERENCE)
    source = power_law()["source"].replace(temporal=decay)
    found = gj.light_curve(runs, gj.Models([source]), "source", "run-wise", EDGES)
    plain = gj.light_curve(runs, power_law(), "source", "run-wise", EDGES)
    expected = plain.norm / np.exp(-np.array(light_curves.DAYS))[:, None]
    np.testing.assert_allclose(found.norm, expected, rtol=0.02)
    np.testing.assert_allclose(found.flux.value / found.norm, plain.flux.value / plain.norm)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_edges": "weekly"}, "night-wise"),
        ({"time_edges": [55000.0]}, "shape"),
        ({"time_edges": [55000.0, 54999.0]}, "after its start"),
        ({"time_edges": [[55000.0, 55003.0], [55001.0, 55004.0]]}, "overlap"),
        ({"time_edges": [50000.0, 50001.0]}, "MJD 55000.1"),
        ({"time_edges": [1, 2] * u.TeV}, "'d'|in d"),
        ({"source": "nobody"}, "nobody"),
        ({"longitude": np.inf}, "longitude"),
    ],
)
def test_refused(runs, power_law, change, words):
    given = {"source": "source", "time_edges": "night-wise", "energy_edges": EDGES} | change
    with pytest.raises(gj.InputError, match=words):
        gj.light_curve(runs, power_law(), **given)


def test_datasets_without_times(runs, power_law):
    with pytest.raises(gj.InputError, match=r"run-1.*no good time"):
        gj.light_curve(
            {**dict(runs.items()), "run-1": runs["run-1"].replace(gti=None)}, power_law(), "source", "run-wise", EDGES
        )
