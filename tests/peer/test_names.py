"""Names of any language and number, exchanged with gammapy."""

import numpy as np
import pytest

from gammajax.datasets.collection import Datasets
from gammajax.datasets.counts import npred
from gammajax.datasets.models import Models, SkyModel
from gammajax.datasets.models.spectral import PowerLawSpectralModel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

gammapy_datasets = pytest.importorskip("gammapy.datasets")
gm = pytest.importorskip("gammapy.modeling.models")

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("Käfer ☉", "23523", "0023", "日本")


def test_an_index_of_ours(tmp_path):
    edges, common = np.array([1.0, 2, 4, 8]), {"exposure": np.full(3, 2e12), "livetime": 100.0}
    on = SpectrumDatasetOnOff(edges, counts=[60, 20, 12], counts_off=[50, 20, 10], acceptance_off=5, **common)
    known = SpectrumDataset(edges, counts=[60, 20, 13], background=np.ones(3), **common)
    Datasets(dict(zip(NAMES, (on, known, on, known), strict=True))).write(tmp_path / "index.yaml")
    theirs = gammapy_datasets.Datasets.read(tmp_path / "index.yaml", lazy=False)
    # of OGIP spectra it takes the name from OBS_ID, a header card, which knows ASCII only
    assert theirs.names == ["K\\xe4fer \\u2609", *NAMES[1:]]
    assert theirs.names[0].encode().decode("unicode_escape") == NAMES[0]
    assert [dataset.counts.data.sum() for dataset in theirs] == [92, 93, 92, 93]


def test_models_both_ways(tmp_path):
    theirs = gm.Models([gm.SkyModel(gm.PowerLawSpectralModel(), name=n, datasets_names=[n]) for n in NAMES])
    theirs.write(tmp_path / "theirs.yaml")
    ours = Models.read(tmp_path / "theirs.yaml")
    assert ours.names == NAMES and [m.datasets_names for m in ours] == [(n,) for n in NAMES]
    Models([SkyModel(PowerLawSpectralModel(), name=n, datasets_names=n) for n in NAMES]).write(tmp_path / "ours.yaml")
    back = gm.Models.read(tmp_path / "ours.yaml")
    assert back.names == list(NAMES) and [m.datasets_names for m in back] == [[n] for n in NAMES]


def test_datasets_with_their_models_both_ways(tmp_path):
    """Indices and models of gammapy, written and read in one call on both sides."""
    edges, common = np.array([1.0, 2, 4, 8]), {"exposure": np.full(3, 2e12), "livetime": 100.0}
    known = SpectrumDataset(edges, counts=[60, 20, 13], background=np.ones(3), **common)
    models = Models([SkyModel(PowerLawSpectralModel(index=2.3), name="source", datasets_names="b")])
    names = {"filename": tmp_path / "ours.yaml", "filename_models": tmp_path / "models.yaml"}
    Datasets({"a": known, "b": known}).write(**names, models=models)
    theirs = gammapy_datasets.Datasets.read(**names, lazy=False)
    assert (
        theirs.models.names == ["source"] and theirs["a"].models.names == [] and theirs["b"].models.names == ["source"]
    )
    theirs.write(tmp_path / "again" / "d.yaml", tmp_path / "again" / "m.yaml")
    datasets, back = Datasets.read(tmp_path / "again" / "d.yaml", filename_models=tmp_path / "again" / "m.yaml")
    assert datasets.names == ("a", "b") and back.names == ("source",)
    expected = theirs["b"].npred().data[:, 0, 0]
    # gammapy integrates the flux by four points a decade
    np.testing.assert_allclose(npred(datasets["b"], back, name="b"), expected, rtol=1e-3)
