"""Dataset types of one's own in fits."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import flux_points as cases

import gammajax as gj

pytestmark = pytest.mark.slow

ENERGY = np.geomspace(0.5, 20, 6).reshape(2, 3)


class Measured(gj.Dataset):
    """Fluxes with Gaussian errors on a grid: what the documentation shows."""

    energy: Any
    value: Any
    sigma: Any
    mask_fit: Any = None
    label: str = eqx.field(static=True, default="x")
    tag = "Measured"

    @property
    def data_shape(self):
        return self.value.shape

    def predict(self, models):
        return gj.dnde(models, self.energy)

    def stat_bins(self, prediction):
        return ((self.value - prediction) / self.sigma) ** 2


class Saturating(Measured):
    """A statistic that bends downwards far away, with an offset of the data."""

    tag = "Saturating"

    def stat_bins(self, prediction):
        return self.deviance_bins(prediction) + self.offset_bins()

    def deviance_bins(self, prediction):
        pull = (self.value - prediction) / self.sigma
        return 2 * jnp.log1p(pull**2 / 2)

    def offset_bins(self):
        return 2 * jnp.log(self.sigma)


class Naked(gj.Dataset):
    text: Any = "not static"

    @property
    def data_shape(self):
        return (1,)

    def predict(self, models):
        return jnp.ones(1)

    def stat_bins(self, prediction):
        return prediction


def measured(kind=Measured, seed=0, **changes):
    rng = np.random.default_rng(seed)
    flux = 3e-11 * ENERGY**-2.3
    fields = {"energy": ENERGY, "value": flux * (1 + 0.1 * rng.normal(size=ENERGY.shape)), "sigma": 0.1 * flux}
    return kind(**(fields | changes))


def exact(data, kind=Measured):
    """Index and amplitude by Gauss-Newton steps in plain numpy, and their covariance; Gaussian errors."""
    index, amplitude = 2.0, 2e-11
    for _ in range(50):
        flux = [amplitude * d.energy**-index for d in data]
        weight = np.concatenate([(d.mask if d.mask is not None else np.ones(d.data_shape, bool)).ravel() for d in data])
        sigma = np.concatenate([d.sigma.ravel() for d in data])
        rows = np.stack([
            np.concatenate([(-np.log(d.energy) * f).ravel() for d, f in zip(data, flux, strict=True)]),
            np.concatenate([f.ravel() / amplitude for f in flux]),
        ]) / sigma * weight  # fmt: skip
        pull = np.concatenate([(d.value - f).ravel() for d, f in zip(data, flux, strict=True)]) / sigma * weight
        scale = np.array([1.0, amplitude])
        rows = rows * scale[:, None]
        step = np.linalg.solve(rows @ rows.T, rows @ pull) * scale
        index, amplitude = index + step[0], amplitude + step[1]
    return np.array([index, amplitude]), np.linalg.inv(rows @ rows.T) * np.outer(scale, scale)


@pytest.fixture(scope="module")
def power_law_m():
    return gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.0, amplitude=2e-11), name="m")])


def test_statistic(power_law_m):
    dataset = measured(mask_fit=ENERGY > 1)
    values = gj.stat_array(dataset, power_law_m)
    wanted = np.where(ENERGY > 1, ((dataset.value - 2e-11 * ENERGY**-2.0) / dataset.sigma) ** 2, 0)
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    np.testing.assert_allclose(gj.npred(dataset, power_law_m), 2e-11 * ENERGY**-2.0, rtol=1e-12)
    assert float(gj.stat_sum(dataset, power_law_m)) == pytest.approx(wanted.sum(), rel=1e-12)
    info = gj.info_dict(dataset, "d")
    assert info == {
        "name": "d",
        "type": "Measured",
        "stat_type": "custom",
        "n_bins": 6,
        "n_fit_bins": int((ENERGY > 1).sum()),
    }


def test_fit_of_several(power_law_m):
    """Datasets of one's own, those that differ in data only in one program, beside flux points and others."""
    data = {"a": measured(), "b": measured(seed=1, mask_fit=ENERGY > 1)}
    from gammajax.fit.joint import make_problem

    assert [len(g.members) for g in make_problem(data, power_law_m).groups] == [1, 1]
    assert [
        len(g.members)
        for g in make_problem({"a": data["a"], "b": measured(seed=5), "c": measured(label="y")}, power_law_m).groups
    ] == [2, 1]
    result = gj.fit(data, power_law_m)
    assert result.status == "converged" and result.n_bins == 6 + int((ENERGY > 1).sum())
    values, covariance = exact(list(data.values()))
    found = np.array([float(result.parameters[n].value) for n in result.free_names])
    sigma = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((found - values) / sigma, 0, atol=1e-3)
    # the exact second derivatives differ from those of Gauss and Newton by what is left of the residuals
    np.testing.assert_allclose(np.sqrt(np.diag(result.covariance)), sigma, rtol=0.1)


