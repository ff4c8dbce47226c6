"""What the likelihood as an object, pseudo-experiments and instrument models say to input that cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj

EDGES = np.geomspace(1, 10, 5)
AMPLITUDE = "crab.spectral.amplitude"
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11), name="crab")])
MASK = np.array([True, True, True, False])
RUN = gj.SpectrumDataset(EDGES, counts=[9.0, 4.0, 2.0, 1.0], background=np.ones(4), exposure=np.full(4, 1e12))
RUN = RUN.replace(mask_fit=MASK)
OFF = gj.SpectrumDatasetOnOff(
    EDGES, counts=np.ones(4), counts_off=np.ones(4), acceptance=np.ones(4), acceptance_off=np.ones(4)
).replace(exposure=np.full(4, 1e12))
LIKE = gj.likelihood({"run": RUN, "off": OFF}, MODELS)
KEY = jax.random.key(0)


def toys(**changes):
    given = {"key": KEY, "datasets": {"off": OFF}, "models": MODELS, "n": 2} | changes
    return gj.pseudo_experiments(**given)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: LIKE.with_counts(np.ones(4)), "expected counts by the names of datasets"),
        (lambda: LIKE.with_counts({"run": [np.nan, 1, 1, 1]}), "run: counts must be finite and not negative"),
        (lambda: LIKE.with_counts({"run": [1, -1, 1, 1]}), r"found -1.0 in bin 1 \(1 bad of 4\)"),
        (lambda: LIKE.with_counts({"off": {"counts": np.ones(4), "counts_off": [1, 1, 1, -1]}}), "counts_off must be"),
        (lambda: LIKE.with_held([AMPLITUDE]), "expected values by the names of parameters"),
        (lambda: LIKE.with_held({AMPLITUDE: [1e-11, 2e-11]}), r"an array of shape \(2,\), expected one number"),
        (lambda: LIKE.with_held({AMPLITUDE: None}), "found 'None'"),
        (lambda: LIKE.with_held({AMPLITUDE: np.nan}), "expected a finite number"),
        (lambda: LIKE.with_held({AMPLITUDE: "1e-11 TeV"}), "expected one convertible to 'TeV-1 s-1 cm-2'"),
        (lambda: jax.jit(lambda v: LIKE.with_held({AMPLITUDE: v}).stat([2, 1]))(jnp.ones(2)), "expected one number"),
        (lambda: LIKE.stat(None), "theta: found 'None'"),
        (lambda: LIKE.fit(max_iterations=-1), "max_iterations must be a whole number that is not negative"),
        (lambda: LIKE.fit(max_iterations=2.5), "max_iterations must be"),
        (lambda: LIKE.fit(tolerance=-1), "tolerance must be finite and not negative"),
        (lambda: LIKE.fit(covariance="False"), "covariance: found 'False', expected True or False"),
        (lambda: LIKE.whitened(3), "whitened: found int, expected the result of a fit"),
        (lambda: gj.likelihood(RUN, []), "the models have no parameters"),
        (lambda: toys(key=42), "found 42 as key, expected jax.random.key"),
        (lambda: toys(key=jax.random.split(KEY, 3)), "as key, expected jax.random.key"),
        (lambda: toys(tolerance=-1), "tolerance must be finite and not negative"),
        (lambda: toys(max_iterations=-1), "max_iterations must be a whole number"),
        (lambda: toys(batch_size=True), "batch_size must be a positive whole number"),
        (lambda: toys(npred_background=np.ones(4)), "expected backgrounds by the names of datasets"),
        (
            lambda: toys(npred_background={"off": np.full(4, -1.0)}),
            "the expected counts_off must be finite and not neg",
        ),
        (lambda: gj.fake(KEY, OFF, MODELS, npred_background=np.full(4, -1.0)), "the expected counts_off must be"),
        (lambda: gj.InstrumentModel(exposure=-0.1), "exposure: found -0.1, expected a factor of at least 0"),
        (lambda: gj.InstrumentModel(psf_width=gj.Parameter(-1.0)), "psf_width: found -1"),
        (lambda: gj.InstrumentModel(livetime=-1), "livetime: found -1"),
        (lambda: gj.InstrumentModel(energy_scale=0.0), "energy_scale: found 0, expected a factor above 0"),
        (lambda: gj.InstrumentModel(energy_scale=gj.PowerLawNormSpectralModel(norm=-1)), "energy_scale: found -1"),
    ],
)
def test_refused(call, says):
    with pytest.raises(gj.InputError, match=says):
        call()


def test_counts_outside_the_mask_may_be_anything():
    theta = LIKE.initial
    for bad in (np.nan, -3.0, np.inf):
        assert float(LIKE.with_counts({"run": [9, 4, 2, bad]}).stat(theta)) == float(LIKE.stat(theta))


def test_held_values_are_in_the_unit_of_the_parameter_or_have_one():
    for value in (2e-11, "2e-7 m-2 s-1 TeV-1", jnp.asarray(2e-11)):
        held = LIKE.with_held({AMPLITUDE: value})
        np.testing.assert_allclose([held.low[1], held.high[1], held.initial[1]], 2e-11, rtol=1e-14)


def test_shown_by_datasets_and_parameters():
    assert repr(LIKE).splitlines() == [
        "Likelihood of run, off: 2 free parameters",
        "  crab.spectral.index = 2",
        "  crab.spectral.amplitude = 1e-11 TeV-1 s-1 cm-2",
    ]
    assert repr(LIKE.unconstrained()) == "SamplingDensity(crab.spectral.index, crab.spectral.amplitude)"
    # JAX puts other things into trees
    assert "Likelihood" in repr(jax.tree.map(lambda _: None, LIKE))


def test_factors_of_responses_stay_positive_in_fits():
    """As sizes of sources do, whatever the bounds say."""
    models = gj.Models([*MODELS.models, gj.InstrumentModel(exposure=1.0, energy_scale=1.0, name="i")])
    like = gj.likelihood({"run": RUN}, models)
    low = dict(zip(like.names, np.asarray(like.low), strict=True))
    assert low["i.exposure.norm"] == low["i.energy_scale.norm"] == 0 and low["crab.spectral.index"] == -np.inf
