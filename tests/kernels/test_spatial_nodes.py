"""Points that stand for extended sources: their sums against integrals, and how they move with the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import spatial as cases

from gammajax.datasets.models.spatial import SPATIAL_MODELS
from gammajax.kernels import spatial_nodes as rules

# Sizes of 0.3 to 0.6 deg seen through a Gaussian PSF of 0.1 deg, with nodes up to 0.13 deg apart.
PSF, SPACING = 0.1, 0.13
SHAPES = [
    ("disk", {"r_0": 0.5, "edge_width": 0.0}),
    ("disk", {"r_0": 0.5, "edge_width": 0.01}),
    ("disk", {"r_0": 0.5, "edge_width": 0.6}),
    ("disk", {"r_0": 0.6, "edge_width": 0.05, "e": 0.8, "phi": 30.0}),
    ("gauss-general", {"r_0": 0.3, "eta": 0.01}),
    ("gauss-general", {"r_0": 0.3, "eta": 0.4}),
    ("gauss-general", {"r_0": 0.3, "eta": 1.0}),
    ("gauss-general", {"r_0": 0.3, "eta": 0.6, "e": 0.6, "phi": -50.0}),
    ("shell", {"radius": 0.5, "width": 0.0}),
    ("shell", {"radius": 0.5, "width": 0.02}),
    ("shell", {"radius": 0.4, "width": 0.2}),
    ("shell2", {"r_0": 0.5, "eta": 1.0}),
]
AT = np.array([[0.0, 0.0], [0.12, 0.1], [0.4, 0.3], [0.0, 0.6], [0.7, -0.4]])


_nodes = jax.jit(lambda model, n_radial, n_angular: model.nodes(n_radial, n_angular), static_argnums=(1, 2))


def _psf(x, y):
    """At the points `AT`: a Gaussian of 0.1 deg, 1 at its centre; one row for each."""
    dx, dy = (x - AT[:, :1, None], y - AT[:, 1:, None]) if x.ndim > 1 else (x - AT[:, :1], y - AT[:, 1:])
    return jnp.exp(-0.5 * (dx**2 + dy**2) / PSF**2)


@pytest.mark.parametrize(("tag", "parameters"), SHAPES)
def test_sums_over_nodes_are_integrals(tag, parameters):
    model = SPATIAL_MODELS[tag](**parameters)
    n_radial, n_angular = model.node_counts(SPACING)
    assert sum(n_radial) >= 8 and n_angular >= 16
    x, y, weight = _nodes(model, n_radial, n_angular)
    assert x.shape == y.shape == weight.shape and np.all(np.asarray(weight) >= 0)
    np.testing.assert_allclose(np.sum(weight), 1, rtol=1e-13)
    if parameters.get("edge_width") == 0:
        breaks = [0.0, parameters["r_0"]]
    elif parameters.get("width") == 0:
        # a shell of no width has a root of the distance to its rim in the denominator
        breaks = [0.0, parameters["radius"]]
    else:
        breaks = cases.breaks_of(tag, parameters)
    gx, gy, omega = cases.polar_rule(breaks, 60, 512)
    profile = np.asarray(jax.jit(lambda m: m.profile(gx, gy))(model)) * omega
    wanted = np.sum(np.asarray(_psf(gx, gy)) * profile, axis=(1, 2))
    found = np.asarray(_psf(x, y) @ weight)
    # of the largest value; nearly nothing of a generalised Gaussian of eta = 1 is beyond its last node
    tolerance = 2e-4 if parameters.get("eta") == 0.01 else 5e-5
    np.testing.assert_allclose(found, wanted, atol=tolerance * wanted.max(), rtol=0)


@pytest.mark.parametrize(("tag", "parameters"), SHAPES)
def test_nodes_are_smooth_in_the_shape(tag, parameters):
    """Derivatives are finite, also at the ends of the ranges, and those of the sums are differences of the sums."""
    model = SPATIAL_MODELS[tag](**parameters)
    counts = model.node_counts(SPACING)

    def sums(model):
        x, y, weight = model.nodes(*counts)
        return _psf(x, y) @ weight

    both = jax.jit(lambda m: (sums(m), jax.jacfwd(sums)(m)))
    _, slopes = both(model)
    for leaf in jax.tree_util.tree_leaves(slopes):
        assert np.all(np.isfinite(leaf))
    for name, parameter in model.parameters.items():
        if name in ("lon_0", "lat_0"):
            continue
        value, step = float(parameter.value), 1e-5
        # at the end of a range a difference to one side has to do; sizes end at 0
        least = parameter.min if name == "phi" else max(parameter.min, 0.0)
        low, high = max(value - step, least), min(value + step, parameter.max)
        ends = [both(model.replace(**{name: v}))[0] for v in (low, high)]
        tolerance = 3e-6 if low < value < high else 3e-3
        np.testing.assert_allclose(
            getattr(slopes, name).value,
            np.asarray(ends[1] - ends[0]) / (high - low),
            atol=tolerance,
            rtol=1e-5,
            err_msg=name,
        )


@pytest.mark.parametrize(("tag", "parameters"), SHAPES)
def test_neighbours_are_no_farther_apart_than_asked(tag, parameters):
    model = SPATIAL_MODELS[tag](**parameters)
    for spacing in (0.13, 0.04):
        n_radial, n_angular = model.node_counts(spacing)
        x, y, _ = (np.asarray(a).reshape(-1, n_angular) for a in _nodes(model, n_radial, n_angular))
        bright = np.ones(len(x), bool)
        if tag == "gauss-general":
            # the rule ends at 1e-6 of the brightness, and is twice as coarse below 1 %
            size = np.hypot(x, y).max(axis=1) / parameters["r_0"]
            bright = size ** (1 / parameters["eta"]) < rules.FALLOFF_POWERS[1]
        along = np.hypot(np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y).max(axis=1)
        assert np.all(along[bright] <= spacing * (1 + 1e-9)) and np.all(along <= 2 * spacing)
        # the major axis tells the radii
        radius = np.sort(np.hypot(x, y).max(axis=1))
        steps = np.diff(np.append(0.0, radius))
        limit = np.where(radius <= radius[bright].max(initial=0) if not bright.all() else True, spacing, 2 * spacing)
        assert np.all(steps <= limit * 1.02)


def test_counts_need_numbers():
    from gammajax.datasets import InputError

    model = SPATIAL_MODELS["disk"]()
    with pytest.raises(InputError, match="outside"):
        jax.jit(lambda m: m.node_counts(0.1)[1])(model)
    for spacing in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="spacing"):
            model.node_counts(spacing)


def test_counts_are_those_that_are_needed():
    assert rules.steps_for(0.0, 0.1, 8) == 8 and rules.steps_for(1.0, 0.1, 8) == 16
    assert rules.angles_for(0.0, 0.1) == 16 and rules.angles_for(0.5, 0.1) == 32
    assert rules.disk_counts(0.1, 0.5, 0.01) == ((8, 4), 32)
    assert rules.shell_counts(0.1, 0.5, 0.1) == ((4, 12), 40)
