"""Types of datasets in an index, one's own among them."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.collection import DATASET_TYPES, dataset_type


class Levels(gj.Dataset):
    """Numbers in a JSON file, with a second file beside it."""

    value: Any
    tag = "Levels"

    @property
    def data_shape(self):
        return self.value.shape

    def predict(self, models):
        return gj.dnde(models, jnp.ones(self.data_shape))

    def stat_bins(self, prediction):
        return (prediction / 1e-12 - self.value) ** 2

    @classmethod
    def read(cls, filename):
        return cls(np.array(json.loads(Path(filename).read_text())))

    def write(self, filename):
        Path(filename).write_text(json.dumps(self.value.tolist()))
        Path(filename).with_suffix(".txt").write_text("beside")


@pytest.fixture
def registered():
    gj.register_dataset(Levels, suffix=".json")
    yield
    DATASET_TYPES.pop("Levels", None)


def test_index_with_a_type_of_ones_own(tmp_path, registered, spectrum_factory):
    datasets = gj.Datasets({"my own": Levels(np.array([1.0, 2, 4])), "run": spectrum_factory(0)})
    datasets.write(tmp_path / "index.yaml")
    assert (tmp_path / "my_own.json").exists() and (tmp_path / "my_own.txt").read_text() == "beside"
    for lazy in (False, True):
        back = gj.Datasets.read(tmp_path / "index.yaml", lazy=lazy)
        assert back.names == datasets.names and isinstance(back["my own"], Levels)
        np.testing.assert_array_equal(back["my own"].value, [1, 2, 4])
    with pytest.raises(gj.InputError, match=r"exists already"):
        datasets.write(tmp_path / "index.yaml")
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=3e-12), name="m")])
    assert float(gj.stat_sum(back["my own"], models)) == pytest.approx(4 + 1 + 1, rel=1e-12)


def test_mask_fit_of_an_index_needs_energies(tmp_path, registered):
    gj.Datasets({"a": Levels(np.ones(2))}).write(tmp_path / "index.yaml")
    path = tmp_path / "index.yaml"
    text = path.read_text().split("checksum")[0].replace("a.json", "a.json\n    mask_fit: {energy_min: 1 TeV}")
    path.write_text(text)
    with pytest.raises(gj.InputError, match=r"mask_fit: Levels has no fit mask in energy"):
        gj.Datasets.read(path)


def test_flux_points_in_an_index(tmp_path, data_path):
    folder = data_path / "flux-points"
    datasets = gj.Datasets({
        "a b": gj.FluxPointsDataset.read(folder / "crab_hess_fp.fits").with_mask_fit(
            energy_min=0.7, round_to_edge=False
        ),
        "fermi": gj.FluxPointsDataset.read(folder / "diff_flux_points.ecsv").replace(stat_type="distrib"),
    })  # fmt: skip
    datasets.write(tmp_path / "index.yaml")
    back = gj.Datasets.read(tmp_path / "index.yaml")
    for name, dataset in datasets.items():
        assert back[name].stat_type == dataset.stat_type
        np.testing.assert_array_equal(back[name].mask, dataset.mask)
        np.testing.assert_allclose(back[name].data.dnde, dataset.data.dnde, rtol=1e-14)
    path = tmp_path / "index.yaml"
    entry = (
        path.read_text().split("checksum")[0].replace("fermi.fits", "fermi.fits\n    mask_fit: {energy_min: 0.01 TeV}")
    )
    path.write_text(entry)
    kept = gj.Datasets.read(path)["fermi"]
    np.testing.assert_array_equal(kept.mask_fit, kept.energy_ref >= 0.01)


def test_known_types():
    assert set(DATASET_TYPES) >= {"SpectrumDataset", "SpectrumDatasetOnOff", "MapDataset", "MapDatasetOnOff"}
    assert dataset_type(gj.SpectrumDataset([1.0, 2])).cls is gj.SpectrumDataset
    assert dataset_type(3) is None and dataset_type(Levels(np.ones(1))) is None


def test_bad_types(tmp_path, registered):
    class NoTag:
        pass

    class Impostor(Levels):
        tag = "MapDataset"

    class Silent(Levels):
        tag = "Silent"

        def write(self, filename):
            pass

    with pytest.raises(gj.InputError, match=r"a class with tag = 'Name' is needed"):
        gj.register_dataset(NoTag)
    NoTag.tag = "NoTag"
    with pytest.raises(gj.InputError, match=r"NoTag has no method read"):
        gj.register_dataset(NoTag)
    with pytest.raises(gj.InputError, match=r"the tag 'MapDataset' is one of the package's"):
        gj.register_dataset(Impostor)
    with pytest.raises(gj.InputError, match=r"Silent cannot be written; .* gammajax.register_dataset"):
        gj.Datasets({"s": Silent(np.ones(1))}).write(tmp_path / "index.yaml")
    gj.register_dataset(Silent)
    try:
        with pytest.raises(gj.InputError, match=r"Silent.write wrote no file of the name it was given, s.fits"):
            gj.Datasets({"s": Silent(np.ones(1))}).write(tmp_path / "index.yaml")
    finally:
        del DATASET_TYPES["Silent"]
    assert not list(tmp_path.iterdir())
