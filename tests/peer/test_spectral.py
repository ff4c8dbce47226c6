"""Every spectral model against gammapy, run side by side where gammapy is installed."""

import warnings

import astropy.units as u
import jax
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")
    peer_maps = pytest.importorskip("gammapy.maps")

from cases import spectral as cases

from gammajax.datasets.models.spectral import (
    CLASSES,
    SPECTRAL_MODELS,
    EBLAbsorptionNormSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    TemplateNDSpectralModel,
    TemplateSpectralModel,
)
from gammajax.kernels import nodes_for

pytestmark = pytest.mark.filterwarnings("ignore")


EDGES = np.geomspace(0.01, 30, 36)
ENERGY = np.geomspace(2e-5, 90, 41)
FLUX = u.Unit("TeV-1 s-1 cm-2")


def _compare(model, other, values=1e-10, integrals=1e-4, smallest=0.0):
    found = np.asarray(jax.jit(lambda m: m.evaluate(ENERGY))(model))
    wanted = other(ENERGY * u.TeV).to_value(model.unit)
    seen = np.abs(wanted) > 1e-250
    np.testing.assert_allclose(found[seen], wanted[seen], rtol=values)
    found = np.asarray(jax.jit(lambda m: m.integrate_bins(EDGES, nodes_for(EDGES)))(model))
    wanted = _peer_integral(other, EDGES, u.Unit(model.unit) * u.TeV)
    seen = np.abs(wanted) > max(1e-250, smallest)
    np.testing.assert_allclose(found[seen], wanted[seen], rtol=integrals)


def _peer_integral(other, edges, unit):
    """Sums over 400 parts of each bin: the trapezoid of one bin is off by 1e-3 at kinks and cutoffs."""
    parts = 400
    fine = np.exp(np.interp(np.arange(parts * (len(edges) - 1) + 1) / parts, np.arange(len(edges)), np.log(edges)))
    return other.integral(fine[:-1] * u.TeV, fine[1:] * u.TeV).to_value(unit).reshape(-1, parts).sum(axis=1)


def test_the_list_of_models_is_the_same_but_for_naima():
    names = {c.__name__ for c in peer.SPECTRAL_MODEL_REGISTRY}
    assert names - {c.__name__ for c in CLASSES} == {"NaimaSpectralModel"}
    for cls in peer.SPECTRAL_MODEL_REGISTRY:
        if cls.__name__ in SPECTRAL_MODELS:
            assert tuple(cls.tag) == SPECTRAL_MODELS[cls.__name__].tag


@pytest.mark.parametrize("tag", cases.CASES)
def test_parameters_values_and_integrals(tag):
    cls, other_cls = cases.CASES[tag].cls, peer.SPECTRAL_MODEL_REGISTRY.get_cls(tag)
    declared = [(p.name, p.value, u.Unit(p.unit), p.frozen) for p in other_cls().parameters]
    assert declared == [(n, float(p.value), u.Unit(p.unit), p.frozen) for n, p in cls().parameters.items()]
    rng = np.random.default_rng(21)
    # closed forms there too, whose differences lose digits in thin bins
    exact = {"pl": 1e-10, "pl-2": 1e-10, "pl-norm": 1e-10, "const": 1e-8}
    for _ in range(3):
        parameters = cases.CASES[tag].sample(rng)
        other = other_cls()
        for name, value in parameters.items():
            other.parameters[name].value = value
        # it uses three terms of a series near the reference energy of a 4FGL-DR3 pulsar, good to 1e-8, and a difference
        # of error functions far from a line
        values, smallest = 1e-7 if tag == "secpl-4fgl-dr3" else 1e-10, 1e-19 if tag == "gauss" else 0.0
        _compare(cls(**parameters), other, values, exact.get(tag, 1e-4), smallest)


