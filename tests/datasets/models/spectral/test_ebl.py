import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models.spectral import EBLAbsorptionNormSpectralModel, PowerLawSpectralModel

pytestmark = pytest.mark.slow

ENERGY = np.array([0.05, 0.2, 1.0, 5.0, 20.0])
REDSHIFT = np.array([0.1, 0.2, 0.5])
# ln T = -z E / (1 + E), with rows that reach 1 and 0
DATA = np.exp(-np.outer(REDSHIFT, [0.0, 0.5, 2.0, 30.0, 900.0])).astype(np.float32).astype(float)
EDGES = np.geomspace(0.01, 100, 21)
VALUE = jax.jit(lambda model, energy: model.evaluate(energy))


def _model(**parameters):
    return EBLAbsorptionNormSpectralModel(ENERGY, REDSHIFT, DATA, **parameters)


def test_parameters_are_frozen_by_default_as_in_gammapy():
    model = _model()
    state = [(n, float(p.value), p.frozen) for n, p in model.parameters.items()]
    assert state == [("redshift", 0.1, True), ("alpha_norm", 1.0, True)]
    assert model.unit == "" and _model(redshift=0.3).redshift.frozen


def test_transmission_is_linear_in_redshift_and_log_energy():
    np.testing.assert_allclose(VALUE(_model(redshift=0.2), ENERGY[:4]), DATA[1, :4], rtol=1e-12)
    middle = VALUE(_model(redshift=0.35), ENERGY[:4])
    np.testing.assert_allclose(middle, np.sqrt(DATA[1, :4] * DATA[2, :4]), rtol=1e-12)
    np.testing.assert_allclose(VALUE(_model(redshift=0.2), 0.1), np.sqrt(DATA[1, 0] * DATA[1, 1]), rtol=1e-12)
    np.testing.assert_allclose(VALUE(_model(redshift=0.2, alpha_norm=2.0), 1.0), DATA[1, 2] ** 2, rtol=1e-12)


def test_transmission_stays_between_0_and_1_with_finite_gradients():
    energy = np.geomspace(1e-4, 1e4, 33)

    @jax.jit
    def all_of_it(z, alpha):
        def at(p):
            return _model(redshift=p[0], alpha_norm=p[1]).evaluate(energy)

        p = jnp.stack([z, alpha])
        return at(p), jax.jacfwd(at)(p), jax.jacfwd(jax.jacfwd(at))(p)

    for z in (0.0, 0.05, 0.1, 0.2, 0.5, 0.9):
        for alpha in (0.0, 1.0, 2.5):
            value, slope, curvature = all_of_it(z, alpha)
            assert np.all((value >= 0) & (value <= 1))
            assert np.all(np.isfinite(slope)) and np.all(np.isfinite(curvature))
    step = 1e-6
    wanted = (all_of_it(0.3 + step, 1.0)[0] - all_of_it(0.3 - step, 1.0)[0]) / (2 * step)
    np.testing.assert_allclose(all_of_it(0.3, 1.0)[1][:, 0], wanted, rtol=1e-6, atol=1e-9)


def test_absorbed_power_law_is_integrated_exactly_between_nodes():
    """Between nodes the product is a power law, so the bins must agree with a table of it."""
    from gammajax.datasets.models.spectral import TemplateSpectralModel

    integrate = jax.jit(lambda m, e: m.integrate_bins(e, 12))
    absorbed = PowerLawSpectralModel() * _model(redshift=0.35)
    table = TemplateSpectralModel(ENERGY, VALUE(absorbed, ENERGY))
    inside = np.geomspace(0.05, 20, 21)
    np.testing.assert_allclose(integrate(absorbed, inside), integrate(table, inside), rtol=1e-8)
    slopes = jax.jit(jax.jacfwd(lambda m: m.integrate_bins(EDGES, 12)))(absorbed)
    assert np.all(np.isfinite(jax.tree_util.tree_leaves(slopes.model2.redshift)[0]))


