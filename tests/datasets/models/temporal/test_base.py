"""Times, scales and good time intervals of temporal models."""

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.time import Time

from gammajax.datasets import GTI, InputError
from gammajax.datasets.models.temporal import (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    LinearTemporalModel,
)

START = Time("2020-05-01T00:00:00", scale="tt")


@pytest.mark.parametrize("scale", ["utc", "tai", "tt", "tdb"])
def test_times_are_in_the_scale_of_the_model(scale):
    """One instant, given in any scale, is one value; t_ref counts in the scale of the model."""
    model = LinearTemporalModel(alpha=0.0, beta=1.0, t_ref=58960.0, scale=scale)
    instant = Time("2020-05-02T03:00:00", scale="utc")
    wanted = getattr(instant, scale)
    wanted = (wanted.jd1 - 2400000.5 - 58960.0) + wanted.jd2
    for given in ("utc", "tt", "tdb"):
        np.testing.assert_allclose(model(getattr(instant, given)), wanted, rtol=1e-12)
    np.testing.assert_allclose(model(getattr(instant, scale).mjd), wanted, rtol=1e-11)
    days = model.days_after(np.array([100.0, 86400.0 * 1.125]), float(START.mjd))
    wanted = [getattr(START + s * u.s, scale).mjd - 58960.0 for s in (100.0, 86400.0 * 1.125)]
    np.testing.assert_allclose(days, wanted, atol=3e-10)
    assert model.reference_time.scale == scale and model.reference_time.mjd == 58960.0


def test_means_weigh_intervals_by_their_length():
    model = LinearTemporalModel(alpha=1.0, beta=2.0, t_ref=float(START.mjd), scale="tt")
    gti = GTI([0.0, 43200.0], [8640.0, 86400.0], START)
    wanted = (0.1 * 1.1 + 0.5 * 2.5) / 0.6
    np.testing.assert_allclose(model.mean(gti), wanted, rtol=1e-12)
    # padding: intervals of no length
    padded = GTI([0.0, 43200.0, 5.0, 0.0], [8640.0, 86400.0, 5.0, 0.0], START)
    np.testing.assert_allclose(model.mean(padded), wanted, rtol=1e-12)
    for given in (ExpDecayTemporalModel(0.3, float(START.mjd)), GaussianTemporalModel(float(START.mjd), 0.2)):
        one, two = given.mean(gti), given.mean(padded)
        np.testing.assert_allclose(one, two, rtol=1e-13)
        slopes = jax.jit(jax.grad(lambda m: m.mean(padded)))(given)
        assert np.all(np.isfinite(jax.tree_util.tree_leaves(slopes)))


def test_transformations():
    """jit = eager, vmap = loop over models and over intervals."""
    gti = GTI([0.0, 5e4], [1e4, 6e4], START)
    models = [ExpDecayTemporalModel(t0, float(START.mjd)) for t0 in (0.1, 0.5, 2.0)]
    loop = [float(m.mean(gti)) for m in models]
    stacked = jax.tree_util.tree_map(lambda *leaf: jnp.stack(leaf), *models)
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda m: m.mean(gti)))(stacked), loop, rtol=1e-13)
    runs = [gti, GTI([3e5, 4e5], [3.1e5, 4.5e5], START)]
    several = jax.tree_util.tree_map(lambda *leaf: jnp.stack(leaf), *runs)
    found = jax.jit(jax.vmap(models[1].mean))(several)
    np.testing.assert_allclose(found, [float(models[1].mean(run)) for run in runs], rtol=1e-13)


def test_bad_input():
    with pytest.raises(InputError, match="scale"):
        LinearTemporalModel(scale="ut1")
    with pytest.raises(InputError, match="no good time intervals"):
        LinearTemporalModel().mean(GTI([], []))
    assert float(ConstantTemporalModel().mean(GTI([], []))) == 1
    with pytest.raises(InputError, match="local"):
        LinearTemporalModel().evaluate(Time(5e4, format="mjd", scale="local"))
    with pytest.raises(InputError, match="'TeV'"):
        ExpDecayTemporalModel(t0=1 * u.TeV)
