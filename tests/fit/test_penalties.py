"""Gaussian priors on several parameters: the quadratic form by hand, and fits that have a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

pytestmark = pytest.mark.slow

NODES = [1.0, 2.0, 4.0, 8.0, 16.0] * u.TeV


class Measured(gj.Dataset):
    """Numbers with errors, compared with the norms of a piecewise spectrum at its nodes: linear in the parameters."""

    values: jax.Array
    sigma: jax.Array
    tag = "Measured"

    @property
    def data_shape(self):
        return self.values.shape

    def predict(self, models):
        return models[0].spectral.evaluate(jnp.asarray(NODES.value))

    def stat_bins(self, prediction):
        return ((self.values - prediction) / self.sigma) ** 2


def norms(values=None, **fields):
    spectral = gj.PiecewiseNormSpectralModel(NODES, values, interp="lin")
    return gj.Models(gj.SkyModel(spectral, name="s", apply_irf={"exposure": False}), **fields)


NAMES = [f"s.spectral.norm_{i}" for i in range(5)]
VALUES, SIGMA = np.array([1.0, 3.0, 0.5, 2.0, 1.2]), np.array([0.1, 0.5, 0.2, 0.4, 0.3])
COVARIANCE = 0.3 * np.exp(-np.abs(np.subtract.outer(np.arange(5), np.arange(5))) / 2)


@pytest.fixture(scope="module")
def data():
    return Measured(VALUES, SIGMA)


@pytest.mark.parametrize("kind", ["covariance", "precision", "diagonal", "smoothness", "L2"])
def test_a_linear_fit_has_the_closed_form(kind, data):
    """Minimum of (x - v)^T W (x - v) + l (x - m)^T P (x - m): x = (W + l P)^-1 (W v + l P m)."""
    strength, mean = 2.5, np.linspace(0.5, 1.5, 5)
    make = gj.GaussianPriorPenalty
    given = {"mean": mean, "lambda_": strength}
    penalty, precision = {
        "covariance": (make(NAMES, covariance=COVARIANCE, **given), np.linalg.inv(COVARIANCE)),
        "precision": (make.from_precision(NAMES, np.linalg.inv(COVARIANCE), **given), np.linalg.inv(COVARIANCE)),
        "diagonal": (make.from_diagonal(NAMES, 0.2, **given), np.eye(5) / 0.04),
        "smoothness": (
            make.SmoothnessPenalty(NAMES, **given),
            np.diag(np.full(5, 2.0)) - np.diag(np.ones(4), 1) - np.diag(np.ones(4), -1),
        ),
        "L2": (make.L2_penalty(NAMES, **given), np.eye(5)),
    }[kind]
    weight = np.diag(SIGMA**-2)
    normal = weight + strength * precision
    best = np.linalg.solve(normal, weight @ VALUES + strength * precision @ mean)
    for method in ("scoring", "minuit"):
        result = gj.fit(data, norms(penalties=[penalty]), method=method)
        assert result.success
        np.testing.assert_allclose([result.parameters[n].value for n in NAMES], best, rtol=1e-4)
        np.testing.assert_allclose(result.covariance, np.linalg.inv(normal), rtol=1e-4, atol=1e-7)
        stat = np.sum(((VALUES - best) / SIGMA) ** 2) + strength * (best - mean) @ precision @ (best - mean)
        assert result.stat == pytest.approx(stat, rel=1e-7)
        assert result.models.penalties[0].names == tuple(NAMES)
    found = float(penalty.stat_sum(norms(VALUES).parameters))
    assert found == pytest.approx(strength * (VALUES - mean) @ precision @ (VALUES - mean), rel=1e-12)


def test_frozen_and_linked_parameters(data):
    """A frozen parameter enters as a number; a linked one as the one that it is."""
    penalty = gj.GaussianPriorPenalty(NAMES, covariance=COVARIANCE, mean=1.0)
    models = norms(VALUES, penalties=penalty)
    precision = np.linalg.inv(COVARIANCE)
    whole = float(gj.stat_sum(data, models))
    assert whole == pytest.approx((VALUES - 1) @ precision @ (VALUES - 1), rel=1e-12)
    for frozen in (NAMES[:2], NAMES):
        assert float(gj.stat_sum(data, models.freeze(*frozen))) == pytest.approx(whole, rel=1e-12)
    kept = models.freeze(*NAMES[:2])
    result = gj.fit(data, kept)
    free, fixed = slice(2, 5), VALUES[:2] - 1
    normal = np.diag(SIGMA[free] ** -2) + precision[free, free]
    right = SIGMA[free] ** -2 * (VALUES[free] - 1) - precision[free, :2] @ fixed
    np.testing.assert_allclose(
        [result.parameters[n].value for n in NAMES[2:]], 1 + np.linalg.solve(normal, right), rtol=1e-5
    )
    two = gj.Models([*norms(VALUES), norms(VALUES)[0].replace(name="t")])
    linked = two.link("s.spectral.norm_0", "t.spectral.norm_0")
    tied = gj.Models(linked, penalties=gj.GaussianPriorPenalty(["t.spectral.norm_0", "s.spectral.norm_1"], mean=[5, 6]))
    only_first = float(gj.stat_sum(data, two))
    assert float(gj.stat_sum(data, tied)) - only_first == pytest.approx((1 - 5) ** 2 + (3 - 6) ** 2)
    twice = gj.Models(linked, penalties=gj.GaussianPriorPenalty(["t.spectral.norm_0", "s.spectral.norm_0"]))
    with pytest.raises(gj.InputError, match="some of them are linked"):
        gj.stat_sum(data, twice)


def test_derivatives(data):
    models = norms(VALUES, penalties=gj.GaussianPriorPenalty(NAMES, covariance=COVARIANCE, mean=0.7, lambda_=2.0))
    density = gj.log_density(data, models)
    at = np.asarray(density.initial)
    gradient = -2 * np.asarray(jax.grad(density)(at))
    wanted = 4 * np.linalg.inv(COVARIANCE) @ (VALUES - 0.7)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-9)
    slope = jax.grad(lambda m: gj.stat_sum(data, m))(models)
    assert float(slope.penalties[0].lambda_) == pytest.approx(
        (VALUES - 0.7) @ np.linalg.inv(COVARIANCE) @ (VALUES - 0.7)
    )


def test_backgrounds_of_several_runs_are_tied_together(background_runs_factory):
    """Norms that are local to their runs: stiff penalties make them one, as a link does."""
    datasets, models = background_runs_factory(3, 7)
    names = [n for n in models.parameters if n.endswith("bkg.spectral.norm")]
    assert len(names) == 3
    models = models.with_values(dict.fromkeys(names, 1.0))
    differences = np.array([[1, -1, 0], [0, 1, -1]], float)
    stiff = gj.GaussianPriorPenalty.from_precision(names, 1e7 * differences.T @ differences)
    free, tied = gj.fit(datasets, models), gj.fit(datasets, gj.Models(models, penalties=stiff))
    assert free.success and tied.success
    values = [float(tied.parameters[n].value) for n in names]
    assert np.ptp(values) < 1e-4 < np.ptp([float(free.parameters[n].value) for n in names])
    linked = gj.fit(datasets, models.link(*names))
    assert values[0] == pytest.approx(float(linked.parameters[names[0]].value), abs=1e-4)
    assert tied.stat == pytest.approx(linked.stat, abs=1e-3)


def test_containers_keep_and_drop_them():
    penalty = gj.GaussianPriorPenalty(["norm_0", "norm_1"])
    models = norms(penalties=penalty)
    assert models.penalties[0].names == ("s.spectral.norm_0", "s.spectral.norm_1")
    other = gj.SkyModel(gj.PowerLawSpectralModel(), name="o", datasets_names="x")
    both = models + other
    assert len(both.penalties) == 1 and (other in list(both)) and len(gj.Models(both).penalties) == 1
    for same in (
        both.freeze(),
        both.with_values({"o.spectral.index": 3}),
        both.with_image_margins(),
        both.acting_on("x"),
    ):
        assert same.penalties[0].names == models.penalties[0].names
    assert both.select(name_substring="o").penalties == () and both[1:].penalties == () and len(both[:1].penalties) == 1
    assert gj.Models(both, penalties=()).penalties == ()


def test_yaml(tmp_path):
    penalty = gj.GaussianPriorPenalty(NAMES[:3], mean=[1, 2, 3], covariance=COVARIANCE[:3, :3], lambda_=0.5)
    models = norms(VALUES, penalties=[penalty, gj.GaussianPriorPenalty.SmoothnessPenalty(NAMES)])
    models.write(tmp_path / "models.yaml")
    again = gj.Models.read(tmp_path / "models.yaml")
    assert [p.names for p in again.penalties] == [tuple(NAMES[:3]), tuple(NAMES)]
    np.testing.assert_allclose(again.penalties[0].covariance, COVARIANCE[:3, :3], rtol=1e-10)
    np.testing.assert_array_equal(again.penalties[0].mean, [1, 2, 3])
    assert float(again.penalties[0].lambda_) == 0.5
    data = models.to_dict()
    data["penalties"] = [{"type": "GaussianPriorPenalty", "parameters": NAMES[:2], "covariance": [[2, 0], [0, 2]]}]
    np.testing.assert_allclose(gj.Models.from_dict(data).penalties[0].precision, np.eye(2) / 2)
    for bad, message in (
        ({"type": "RidgePenalty"}, "penalty 1: found"),
        ({"type": "GaussianPriorPenalty", "parameters": ["nothing"]}, "nothing"),
        ({"type": "GaussianPriorPenalty", "parameters": NAMES[:2], "covariance": [[1]]}, r"shape \(1, 1\)"),
    ):
        with pytest.raises(gj.InputError, match=message):
            gj.Models.from_dict(data | {"penalties": [bad]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda make: make([]), "names of different parameters"),
        (lambda make: make(["a", "a"]), "names of different parameters"),
        (lambda make: make([gj.Parameter(1.0)]), "names of different parameters"),
        (lambda make: make(["a", "b"], mean=[1, 2, 3]), r"mean has shape \(3,\)"),
        (lambda make: make(["a", "b"], mean=[1, np.nan]), "mean must be finite"),
        (lambda make: make(["a", "b"], covariance=[[1, 2], [2, 1]]), "positive definite"),
        (lambda make: make(["a", "b"], covariance=[[1, 0.5], [0, 1]]), "symmetric"),
        (lambda make: make(["a"], lambda_=-1), "not negative"),
        (lambda make: make.from_diagonal(["a"], 0.0), "sigma must be positive"),
        (
            lambda make: gj.Models(gj.SkyModel(gj.PowerLawSpectralModel()), penalties=[5]),
            "GaussianPriorPenalty objects",
        ),
    ],
)
def test_input(call, message):
    with pytest.raises(gj.InputError, match=message):
        call(gj.GaussianPriorPenalty)