@pytest.mark.parametrize("interp", ["log", "lin"])
def test_piecewise_norm(interp):
    nodes, norms = [0.1, 1, 10] * u.TeV, [1, 2, 0.5]
    _compare(
        PiecewiseNormSpectralModel(nodes, norms, interp), peer.PiecewiseNormSpectralModel(nodes, norms, interp), 1e-12
    )


def test_template():
    nodes, values = [0.05, 1, 10] * u.TeV, [1e-10, 2e-12, 5e-15] * FLUX
    _compare(TemplateSpectralModel(nodes, values), peer.TemplateSpectralModel(nodes, values), 1e-12, 2e-4)


def test_template_nd(tmp_path):
    energy = peer_maps.MapAxis.from_nodes(np.geomspace(0.1, 100, 7), unit="TeV", name="energy_true", interp="log")
    norm = peer_maps.MapAxis.from_nodes([1.0, 2, 4], name="norm", interp="lin")
    tilt = peer_maps.MapAxis.from_nodes([1.0, 2, 4, 10], name="tilt", interp="log", unit="GeV")
    values = peer_maps.RegionNDMap.create("icrs;point(83.63, 22.01)", axes=[energy, norm, tilt], unit=FLUX)
    values.data = 10 ** np.random.default_rng(0).uniform(-13, -11, values.data.shape)
    other = peer.TemplateNDSpectralModel(values, filename=tmp_path / "grid.fits")
    other.write()
    model = TemplateNDSpectralModel.read(tmp_path / "grid.fits")
    found = {n: float(p.value) for n, p in model.parameters.items()}
    assert found == pytest.approx({p.name: p.value for p in other.parameters})
    for a, b in [(1, 1), (2, 3), (3, 7), (5, 20), (0, 0.5)]:
        other.norm.value, other.tilt.value = a, b
        found = model.replace(norm=a, tilt=b).evaluate(ENERGY)
        np.testing.assert_allclose(found, other(ENERGY * u.TeV).to_value(FLUX), rtol=1e-9)


def test_compound_models_and_scale():
    pl, norm = PowerLawSpectralModel(index=2.3), PowerLawNormSpectralModel(norm=1.7, tilt=0.2)
    other_pl = peer.PowerLawSpectralModel(index=2.3)
    other_norm = peer.PowerLawNormSpectralModel(norm=1.7, tilt=0.2)
    _compare(pl * norm, other_pl * other_norm, 1e-12, 1e-8)
    _compare(pl + pl * norm, other_pl + other_pl * other_norm, 1e-12, 1e-4)
    _compare(pl - 0.5 * pl, other_pl - other_pl * peer.PowerLawNormSpectralModel(norm=0.5), 1e-12, 1e-4)
    _compare(SPECTRAL_MODELS["scale"](pl, 3.0), peer.ScaleSpectralModel(other_pl, 3.0), 1e-12, 1e-10)


def test_ebl(data_path):
    path = data_path / "ebl" / "ebl_franceschini.fits.gz"
    if not path.is_file():
        pytest.skip("the EBL table is not among the test data")
    for redshift in (0.03, 0.1234, 0.8):
        model = EBLAbsorptionNormSpectralModel.read(path, redshift=redshift, alpha_norm=0.9)
        other = peer.EBLAbsorptionNormSpectralModel.read(path, redshift=redshift, alpha_norm=0.9)
        energy = np.geomspace(1e-3, 15, 50)
        wanted = other(energy * u.TeV).value
        seen = wanted > 1e-20
        np.testing.assert_allclose(np.asarray(model.evaluate(energy))[seen], wanted[seen], rtol=1e-4)
        absorbed = PowerLawSpectralModel() * model
        edges = np.geomspace(0.02, 3, 20)
        found = jax.jit(lambda m, e: m.integrate_bins(e, 12))(absorbed, edges)
        wanted = _peer_integral(peer.PowerLawSpectralModel() * other, edges, "s-1 cm-2")
        seen = wanted > 1e-25
        np.testing.assert_allclose(np.asarray(found)[seen], wanted[seen], rtol=2e-4)
