"""Models that gammapy makes by functions."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")

pytestmark = pytest.mark.filterwarnings("ignore")

ENERGY = np.geomspace(0.05, 80, 30) * u.TeV


@pytest.mark.parametrize("reference", ["meyer", "hegra", "hess_pl", "hess_ecpl", "magic_lp", "magic_ecpl"])
def test_crab(reference):
    ours, theirs = gj.create_crab_spectral_model(reference), peer.create_crab_spectral_model(reference)
    unit = "TeV-1 s-1 cm-2"
    np.testing.assert_allclose(ours(ENERGY).to_value(unit), theirs(ENERGY).to_value(unit), rtol=1e-10)
    # and there and back
    source = peer.SkyModel(spectral_model=theirs, name="crab")
    back = gj.from_gammapy(source)
    assert type(back.spectral) is type(ours)
    again = gj.to_gammapy(gj.Models(back))[0].spectral_model
    np.testing.assert_allclose(again(ENERGY).to_value(unit), theirs(ENERGY).to_value(unit), rtol=1e-10)


@pytest.mark.parametrize("names", [None, ["fermi"], ["a", "b"]])
def test_isotropic_background(names, tmp_path):
    energy = np.geomspace(30, 8e5, 20)
    values = 1e-6 * (energy / 30) ** -2.3
    np.savetxt(tmp_path / "iso.txt", np.stack([energy, values, values / 10], axis=1))
    ours = gj.create_fermi_isotropic_diffuse_model(tmp_path / "iso.txt", names)
    theirs = peer.create_fermi_isotropic_diffuse_model(tmp_path / "iso.txt", datasets_names=names)
    at = np.geomspace(10, 1e6, 40) * u.MeV
    unit = "MeV-1 s-1 cm-2"
    np.testing.assert_allclose(ours.spectral(at).to_value(unit), theirs.spectral_model(at).to_value(unit), rtol=1e-6)
    assert ours.name == theirs.name and ours.apply_irf == theirs.apply_irf
    assert ours.datasets_names == (None if names is None else tuple(names))
    assert type(ours.spatial).__name__ == type(theirs.spatial_model).__name__


@pytest.mark.parametrize("tags", [("pl", "gauss", "exp-decay"), ("lp", "point", None), ("ecpl", None, None)])
def test_create(tags):
    ours, theirs = gj.SkyModel.create(*tags, name="s"), peer.SkyModel.create(*tags, name="s")
    found = gj.from_gammapy(theirs)
    assert type(found.spectral) is type(ours.spectral) and type(found.spatial) is type(ours.spatial)
    assert {n: float(p.value) for n, p in gj.Models(found).parameters.items()} == {
        n: float(p.value) for n, p in gj.Models(ours).parameters.items()
    }


def test_published_tables_are_those_of_gammapy():
    """The file names; and with the same folder the same numbers."""
    import os

    from gammajax.datasets.models.spectral.ebl import BUILT_IN

    assert {name: os.path.basename(path) for name, path in peer.EBL_DATA_BUILTIN.items()} == BUILT_IN


def test_templates_of_one_energy_and_other_units():
    one = peer.TemplateSpectralModel([2] * u.TeV, [3e-12] * u.Unit("TeV-1 s-1 cm-2"))
    ours = gj.TemplateSpectralModel([2] * u.TeV, [3e-12] * u.Unit("TeV-1 s-1 cm-2"))
    np.testing.assert_allclose(ours(ENERGY).value, one(ENERGY).value, rtol=1e-6)
    for unit in ("m2", "MeV-1 s-1 cm-2 sr-1"):
        theirs = peer.TemplateSpectralModel([1, 10] * u.TeV, [1.0, 7.0] * u.Unit(unit))
        ours = gj.TemplateSpectralModel([1, 10] * u.TeV, [1.0, 7.0] * u.Unit(unit))
        np.testing.assert_allclose(ours(ENERGY).to_value(unit), theirs(ENERGY).to_value(unit), rtol=1e-6)
