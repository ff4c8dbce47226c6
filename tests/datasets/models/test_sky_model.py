import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets import InputError
from gammajax.datasets.models import FoVBackgroundModel, SkyModel
from gammajax.datasets.models.spatial import PointSpatialModel, TemplateSpatialModel
from gammajax.datasets.models.spectral import LogParabolaSpectralModel, PowerLawNormSpectralModel, PowerLawSpectralModel
from gammajax.datasets.sky import SkyGeom


def test_defaults():
    model = SkyModel(PowerLawSpectralModel(), name="crab")
    assert model.datasets_names is None
    assert model.apply_irf == {"exposure": True, "psf": True, "edisp": True}
    assert list(model.components) == ["spectral"]
    background = FoVBackgroundModel(datasets_names="run-1")
    assert background.name == "run-1-bkg"
    assert background.datasets_names == ("run-1",)
    assert isinstance(background.spectral, PowerLawNormSpectralModel)
    assert not background.spectral.norm.frozen
    assert background.spectral.tilt.frozen
    assert FoVBackgroundModel().name == "bkg"


def test_acts_on():
    everywhere = SkyModel(PowerLawSpectralModel())
    some = SkyModel(PowerLawSpectralModel(), datasets_names=["a", "b"])
    none = SkyModel(PowerLawSpectralModel(), datasets_names=[])
    assert everywhere.acts_on("a")
    assert some.acts_on("b")
    assert not some.acts_on("c")
    assert not none.acts_on("a")


def test_replace():
    model = SkyModel(PowerLawSpectralModel(), name="crab", apply_irf={"psf": False})
    new = model.replace(name="vela", spectral=LogParabolaSpectralModel())
    assert new.name == "vela"
    assert new.apply_irf == {"exposure": True, "psf": False, "edisp": True}
    assert isinstance(new.spectral, LogParabolaSpectralModel)
    assert model.name == "crab"
    background = FoVBackgroundModel(datasets_names=["run-1"]).replace(datasets_names=("run-2",), name="other")
    assert (background.name, background.datasets_names) == ("other", ("run-2",))


def test_any_callable_module_is_a_spectrum():
    edges = jnp.geomspace(0.1, 10, 5)
    plain = SkyModel(PowerLawSpectralModel(index=2.5))
    wrapped = SkyModel(PowerLawSpectralModel(index=2.5).evaluate)
    np.testing.assert_allclose(wrapped.integrate_bins(edges, 20), plain.integrate_bins(edges, 20), rtol=1e-12)


def test_norm_of_a_background_model():
    energy = jnp.array([0.5, 2.0])
    model = FoVBackgroundModel(PowerLawNormSpectralModel(norm=1.5, tilt=0.5, reference=2.0), "run-1")
    np.testing.assert_allclose(model.evaluate(energy), [1.5 * (0.5 / 2) ** -0.5, 1.5], rtol=1e-14)


def diffuse():
    geom = SkyGeom.create(binsz=0.1, npix=3)
    return TemplateSpatialModel(np.ones((3, 3)) * u.Unit("TeV-1 s-1 cm-2 sr-1"), geom, normalize=False)


def test_a_map_of_diffuse_emission_has_a_norm_for_a_spectrum():
    model = SkyModel(PowerLawNormSpectralModel(norm=2.0), spatial=diffuse())
    np.testing.assert_allclose(model.integrate_bins(jnp.array([1.0, 3.0]), 8), [4.0])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: SkyModel(3.0, name="x"),
            "SkyModel 'x': spectral must be a spectral model or an eqx.Module",
        ),
        (lambda: SkyModel(PowerLawNormSpectralModel(), name="x"), "expected a differential flux"),
        (
            lambda: SkyModel(PowerLawSpectralModel(), name="x", spatial=diffuse()),
            "the spectrum has unit 'TeV-1 s-1 cm-2' and the spatial model 'TeV-1 s-1 cm-2 sr-1', expected a diff",
        ),
        (lambda: SkyModel(PowerLawSpectralModel(), name="x", spatial=PowerLawSpectralModel()), "found PowerLawSpectr"),
        (
            lambda: FoVBackgroundModel(datasets_names="run", spatial=PointSpatialModel()),
            "'run-bkg': spatial must be an extended SpatialModel, found PointSpatialModel.",
        ),
        (lambda: SkyModel(PowerLawSpectralModel(), name="x", apply_irf={"gti": True}), "found 'gti'"),
        (lambda: FoVBackgroundModel(PowerLawSpectralModel(), "run"), "'run-bkg': a norm model is needed"),
    ],
)
def test_bad_input(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert text in str(error.value)


@pytest.mark.parametrize("given", [3.5, [2.0], [PowerLawSpectralModel()], PowerLawSpectralModel()])
def test_names_of_datasets_are_texts(given):
    with pytest.raises(InputError, match="datasets_names must be a name or a list of names, found"):
        FoVBackgroundModel(datasets_names=given)
    assert FoVBackgroundModel(datasets_names=23523).datasets_names == ("23523",)