def test_joint_fit_with_counts_and_an_offset(power_law_m, spectrum_factory):
    data = {"counts": spectrum_factory(0, on_off=False), "mine": measured(Saturating)}
    result = gj.fit(data, power_law_m)
    assert result.status == "converged"
    names = result.free_names
    values, errors = (np.array([float(getattr(result.parameters[n], k)) for n in names]) for k in ("value", "error"))

    @jax.jit
    def stat(z):
        models = result.models.with_values(dict(zip(names, values + errors * z, strict=True)))
        return sum(jnp.sum(gj.stat_array(d, models)) for d in data.values())

    assert result.stat == pytest.approx(float(stat(np.zeros(2))), rel=1e-10)
    slope, hessian = cases.second_differences(stat, 2)
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.diag(2 * np.linalg.inv(hessian))), 1, rtol=2e-3)


def test_default_scoring_terms():
    """Curvature where it is positive, else the slope squared over two."""
    dataset = measured(Saturating)
    prediction = dataset.value + dataset.sigma * np.array([[0.1, -0.5, 1.0], [2.0, -3.0, 8.0]])
    stat, slope, curvature = dataset.scoring_bins(prediction)
    pull = (prediction - dataset.value) / dataset.sigma
    np.testing.assert_allclose(stat, 2 * np.log1p(pull**2 / 2), rtol=1e-12)
    first = 2 * pull / (1 + pull**2 / 2) / dataset.sigma
    second = 2 * (1 - pull**2 / 2) / (1 + pull**2 / 2) ** 2 / dataset.sigma**2
    np.testing.assert_allclose(slope, first, rtol=1e-9)
    np.testing.assert_allclose(curvature, np.where(second > 0, second, first**2 / 2), rtol=1e-9)


def test_dnde():
    decay = gj.ExpDecayTemporalModel(t0=1.0, t_ref=51544.0, scale="tt")
    models = [
        gj.SkyModel(gj.PowerLawSpectralModel(index=2.0, amplitude=2e-11), name="a", temporal=decay),
        gj.SkyModel(lambda energy: 1e-11 * jnp.ones_like(energy), name="b"),
        gj.FoVBackgroundModel(),
    ]
    energy = np.array([1.0, 2.0])
    np.testing.assert_allclose(gj.dnde(models, energy), 2e-11 / energy**2 + 1e-11, rtol=1e-12)
    np.testing.assert_allclose(gj.dnde(models[0], energy), 2e-11 / energy**2, rtol=1e-12)
    timed = gj.dnde(models, energy, gj.GTI([0.0], [86400.0]))
    np.testing.assert_allclose(timed, 2e-11 / energy**2 * (1 - np.exp(-1)) + 1e-11, rtol=1e-9)


def test_bad_input(power_law_m):
    with pytest.raises(gj.InputError, match=r"Naked: found 'not static' among its numbers"):
        gj.fit(Naked(), power_law_m)
    with pytest.raises(gj.InputError, match=r"none of its 6 bins can be fitted"):
        gj.fit(measured(mask_fit=ENERGY > 100), power_law_m)
    with pytest.raises(gj.InputError, match=r"found dict as 'a', expected a dataset. A type of your own must"):
        gj.fit({"a": {}}, power_law_m)


class ScalarPrediction(Measured):
    def predict(self, models):
        return jnp.sum(super().predict(models))


class ScalarStatistic(Measured):
    def stat_bins(self, prediction):
        return jnp.sum(super().stat_bins(prediction))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ScalarPrediction, r"ScalarPrediction.predict gave an array of shape \(\), expected \(2, 3\)"),
        (ScalarStatistic, r"ScalarStatistic.*stat_bins.* gave an array of shape \(\), expected \(2, 3\)"),
    ],
)
def test_shapes_that_would_broadcast_are_refused(kind, message):
    model = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11), name="source")
    for data in (measured(kind), measured(kind, mask_fit=np.ones((2, 3), bool))):
        with pytest.raises(gj.InputError, match=message):
            gj.stat_array(data, model)
        with pytest.raises(gj.InputError, match=message):
            gj.fit(data, model)


class ScalarOfCounts(gj.Statistic):
    stat_type = "scalar of counts"
    names = ("counts",)

    def stat_bins(self, data, prediction):
        return jnp.sum((data["counts"] - prediction) ** 2)


class Nameless(ScalarOfCounts):
    stat_type = "nameless"
    names = "counts"


def test_statistics_of_ones_own_are_checked(spectrum_factory, power_law):
    gj.register_statistic(ScalarOfCounts())
    run = spectrum_factory(on_off=False).replace(stat_type="scalar of counts")
    for call in (gj.stat_array, gj.fit):
        with pytest.raises(
            gj.InputError, match=r"ScalarOfCounts.stat_bins gave an array of shape \(\), expected \((12|16),\)"
        ):
            call(run, power_law())
    with pytest.raises(gj.InputError, match="Nameless needs names, a tuple"):
        gj.register_statistic(Nameless())
    with pytest.raises(gj.InputError, match="stat_type is 'wstat', expected one of cash"):
        run.replace(stat_type="wstat")
    # Cash reads no off counts: the prediction would have no background
    with pytest.raises(gj.InputError, match="stat_type is 'cash', expected one of wstat"):
        spectrum_factory(on_off=True).replace(stat_type="cash")
    with pytest.raises(gj.InputError, match="'cash' is one of the package's"):
        gj.register_statistic(type("Cash", (ScalarOfCounts,), {"stat_type": "cash"})())