def test_extra_keys_round_trip():
    model = _model(redshift=0.3)
    data = model.extra_dict()
    assert set(data) == {"energy", "param", "values"}
    again = EBLAbsorptionNormSpectralModel.from_extra(data, model.parameters, None)
    np.testing.assert_allclose(VALUE(again, EDGES), VALUE(model, EDGES), rtol=1e-14)
    assert jax.tree_util.tree_structure(again) == jax.tree_util.tree_structure(model)


def test_bad_tables_and_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected"):
        EBLAbsorptionNormSpectralModel(ENERGY, REDSHIFT, DATA.T)
    with pytest.raises(InputError, match="must increase"):
        EBLAbsorptionNormSpectralModel(ENERGY, REDSHIFT[::-1], DATA)
    with pytest.raises(InputError, match="there is no file"):
        EBLAbsorptionNormSpectralModel.read(tmp_path / "none.fits")
    from astropy.io import fits

    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(InputError, match="XSPEC"):
        EBLAbsorptionNormSpectralModel.read(tmp_path / "empty.fits")


def test_a_published_table(data_path):
    """Franceschini et al. 2008; numbers made with gammapy 2.1, whose interpolation is in float32."""
    path = data_path / "ebl" / "ebl_franceschini.fits.gz"
    if not path.is_file():
        pytest.skip("the EBL table is not among the test data")
    model = EBLAbsorptionNormSpectralModel.read(path, redshift=0.3)
    assert model.data.shape == (2001, 50) and isinstance(model.data, np.ndarray)
    energy = np.array([0.5, 1, 2, 5, 10, 20]) * u.TeV
    wanted = [1.55469543e-01, 3.07388509e-02, 8.67712440e-03, 3.61844176e-04, 2.04650773e-08, 7.19371209e-30]
    np.testing.assert_allclose(model(energy).value, wanted, rtol=1e-4)
    np.testing.assert_allclose(model([1e-5, 1e-3, 1e3] * u.TeV).value, [1, 1, 1.17549e-38], rtol=1e-3)
    assert model.extra_dict() == {"filename": str(path)}
    again = EBLAbsorptionNormSpectralModel.from_extra({"filename": path.name}, model.parameters, path.parent)
    assert float(again.redshift.value) == 0.3
    slopes = jax.jit(jax.jacfwd(lambda m: m.evaluate(np.geomspace(1e-5, 1e3, 30))))(again)
    assert np.all(np.isfinite(slopes.redshift.value)) and np.all(np.isfinite(slopes.alpha_norm.value))


def test_published_tables_from_a_folder(data_path, monkeypatch, tmp_path):
    """By gammapy's names, from the folder of the file, of all data sets, or the environment's."""
    table = data_path / "ebl" / "ebl_franceschini.fits.gz"
    if not table.is_file():
        pytest.skip("the EBL table is not among the test data")
    wanted = EBLAbsorptionNormSpectralModel.read(table, redshift=0.2, alpha_norm=0.9)
    monkeypatch.setenv("GAMMAPY_DATA", str(data_path))
    for folder in (table.parent, data_path, None):
        found = EBLAbsorptionNormSpectralModel.read_builtin("franceschini", 0.2, 0.9, folder=folder)
        assert found.filename == str(table) and np.array_equal(found.data, wanted.data)
        assert float(found.redshift.value) == 0.2 and float(found.alpha_norm.value) == 0.9
    with pytest.raises(InputError, match=r"there is no file .*ebl_dominguez11\.fits\.gz"):
        EBLAbsorptionNormSpectralModel.read_builtin(folder=tmp_path)
    with pytest.raises(InputError, match=r"no table 'franceschni'. Did you mean 'franceschini'"):
        EBLAbsorptionNormSpectralModel.read_builtin("franceschni", folder=data_path)
    monkeypatch.delenv("GAMMAPY_DATA")
    with pytest.raises(InputError, match="Say where they are"):
        EBLAbsorptionNormSpectralModel.read_builtin()
