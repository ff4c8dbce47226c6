"""Images of sources that are larger than the lattice: made in blocks and of what reaches it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from gammajax.datasets.models.spatial import SPATIAL_MODELS
from gammajax.kernels import lattice, rings
from gammajax.kernels.spatial_nodes import ring_total

SHAPE, S, PIXEL = (14, 16), 2, 0.05
SPACING = 1.2 * PIXEL / S
# rings with fewer angles are as coarse as `SPACING` allows: two waves in either direction, 4e-6
COARSE = 4 * np.exp(-2 * np.pi**2 / 1.2**2)
PLACES = {"middle": (7.3, 6.2), "edge": (31.0, 18.0), "beside": (-90.0, 3.0)}
SHAPES = [
    ("disk", {"r_0": 1.3, "edge_width": 0.01}),
    ("disk", {"r_0": 1.5, "e": 0.8, "phi": 30.0}),
    ("gauss-general", {"r_0": 0.5, "eta": 0.6, "e": 0.3}),
    ("shell", {"radius": 0.9, "width": 0.1}),
]


def flat(x, y):
    """Offsets on a plane to pixels: north is up, east to the left."""
    return lambda east, north: (x - east / PIXEL, y + north / PIXEL)


def separations(x, y):
    margin = rings.REACH / S + 1
    corners = np.meshgrid(np.arange(-margin, SHAPE[1] + margin), np.arange(-margin, SHAPE[0] + margin))
    distance = jnp.hypot(corners[0] - x, corners[1] - y) * PIXEL
    return jnp.min(distance) - PIXEL, jnp.max(distance) + PIXEL


def image_of(model, counts, x, y):
    place = flat(x, y)
    return rings.ring_image(model.rings(counts[0]), counts[1], place, lambda: separations(x, y), SHAPE, S)


def all_at_once(model, counts, x, y):
    """The sum over nodes, in NumPy."""
    east, north, weight = (np.asarray(a) for a in model.nodes(*counts))
    at = flat(x, y)(east, north)
    lines = [
        np.exp(-0.5 * (np.arange(n * S)[None] - c[:, None] * S) ** 2) / np.sqrt(2 * np.pi)
        for c, n in zip(at, SHAPE[::-1], strict=True)
    ]
    return (lines[1] * weight[:, None]).T @ lines[0]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (lattice, rings):
        monkeypatch.setattr(module, "AT_ONCE", 2**14)
        monkeypatch.setattr(module, "BLOCK", 2**14)


@pytest.mark.parametrize(("tag", "parameters"), SHAPES)
def test_blocks_are_the_sum_over_all_nodes(tag, parameters):
    model = SPATIAL_MODELS[tag](**parameters)
    counts = model.node_counts(SPACING)
    assert sum(counts[0]) * counts[1] > 20 * 2**14 / (S * sum(SHAPE))
    image = jax.jit(lambda m, x, y: image_of(m, counts, x, y))
    peak = all_at_once(model, counts, *PLACES["middle"]).max()
    for name, (x, y) in PLACES.items():
        wanted = all_at_once(model, counts, x, y)
        np.testing.assert_allclose(image(model, x, y), wanted, atol=COARSE * peak, rtol=0, err_msg=name)
        assert name == "beside" or wanted.max() > 1e-3 * peak


def test_kernel_is_the_same_plain_jitted_and_mapped():
    model = SPATIAL_MODELS["disk"](r_0=1.3, edge_width=0.01)
    counts = model.node_counts(SPACING)
    places = np.array([PLACES["middle"], PLACES["edge"]])
    found = jax.jit(lambda m, x, y: image_of(m, counts, x, y))
    one_by_one = np.stack([found(model, *place) for place in places])
    mapped = jax.vmap(lambda place: image_of(model, counts, *place))(places)
    np.testing.assert_allclose(mapped, one_by_one, atol=1e-15)
    np.testing.assert_allclose(image_of(model, counts, *places[0]), one_by_one[0], atol=1e-15)


@pytest.mark.parametrize(("tag", "parameters"), SHAPES)
def test_slopes_are_differences(tag, parameters):
    """In reverse, and forwards: also in the sizes, whose nodes move on and off the lattice."""
    model = SPATIAL_MODELS[tag](**parameters)
    counts = model.node_counts(SPACING)
    weights = np.random.default_rng(0).normal(size=(SHAPE[0] * S, SHAPE[1] * S))
    value = jax.jit(lambda m: jnp.sum(weights * image_of(m, counts, *PLACES["edge"])))
    slopes = jax.jit(jax.grad(value))(model)
    for name in parameters:
        at, h = float(model.parameters[name].value), 1e-5
        moved = [value(model.replace(**{name: at + step})) for step in (h, -h)]
        np.testing.assert_allclose(
            getattr(slopes, name).value, (moved[0] - moved[1]) / (2 * h), rtol=2e-5, atol=1e-8, err_msg=name
        )
    along = jax.jvp(value, (model,), (jax.tree.map(jnp.ones_like, model),))[1]
    np.testing.assert_allclose(along, sum(float(x) for x in jax.tree.leaves(slopes)), rtol=1e-9)


def test_the_edge_of_a_disk_is_that_of_a_blurred_half_plane():
    """Far from the centre of a disk its edge is straight, and its blurred profile known in closed form."""
    model = SPATIAL_MODELS["disk"](r_0=20.0, edge_width=0.0)
    counts = model.node_counts(SPACING)
    x, y = 7.0 + 20.0 / PIXEL, 6.0
    found = np.asarray(jax.jit(lambda m: image_of(m, counts, x, y))(model))[6 * S]
    column = np.arange(SHAPE[1] * S) / S
    inside = (column - 7.0) * PIXEL
    flux = np.asarray(model.profile(jnp.zeros(()), jnp.zeros(()))) * (np.pi / 180 * PIXEL / S) ** 2
    # on a plane of azimuthal equidistant offsets nodes are denser than on the sphere by r / sin r
    ratio = np.sin(np.deg2rad(20.0 - inside)) / np.deg2rad(20.0 - inside)
    wanted = flux * ratio * (1 + erf(inside / (PIXEL / S * np.sqrt(2)))) / 2
    np.testing.assert_allclose(found, wanted, atol=1e-3 * flux)


@pytest.mark.parametrize("e", [0.0, 0.9, 1.0])
def test_total_is_that_of_the_nodes(e):
    model = SPATIAL_MODELS["disk"](r_0=40.0, e=e)
    rule = model.rings((24, 8))
    u, half_axes = np.asarray(rule.u)[:, None], (float(rule.major), float(rule.minor))
    t = np.arange(64) * 2 * np.pi / 64
    r = np.deg2rad(u * np.hypot(half_axes[0] * np.cos(t), half_axes[1] * np.sin(t)))
    wanted = np.sum(np.asarray(rule.weight)[:, None] * np.sinc(r / np.pi)) / 64
    np.testing.assert_allclose(ring_total(rule), wanted, rtol=1e-12)


def test_particles_in_blocks_are_those_at_once(monkeypatch):
    x, y, weight = np.random.default_rng(1).uniform(0, 14, (3, 1003))
    sums = jax.value_and_grad(lambda w: jnp.sum(lattice.particle_image(x, y, w, SHAPE, S) ** 2))
    blocks = sums(jnp.asarray(weight))
    monkeypatch.setattr(lattice, "AT_ONCE", 2**30)
    for found, wanted in zip(blocks, sums(jnp.asarray(weight)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
