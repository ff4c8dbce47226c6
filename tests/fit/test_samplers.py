"""The programs of docs/samplers.md, on a posterior that is known on a grid."""

import re
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

import gammajax as gj

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "samplers.md"


@pytest.fixture
def packages(monkeypatch):
    """Those of the extra ``samplers``, whose own warnings are not ours."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("numpyro", "blackjax", "arviz"):
            pytest.importorskip(name, reason=f"{name} is not installed: pip install gammajax[samplers]")
        yield


def on_grid(like, best, errors, low):
    """Means and standard deviations (2,) by sums over a grid of two parameters."""
    axes = [np.linspace(max(b - 6 * e, bound), b + 6 * e, 161) for b, e, bound in zip(best, errors, low, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_prob = np.asarray(jax.jit(jax.vmap(like.log_prob))(points))
    weight = np.exp(log_prob - log_prob.max())
    # half of a cell at the bound
    weight[np.any(points == low, axis=1)] /= 2
    mean = weight @ points / weight.sum()
    return mean, np.sqrt(weight @ (points - mean) ** 2 / weight.sum())


def test_the_page(spectrum_factory, power_law, packages):
    """numpyro, blackjax and ArviZ, with a bound 0.3 standard deviations from the best value."""
    datasets = gj.Datasets({"run": spectrum_factory(0)})
    free = gj.fit(datasets, power_law())
    index = free.parameters["index"]
    edge = float(index.value) - 0.3 * float(index.error)
    models = power_law().with_parameter("source.spectral.index", min=edge)
    names = {"datasets": datasets, "models": models}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    exec(blocks[0], names)
    errors = np.sqrt(np.diag(free.covariance))
    mean, width = on_grid(names["like"], names["like"].initial, errors, np.array([edge, -np.inf]))
    for block in blocks[1:3]:
        exec(block, names)
        theta = np.asarray(names["theta"])
        assert theta.shape == (2, 1000, 2) and theta[..., 0].min() > edge
        assert np.all(np.abs(theta.mean((0, 1)) - mean) < 0.12 * width)
        np.testing.assert_allclose(theta.std((0, 1)), width, rtol=0.1)
    assert not np.any(names["mcmc"].get_extra_fields()["diverging"]) and not np.any(names["diverging"])
    exec(blocks[3], names)
    assert float(names["data"].posterior["source.spectral.index"].mean()) == pytest.approx(theta[..., 0].mean())
