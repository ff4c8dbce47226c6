"""Datasets whose energy axis is linear: norms are taken at the centres that the axis says, as in gammapy."""

import astropy.units as u
import numpy as np
import pytest

import gammajax as gj

peer_maps = pytest.importorskip("gammapy.maps", reason="needs gammapy")
peer_datasets = pytest.importorskip("gammapy.datasets")
peer_models = pytest.importorskip("gammapy.modeling.models")

TILT, NORM = 1.7, 1.2


def peer_dataset(kind, interp):
    axis = peer_maps.MapAxis.from_edges([0.5, 2, 5, 10] * u.TeV, name="energy", interp=interp)
    true = peer_maps.MapAxis.from_energy_bounds("0.3 TeV", "20 TeV", nbin=4, name="energy_true")
    if kind == "map":
        geom = peer_maps.WcsGeom.create(skydir=(83.6, 22), binsz=0.1, width=0.3, axes=[axis])
        dataset = peer_datasets.MapDataset.create(geom, energy_axis_true=true, name="d")
    else:
        geom = peer_maps.RegionGeom.create("icrs;circle(83.6, 22, 0.1)", axes=[axis])
        dataset = peer_datasets.SpectrumDataset.create(geom, energy_axis_true=true, name="d")
    dataset.background.data += 10.0
    dataset.counts.data += 12.0
    dataset.mask_safe.data[...] = True
    return dataset


@pytest.mark.parametrize("interp", ["lin", "log", "sqrt"])
@pytest.mark.parametrize("kind", ["map", "spectrum"])
def test_tilts_pivot_at_the_centres_of_the_axis(kind, interp, tmp_path):
    theirs = peer_dataset(kind, interp)
    model = peer_models.FoVBackgroundModel(dataset_name="d")
    model.spectral_model.tilt.value, model.spectral_model.norm.value = TILT, NORM
    theirs.models = [model]
    wanted = theirs.npred_background().data
    wanted = wanted if kind == "map" else wanted[:, 0, 0]
    theirs.write(tmp_path / "theirs.fits", overwrite=True)
    reader = gj.MapDataset if kind == "map" else gj.SpectrumDataset
    options = {} if kind == "map" else {"format": "gadf"}
    tilt = gj.PowerLawNormSpectralModel(tilt=TILT, norm=NORM)
    models = gj.Models([gj.FoVBackgroundModel(tilt, name="b", datasets_names="d")])
    ours = [gj.from_gammapy(theirs), reader.read(tmp_path / "theirs.fits")]
    ours[0].write(tmp_path / "ours.fits", **options)
    ours.append(reader.read(tmp_path / "ours.fits"))
    ours.append(gj.from_gammapy(gj.to_gammapy(ours[0], name="d")))
    for dataset in ours:
        assert dataset.energy_interp == interp
        np.testing.assert_allclose(gj.npred_background(dataset, models, "d"), wanted, rtol=1e-6)
    # in fits, too: the tilt that was put in comes out
    faked = gj.asimov(ours[0], models, "d")
    free = gj.Models([gj.FoVBackgroundModel(name="b", datasets_names="d")]).with_parameter(
        "b.spectral.tilt", frozen=False
    )
    result = gj.fit(gj.Datasets({"d": faked}), free)
    np.testing.assert_allclose(result.parameters["b.spectral.tilt"].value, TILT, rtol=1e-5)


def test_a_created_dataset_has_the_scale_of_its_axis():
    axis = gj.MapAxis.from_edges([1, 2, 5] * u.TeV, interp="lin", name="energy")
    dataset = gj.SpectrumDataset.create(axis)
    assert dataset.energy_interp == "lin"
    np.testing.assert_allclose(dataset.energy_centers, [1.5, 3.5])
    with pytest.raises(gj.InputError, match="stack: energy_interp is 'log'"):
        gj.stack([dataset, dataset.replace(energy_interp="log")])
    with pytest.raises(gj.InputError, match="found 'cubic', expected one of lin, log, sqrt"):
        dataset.replace(energy_interp="cubic")
