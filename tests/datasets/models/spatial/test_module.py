"""Shapes by modules of one's own, against the built-in models of the same brightness."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import maps, regions

import gammajax as gj
from gammajax.datasets.models.flatten import flatten

CENTER = {"lon_0": 83.63, "lat_0": 22.01}


class Round(eqx.Module):
    """A Gaussian of ln width ``size`` on the sphere, with things in it that are no arrays."""

    size: jax.Array
    lon_0: float
    lat_0: float
    name: str
    shape: object

    def __call__(self, lon, lat):
        lon, lat = jnp.deg2rad(lon), jnp.deg2rad(lat)
        lon_0, lat_0, sigma = np.radians(self.lon_0), np.radians(self.lat_0), jnp.deg2rad(jnp.exp(self.size))
        square = jnp.sin((lat - lat_0) / 2) ** 2 + jnp.cos(lat) * np.cos(lat_0) * jnp.sin((lon - lon_0) / 2) ** 2
        return self.shape(-2 * square / sigma**2) / (2 * jnp.pi * sigma**2)


class Growing(Round):
    """A width that goes with the energy to the power -0.1."""

    def __call__(self, lon, lat, energy):
        return Round(self.size - 0.1 * jnp.log(energy), *CENTER.values(), "", self.shape)(lon, lat)


class Scaled(gj.SpatialModel):
    """A module and a table inside a class of spatial models, with a parameter beside them."""

    inner: Round
    table: jax.Array
    lon_0: gj.Parameter = gj.parameter(83.63, "deg", role="position")
    lat_0: gj.Parameter = gj.parameter(22.01, "deg", role="position")
    size: gj.Parameter = gj.parameter(0.2, "deg", role="width")

    @property
    def position(self):
        return self.lon_0.internal, self.lat_0.internal

    def evaluate(self, vectors, energy=None):
        lon = jnp.rad2deg(jnp.arctan2(vectors[..., 1], vectors[..., 0]))
        return self.table[0] * self.inner(lon, jnp.rad2deg(jnp.arcsin(vectors[..., 2])))


def round_one(sigma=0.2, cls=Round):
    return cls(jnp.log(jnp.asarray(sigma)), *CENTER.values(), "a name", jnp.exp)


def source(spatial, **fields):
    return gj.Models([maps.source(spatial, **fields)])


def test_what_is_free_in_it():
    plain, inside = source(round_one()), source(Scaled(round_one(), np.ones(2)))
    assert isinstance(plain["source"].spatial, gj.ModuleSpatialModel)
    kinds = {i.name: i.kind for m in (plain, inside) for i in flatten(m["source"])[1] if ".spatial." in i.name}
    assert kinds == {
        "source.spatial.module.size": "weights",
        "source.spatial.inner.size": "weights",
        "source.spatial.table": "data",
        "source.spatial.lon_0": "parameter",
        "source.spatial.lat_0": "parameter",
        "source.spatial.size": "parameter",
    }
    data = maps.small_map()
    assert "source.spatial.module.size" in gj.likelihood(data, plain).names
    assert "source.spatial.inner.size" in gj.log_density(data, inside).names
    # tables of built-in shapes stay what they are
    axis = gj.TemplateSpatialModel(np.ones(data.geom.shape), data.geom)
    assert {i.kind for i in flatten(maps.source(axis))[1] if ".spatial" in i.name} <= {"data", "parameter"}


def test_values_are_those_of_the_built_in():
    lon, lat = 83.63 + np.linspace(-0.5, 0.5, 7), 22.01 + np.linspace(0.3, -0.2, 7)
    wanted = gj.GaussianSpatialModel(**CENTER, sigma=0.2)(lon, lat)
    spatial = gj.ModuleSpatialModel(round_one())
    np.testing.assert_allclose(spatial(lon, lat), wanted, rtol=1e-5)
    energy = np.array([0.5, 1.0, 10.0])
    changing = gj.ModuleSpatialModel(round_one(cls=Growing))
    assert changing.is_energy_dependent and not spatial.is_energy_dependent
    for e, found in zip(energy, changing(lon, lat, energy), strict=True):
        np.testing.assert_allclose(found, gj.GaussianSpatialModel(**CENTER, sigma=0.2 * e**-0.1)(lon, lat), rtol=1e-5)
    with pytest.raises(gj.InputError, match="takes an energy"):
        changing(lon, lat)
    galactic = gj.ModuleSpatialModel(lambda lon, lat: lon + 1000 * lat, frame="galactic")
    assert galactic(184.5, -5.8) == pytest.approx(184.5 - 5800, rel=1e-12)


def test_shapes_of_what_it_gives():
    """One number is the same everywhere; what fits no place is refused, and not spread over rows of pixels."""
    lon, lat = np.meshgrid(np.linspace(83.0, 84.0, 3), np.linspace(21.5, 22.5, 2))
    even = gj.ModuleSpatialModel(lambda lon, lat: 2.0)
    np.testing.assert_array_equal(even(lon, lat), np.full((2, 3), 2.0))
    unchanging = gj.ModuleSpatialModel(lambda lon, lat, energy: lon)
    np.testing.assert_allclose(unchanging(lon, lat, np.array([1.0, 2.0])), np.stack([lon, lon]), rtol=1e-12)
    for wrong in (lambda lon, lat: lon[0], lambda lon, lat: lon.ravel(), lambda lon, lat: lon[..., None]):
        with pytest.raises(gj.InputError, match="expected"):
            gj.ModuleSpatialModel(wrong)(lon, lat)


@pytest.mark.slow
def test_predictions_are_those_of_the_built_in():
    """On maps and in regions; the built-in is taken with the responses in the middle, where its centre is."""
    wanted = {"round": gj.GaussianSpatialModel(**CENTER, sigma=0.2)}
    wanted["growing"] = wanted["round"]
    for data, make in ((maps.small_map(), maps.source), (regions.dataset(), regions.source)):
        spectrum_only = np.asarray(gj.npred_signal(data, make(wanted["round"])))
        found = np.asarray(gj.npred_signal(data, make(round_one())))
        np.testing.assert_allclose(found, spectrum_only, atol=2e-4 * spectrum_only.max())
        # a width that does not change, by a module that could
        still = eqx.tree_at(lambda m: m.size, round_one(cls=Growing), jnp.log(0.2))
        assert np.abs(np.asarray(gj.npred_signal(data, make(still))) - found).max() > 0.01 * found.max()


@pytest.mark.slow
def test_slopes_and_fit():
    """The slope in a number of the module by differences, and a fit that finds the width that was simulated."""
    data = maps.small_map()
    truth = source(round_one(0.15))
    data = gj.asimov(data, truth)
    models = source(round_one(0.2)).freeze("source.spectral.index")
    like = gj.likelihood(data, models)
    place = like.names.index("source.spatial.module.size")
    step = 1e-5 * np.eye(len(like.names))[place]
    slope = (like.stat(like.initial + step) - like.stat(like.initial - step)) / 2e-5
    assert float(jax.grad(like.stat)(like.initial)[place]) == pytest.approx(float(slope), rel=1e-6)
    result = gj.fit(data, models)
    assert result.success
    module = result.models["source"].spatial.module
    assert float(jnp.exp(module.size)) == pytest.approx(0.15, rel=1e-5)
    assert module.name == "a name" and module.shape is jnp.exp


def test_priors_on_its_numbers():
    """The smoothness of an array is the sum of squared differences of its neighbours."""
    array = np.random.default_rng(1).normal(size=(3, 4, 2))
    penalty = gj.GaussianPriorPenalty.smooth_array("x", array.shape, 0.7)
    assert penalty.names[:2] == ("x[0, 0, 0]", "x[0, 0, 1]")
    wanted = 0.7 * sum(np.sum(np.diff(array, axis=axis) ** 2) for axis in range(3))
    mean, matrix = penalty.terms
    assert (array.ravel() - mean) @ matrix @ (array.ravel() - mean) == pytest.approx(wanted, rel=1e-12)

    class Field(eqx.Module):
        values: jax.Array

        def __call__(self, energy):
            return 1e-11 * jnp.sum(self.values) * energy**-2.0

    model = gj.SkyModel(Field(jnp.asarray(array)), name="s")
    penalty = gj.GaussianPriorPenalty.smooth_array("s.spectral.values", array.shape, 0.7)
    data = gj.SpectrumDataset([1.0, 2.0], counts=[5.0], exposure=[1e12])
    free, tied = (gj.likelihood(data, gj.Models(model, penalties=p)) for p in ([], [penalty]))
    assert float(tied.stat(tied.initial) - free.stat(free.initial)) == pytest.approx(wanted, rel=1e-10)
    assert gj.Models(model, penalties=[penalty])[:1].penalties
    with pytest.raises(gj.InputError, match="there is no parameter"):
        gj.Models(model, penalties=[gj.GaussianPriorPenalty.smooth_array("s.spectral.values", (5, 5))])


class Neural(eqx.Module):
    """A power law times the exponential of a network."""

    network: eqx.nn.MLP

    def __call__(self, energy):
        x = jnp.log(energy)
        return 1e-11 * energy**-2.0 * jnp.exp(jax.vmap(self.network)(jnp.ravel(x)).reshape(x.shape))


def test_arrays_that_are_frozen():
    """They are no parameters, come out of a fit as they went in, and predictions are those of free ones."""
    network = eqx.nn.MLP("scalar", "scalar", width_size=3, depth=1, activation=jnp.tanh, key=jax.random.key(0))
    free = gj.SkyModel(Neural(network), name="s")
    part = gj.SkyModel(Neural(network), name="s", frozen="spectral.network.layers.0")
    data = gj.SpectrumDataset([1.0, 2.0, 5.0, 9.0], counts=[60.0, 20.0, 4.0], exposure=np.full(3, 1e13))
    like = gj.likelihood(data, part)
    assert like.names == ("s.spectral.network.layers.1.weight[0, 0]", *like.names[1:]) and len(like.names) == 4
    assert len(gj.likelihood(data, free).names) == 10
    np.testing.assert_array_equal(gj.npred(data, part), gj.npred(data, free))
    result = gj.fit(data, part, method=optax.adam(0.1), steps=25)
    before, after = (m.spectral.network.layers for m in (part, result.models["s"]))
    assert jax.tree.all(jax.tree.map(np.array_equal, before[0], after[0]))
    assert not np.array_equal(before[1].weight, after[1].weight)
    assert result.models["s"].flags.frozen == part.replace(name="t").flags.frozen == part.flags.frozen
    assert len(gj.likelihood(data, part.replace(frozen=())).names) == 10
    # a single array, beside a free spectrum
    still = gj.Models([maps.source(round_one(), frozen=["spatial.module.size"])])
    assert not any(".spatial." in name for name in gj.likelihood(maps.small_map(), still).names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maps.source(round_one(), frozen="spatial.module.width"), r"arrays are at spatial\.module\.size"),
        (lambda: maps.source(round_one(), frozen="spectral.index"), "parameters are frozen by models.freeze"),
        (lambda: gj.SkyModel(gj.PowerLawSpectralModel(), frozen=["spectral"]), "there are no arrays in it"),
        (lambda: gj.ModuleSpatialModel(3.0), "called with longitude and latitude"),
        (lambda: gj.SkyModel(gj.PowerLawSpectralModel(), spatial=eqx.nn.Identity), "spatial must be"),
        (lambda: gj.GaussianPriorPenalty.smooth_array("x", (1,)), "two or more numbers"),
        (lambda: gj.GaussianPriorPenalty.smooth_array("x", "shape"), "shape must be"),
        (lambda: source(round_one()).to_dict(), "has no YAML form"),
    ],
)
def test_input(call, message):
    with pytest.raises(gj.InputError, match=message):
        call()
