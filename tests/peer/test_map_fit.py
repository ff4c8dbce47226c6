"""gammapy's own likelihood of maps beside ours: its curvature at the best fit, and the bias of its positions."""

import json

import numpy as np
import pytest

import gammajax as gj

pytest.importorskip("gammapy")

from cases import maps as cases

RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")

pytestmark = pytest.mark.filterwarnings("ignore")


def second_differences(function, at, steps):
    n = len(at)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            ends = []
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                point = np.array(at)
                point[i] += a * steps[i]
                point[j] += b * steps[j]
                ends.append(function(point))
            matrix[i, j] = (ends[0] - ends[1] - ends[2] + ends[3]) / (4 * steps[i] * steps[j])
    return matrix


def test_curvature_of_the_hess_fit(data_path):
    """Recorded HESSE errors of the spectrum are up to 10 % off: gammapy's statistic itself has our curvature."""
    import yaml
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.modeling.models import Models

    folder = data_path / "hess-crab"
    content = yaml.safe_load((folder / "crab_joint_best_models.yaml").read_text())
    content.pop("covariance", None)
    peer = Datasets([MapDataset.read(folder / "maps" / f"{run}.fits.gz", name=run) for run in RUNS])
    peer.models = Models.from_dict(content)
    parameters = [peer.models["crab"].spectral_model.parameters[n] for n in ("amplitude", "alpha", "beta")]

    def of_gammapy(values):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.value = value
        return peer.stat_sum()

    ours = gj.Datasets(
        {r: gj.MapDataset.read(folder / "maps" / f"{r}.fits.gz").replace(source_grid="pixel") for r in RUNS}
    )
    best = json.loads((folder / "crab_joint.json").read_text())["bestfit"]["parameters"]
    models = gj.Models.read(folder / "crab_joint_ref_models.yaml").with_values({p["name"]: p["value"] for p in best})
    density = gj.log_density(ours, models)
    names = [f"crab.spectral.{n}" for n in ("amplitude", "alpha", "beta")]
    index = [density.names.index(n) for n in names]

    def of_ours(values):
        vector = np.array(density.initial)
        vector[index] = values
        return -2 * float(density(vector))

    at = np.array(density.initial)[index]
    steps = 0.3 * np.array([2.8e-12, 0.16, 0.083])
    assert abs(of_ours(at) - of_gammapy(at)) < 0.01
    found, expected = (second_differences(f, at, steps) * np.outer(steps, steps) for f in (of_ours, of_gammapy))
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize(("x", "y"), [(29.203, 29.325), (29.805, 29.808), (29.652, 29.235)])
def test_gammapy_positions_are_pulled_to_pixels(data_path, x, y):
    """Counts from brute force with a point between the pixels: what each package makes of them.

    A point shared out over four pixels is wider than a point, least so on a pixel centre: the fit moves towards the
    nearest one, and takes a larger amplitude. Our own four-pixel points do the same; at 25 positions (see
    benchmarks/positions.py) 0.016 pixels on average.
    """
    from gammapy.modeling import Fit

    run = gj.MapDataset.read(data_path / "hess-crab" / "maps" / "obs_23523.fits.gz")
    lon, lat = cases.at_pixel(run, x, y)
    spectrum = gj.PowerLawSpectralModel(index=2.4, amplitude=4e-11)
    edges = np.asarray(run.energy_true_edges)
    flux = np.asarray(spectrum.integral(edges[:-1], edges[1:]))
    truth = cases.brute_force(run, flux, [(lon, lat, 1.0)], frame_lonlat=(lon, lat))
    data = run.replace(counts=truth + np.asarray(run.background), mask_fit=None)
    model = gj.SkyModel(spectrum, name="source", spatial=gj.PointSpatialModel(lon_0=lon, lat_0=lat))

    def ours(dataset):
        return cases.offset_in_pixels(dataset, gj.fit(gj.Datasets({"run": dataset}), model)) - [x, y]

    peer = gj.to_gammapy(data)
    peer.models = gj.to_gammapy(gj.Models([model]))
    for parameter in peer.models.parameters.free_parameters:
        parameter.error = abs(parameter.value) * 0.05 if parameter.name in ("amplitude", "index") else 0.005
    assert Fit().optimize([peer]).success
    found = [peer.models["source"].spatial_model.parameters[n].value for n in ("lon_0", "lat_0")]
    theirs = np.array(run.geom.wcs.wcs_world2pix(*found, 0)) - [x, y]

    assert np.hypot(*ours(data)) < 0.02
    assert np.hypot(*theirs) > 10 * np.hypot(*ours(data))
    # towards the nearest pixel centre in both coordinates
    assert np.all(theirs * (np.round([x, y]) - [x, y]) > 0)
    np.testing.assert_allclose(ours(data.replace(source_grid="pixel")), theirs, atol=0.002)
    amplitude = float(peer.models["source"].spectral_model.amplitude.value)
    assert amplitude > 1.005 * 4e-11
