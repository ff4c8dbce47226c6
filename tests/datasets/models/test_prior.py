import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models import (
    PRIORS,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogUniformPrior,
    Prior,
    UniformPrior,
)


@pytest.mark.parametrize(
    ("prior", "value", "expected"),
    [
        # numbers printed by gammapy 2.1
        (GaussianPrior(0, 1), 2.0, 5.837877066409345),
        (GaussianPrior(2.3, 0.2, weight=3.0), 2.7, 3 * (4 + math.log(2 * math.pi * 0.04))),
        (UniformPrior(1, 3), 2.0, 2 * math.log(2)),
        (LogUniformPrior(1e-14, 1e-10), 1e-12, 2 * math.log(1e-12 * math.log(1e4))),
        (GeneralizedGaussianPrior(0, 1, 0.5), 2.0, 5.837877066409345),
    ],
)
def test_values(prior, value, expected):
    assert float(prior(value)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("eta", [0.2, 0.5, 1.0, 2.0])
def test_densities_are_normalised(eta):
    """Minus twice the logarithm of a density that integrates to 1."""
    priors = [
        (GaussianPrior(1, 0.3), np.linspace(-2, 4, 200001)),
        (GeneralizedGaussianPrior(1, 0.3, eta), np.linspace(-399, 401, 4000001)),
        (UniformPrior(1, 3), np.linspace(1, 3, 1001)),
        (LogUniformPrior(0.5, 3), np.linspace(0.5, 3, 200001)),
    ]
    for prior, x in priors:
        density = np.exp(-0.5 * np.asarray(prior(jnp.asarray(x))))
        # the cusp at mu costs the trapezoid rule 1e-6
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-5), prior


@pytest.mark.parametrize("prior", [UniformPrior(1, 3), LogUniformPrior(1, 3)])
def test_impossible_outside_the_support(prior):
    assert prior.bounds == (1.0, 3.0)
    assert np.isinf(prior(jnp.array([0.5, 3.5, -1.0]))).all()
    assert np.isfinite(prior(jnp.array([1.0, 2.0, 3.0]))).all()
    assert jax.grad(prior)(0.5) == 0.0


@pytest.mark.parametrize(
    "prior", [GaussianPrior(1, 0.3), GeneralizedGaussianPrior(1, 0.3, 0.4), LogUniformPrior(0.5, 3)]
)
def test_gradient_agrees_with_finite_differences(prior):
    for x in (0.7, 1.3):
        step = 1e-6
        slope = (prior(x + step) - prior(x - step)) / (2 * step)
        assert float(jax.grad(prior)(x)) == pytest.approx(float(slope), rel=1e-7)
    assert np.isfinite(jax.grad(prior)(1.0))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GaussianPrior(0, 0), "GaussianPrior: sigma must be positive, found 0.0"),
        (lambda: GaussianPrior(0, -1), "sigma must be positive"),
        (lambda: GaussianPrior(0, 1e-300), "sigma must be between 1e-140 and 1e+140, found 1e-300"),
        (lambda: GeneralizedGaussianPrior(0, 1e300, 1), "sigma must be between"),
        (lambda: GaussianPrior(math.nan, 1), "mu must be finite"),
        (lambda: GaussianPrior("a", 1), "mu: found 'a'"),
        (lambda: GaussianPrior(0, 1, weight=math.inf), "weight must be finite"),
        (lambda: UniformPrior(1, 1), "min must be below max"),
        (lambda: UniformPrior(0, math.inf), "max must be finite"),
        (lambda: LogUniformPrior(0, 1), "min must be positive"),
        (lambda: LogUniformPrior(2, 1), "min must be below max"),
        (lambda: GeneralizedGaussianPrior(0, 1, 0), "eta must be positive"),
    ],
)
def test_bad_numbers(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert text in str(error.value)


def test_priors_are_plain_values():
    assert GaussianPrior(np.float32(2), np.array(1)) == GaussianPrior(2.0, 1.0)
    assert hash(GaussianPrior(2, 1)) == hash(GaussianPrior(2.0, 1.0))
    assert set(PRIORS) == {"GaussianPrior", "UniformPrior", "LogUniformPrior", "GeneralizedGaussianPrior"}
    assert GaussianPrior(2, 1, 3).to_dict() == {
        "type": "GaussianPrior",
        "parameters": [{"name": "mu", "value": 2.0}, {"name": "sigma", "value": 1.0}],
        "weight": 3.0,
    }
    with pytest.raises(TypeError):
        Prior()(1.0)
