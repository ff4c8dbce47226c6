"""Predictions, statistics and fits where JAX is strict, as people set it who look for faults in their programs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from cases import flux_points, maps, regions

import gammajax as gj

MODES = {
    "rank": lambda: jax.numpy_rank_promotion("raise"),
    "dtype": lambda: jax.numpy_dtype_promotion("strict"),
    "nans": lambda: jax.debug_nans(True),
    "leaks": jax.checking_leaks,
}

TILTED = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))


def spectrum_case(spectrum_factory, power_law):
    return spectrum_factory(1), power_law()


def known_case(spectrum_factory, power_law):
    """With norm and tilt of the background, which Newton steps follow."""
    data = spectrum_factory(1, on_off=False)
    return data.replace(background=np.full(data.counts.shape, 5.0)), [*power_law(), gj.FoVBackgroundModel(TILTED)]


def points_case(*_):
    return flux_points.dataset(), flux_points.power_law()


def region_case(*_):
    shape = gj.GaussianSpatialModel(**regions.beside(0.02), sigma=0.05)
    models = gj.Models(regions.source(shape))
    models = models.freeze(*[name for name in models.parameters if ".spatial." in name])
    data = regions.dataset()
    return data.replace(counts=np.round(np.asarray(gj.npred(data, models)))), models


def map_case(*_):
    shapes = {
        "gauss": gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.06),
        "point": gj.PointSpatialModel(lon_0=83.7, lat_0=22.05),
    }
    models = gj.Models([maps.source(shape, name=name) for name, shape in shapes.items()] + [gj.FoVBackgroundModel()])
    data = maps.small_map()
    return data.replace(counts=np.round(np.asarray(gj.npred(data, models)))), models


def instrument_of_response_case(spectrum_factory, power_law):
    """A scale of the whole response, and an exposure in bands, of a spectrum."""
    bands = gj.PiecewiseNormSpectralModel([1, 10] * u.TeV)
    models = gj.Models(
        [
            *power_law(),
            gj.InstrumentModel(
                exposure=bands,
                energy_scale=gj.Parameter(1.0, prior=gj.GaussianPrior(1, 0.1)),
                energy_scale_of="response",
            ),
        ]
    )
    models = models.with_parameter("norm_0", prior=gj.GaussianPrior(1, 0.1))
    return spectrum_factory(1), models.with_parameter("norm_1", prior=gj.GaussianPrior(1, 0.1))


def instrument_of_map_case(*_):
    """A scale of reconstructed energies, the width of the PSF, and a tilted exposure, of a map."""
    source, data = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="point"), maps.small_map()
    scale = gj.Parameter(1.0, prior=gj.GaussianPrior(1, 0.1))
    instrument = gj.InstrumentModel(exposure=TILTED, energy_scale=scale, psf_width=scale)
    models = gj.Models([source, instrument]).freeze("instrument.exposure.norm")
    models = models.with_parameter("instrument.exposure.tilt", prior=gj.GaussianPrior(0, 0.1))
    return data.replace(counts=np.round(np.asarray(gj.npred(data, models)))), models


def numbers(data, models):
    """What a prediction, a statistic and a fit say."""
    found = [] if isinstance(data, gj.FluxPointsDataset) else [np.ravel(gj.npred(data, models))]
    result = gj.fit(data, models)
    assert result.success
    return np.concatenate([*found, np.ravel(gj.stat_sum(data, models)), [result.stat], *(
        [float(result.parameters[name].value)] for name in result.free_names
    )])  # fmt: skip


CASES = [
    *(spectrum_case, known_case, points_case, region_case, map_case),
    instrument_of_response_case,
    instrument_of_map_case,
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_strict_modes_change_nothing(case, spectrum_factory, power_law):
    data, models = case(spectrum_factory, power_law)
    usual = numbers(data, models)
    for mode, strict in MODES.items():
        with strict():
            found = numbers(data, models)
        np.testing.assert_allclose(found, usual, rtol=1e-12, atol=0, err_msg=mode)


def test_gradient_in_the_numbers_of_a_dataset(spectrum_factory, power_law):
    """As the documentation says: masks are no numbers, and everything else has a derivative."""
    run, models = spectrum_factory(1), power_law()
    parted, others = eqx.partition(run, eqx.is_inexact_array)

    def stat(numbers):
        return gj.stat_sum(eqx.combine(numbers, others), models)

    slope = jax.grad(stat)(parted)
    by_equinox = eqx.filter_grad(lambda run: gj.stat_sum(run, models))(run)
    np.testing.assert_array_equal(slope.exposure, by_equinox.exposure)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(slope))
    # all exposures at once: along them as they are
    step = 1e-5
    higher, lower = (float(gj.stat_sum(run.replace(exposure=run.exposure * (1 + s)), models)) for s in (step, -step))
    assert float(jnp.sum(slope.exposure * run.exposure)) == pytest.approx((higher - lower) / (2 * step), rel=1e-6)


SHAPES = {
    "disk": lambda at: gj.DiskSpatialModel(**at, r_0=0.2),
    "shell": lambda at: gj.ShellSpatialModel(**at, radius=0.2, width=0.1),
    "wide": lambda at: gj.DiskSpatialModel(**at, r_0=3.0),
    "constant": lambda at: gj.ConstantSpatialModel(),
    "template": lambda at: gj.TemplateSpatialModel(np.ones(maps.small_map(n=12).geom.shape), maps.small_map(n=12).geom),
}


@pytest.mark.slow
def test_predictions_of_other_shapes_are_strict():
    """On a map and in a circle, ranks and types together."""
    at = {"lon_0": 83.63, "lat_0": 22.01}
    for cases, data in ((maps, maps.small_map(n=12, n_energy=2)), (regions, regions.dataset())):
        models = gj.Models([cases.source(shape(at), name=name) for name, shape in SHAPES.items()])
        usual = np.asarray(gj.npred(data, models))
        with MODES["rank"](), MODES["dtype"]():
            np.testing.assert_allclose(gj.npred(data, models), usual, rtol=1e-12)


def estimates(*, spectrum, image, models, source):
    """Numbers of everything that is made from a fit."""
    result, energies = gj.fit(spectrum, models), [1, 3, 10] * u.TeV
    name = models[0].name
    toys = gj.pseudo_experiments(jax.random.key(1), spectrum, models, 3)
    points = gj.flux_points(spectrum, result, name, energies, reoptimize=True)
    maps = gj.ts_map(image, [], source, [1, 10] * u.TeV, stride=4)
    free = result.free_names[0]
    return [
        *(toys.parameters, toys.errors, points.norm, points.norm_ul, maps["sqrt_ts"]),
        gj.flux_points(spectrum, result, name, energies).norm_errp,
        gj.profile(spectrum, result, free, n=3).stat,
        [gj.upper_limit(spectrum, result, free).limit],
    ]


@pytest.mark.slow
def test_estimates_are_strict(spectrum_factory, power_law):
    """Ranks and types together."""
    source = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    image = gj.fake(jax.random.key(0), maps.small_map(n=12, n_energy=2), [source])
    given = {"spectrum": spectrum_factory(1), "image": image, "models": gj.Models(power_law()), "source": source}
    usual = estimates(**given)
    with MODES["rank"](), MODES["dtype"]():
        found = estimates(**given)
    for one, other in zip(usual, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
