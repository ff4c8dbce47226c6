"""Published spectra of the Crab nebula."""

import mpmath as mp
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax.datasets.models.spectral import SPECTRAL_MODELS

# dN/dE at 1 TeV in TeV-1 s-1 cm-2 as published
AT_1_TEV = {
    "hegra": 2.83e-11,
    "hess_pl": 3.45e-11,
    "hess_ecpl": 3.76e-11 * np.exp(-1 / 14.3),
    "magic_lp": 3.23e-11,
    "magic_ecpl": 3.80e-11 * np.exp(-1 / 6.0),
}
FALL = {
    "hegra": 10**-2.62,
    "hess_pl": 10**-2.63,
    "hess_ecpl": 10**-2.39 * np.exp(-9 / 14.3),
    "magic_lp": 10 ** (-2.47 - 0.24),
    "magic_ecpl": 10**-2.21 * np.exp(-9 / 6.0),
}


@pytest.mark.parametrize("reference", AT_1_TEV)
def test_published_numbers(reference):
    model = gj.create_crab_spectral_model(reference)
    assert float(model(1.0)) == pytest.approx(AT_1_TEV[reference], rel=1e-12)
    assert float(model(10.0) / model(1.0)) == pytest.approx(FALL[reference], rel=1e-12)


def test_meyer():
    """Equation D.1 of Meyer et al. 2010, in log10 of energies in TeV and of erg cm-2 s-1."""
    model = gj.create_crab_spectral_model()

    def formula(energy):
        x = mp.log10(energy)
        power = -10.2708 - 0.53616 * x - 0.179475 * x**2 + 0.0473174 * x**3 - 0.00449161 * x**5
        return mp.mpf(10) ** power / mp.mpf("1.602176634") / energy**2

    for energy in (0.01, 0.3, 1.0, 20.0, 90.0):
        assert float(model(energy)) == pytest.approx(float(formula(mp.mpf(energy))), rel=1e-12)
    wanted = mp.quad(lambda t: formula(mp.exp(t)) * mp.exp(t) * 1e12, [0, mp.log(3), mp.log(10)]) / 1e12
    assert model.integral(1 * u.TeV, 10 * u.TeV).to_value("s-1 cm-2") == pytest.approx(float(wanted), rel=1e-8)
    assert float(gj.MeyerCrabSpectralModel(norm=0.1)(1.0)) == pytest.approx(0.1 * float(model(1.0)), rel=1e-14)


def test_it_is_written_and_read(tmp_path):
    models = gj.Models(gj.SkyModel(gj.MeyerCrabSpectralModel(norm=0.3), name="crab"))
    models.write(tmp_path / "models.yaml")
    assert gj.Models.read(tmp_path / "models.yaml") == models


def test_unknown_references():
    with pytest.raises(gj.InputError, match=r"there is no 'hess_lp'. Did you mean 'hess_pl'"):
        gj.create_crab_spectral_model("hess_lp")


def test_create():
    model = gj.SkyModel.create("pl", "gauss", "gauss", name="s", datasets_names=["run"])
    assert (type(model.spectral), type(model.spatial), type(model.temporal)) == (
        gj.PowerLawSpectralModel,
        gj.GaussianSpatialModel,
        gj.GaussianTemporalModel,
    )
    assert model.name == "s" and model.datasets_names == ("run",)
    assert gj.SkyModel.create("PowerLawSpectralModel").spatial is None
    with pytest.raises(gj.InputError, match=r"unknown spectral model 'plaw'. Did you mean 'pl"):
        gj.SkyModel.create("plaw")
    with pytest.raises(gj.InputError, match="a TemplateSpectralModel has no defaults"):
        gj.SkyModel.create("template")
    made = {tag for tag, cls in SPECTRAL_MODELS.items() if tag != cls.__name__}
    for tag in made - {"template", "templateND", "compound", "scale", "ebl-norm", "piecewise-norm"}:
        part = SPECTRAL_MODELS[tag]()
        switches = {"exposure": False} if part.unit == "" else None
        assert type(gj.SkyModel.create(tag, apply_irf=switches).spectral) is SPECTRAL_MODELS[tag]


def test_isotropic_background(tmp_path):
    path = tmp_path / "iso_P8R3_SOURCE_V3_v1.txt"
    path.write_text("34.2 1.1e-06 1e-8\n100.0 8.0e-08 1e-9\n1000.0 5.0e-10 1e-11\n")
    model = gj.create_fermi_isotropic_diffuse_model(path, "fermi-3fhl")
    assert model.name == "isotropic_fermi-3fhl" and model.apply_irf == {"exposure": True, "psf": False, "edisp": False}
    assert gj.create_fermi_isotropic_diffuse_model(path).name == "fermi-diffuse-iso"
    assert gj.create_fermi_isotropic_diffuse_model(path, ["a", "b"], name="iso").name == "iso"
    value = model.spectral(np.array([1.0, 100.0, np.sqrt(1e5)]) * [1000, 1, 1] * u.MeV)
    # ln linear in ln E
    np.testing.assert_allclose(value.to_value("MeV-1 s-1 cm-2"), [5e-10, 8e-8, np.sqrt(8e-8 * 5e-10)], rtol=1e-12)
    assert list(model.spectral.parameters)[:2] == ["tilt", "norm"]
    for text in ("no numbers here", "1 2", "1\n2"):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(gj.InputError, match=r"bad\.txt"):
            gj.create_fermi_isotropic_diffuse_model(tmp_path / "bad.txt")
    with pytest.raises(gj.InputError, match=r"nothing\.txt"):
        gj.create_fermi_isotropic_diffuse_model(tmp_path / "nothing.txt")
