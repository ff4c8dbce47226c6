"""What is not silent: names of datasets, light curves far from their times, factors, counts."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

import gammajax as gj

EDGES = [1, 2, 4, 8]
RUN = gj.SpectrumDataset(EDGES, counts=[60, 30, 12], background=[5, 5, 5], exposure=[2e12] * 3)
PL = gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11)
MODELS = gj.Models([gj.SkyModel(PL, name="s")])
KEY = jax.random.key(0)


def penalised():
    return gj.Models(MODELS, penalties=gj.GaussianPriorPenalty.from_diagonal(["s.spectral.index"], [0.1], [2.0]))


def test_containers_keep_penalties():
    models = penalised()
    more = gj.SkyModel(PL, name="t")
    sums = models + more, gj.Models(more) + models, gj.Models([models, more])
    for kept in (*sums, models.freeze("s.spectral.reference")):
        assert len(kept.penalties) == 1
    assert repr(models) and models.select(name_substring="s") and len(gj.info_dict(RUN, models=models)) > 5


def test_names_of_datasets_beside_right_ones():
    """A model of two runs of which one is misspelt, where a background of its own names the run, too."""
    runs = {"run-1": RUN, "run-2": RUN}
    other = gj.SkyModel(PL.replace(amplitude=1e-13), name="t", datasets_names="run-2")
    wrong = gj.Models([gj.SkyModel(PL, name="s", datasets_names=["run-1", "rum-2"]), other])
    with pytest.warns(UserWarning, match="rum-2, beside datasets that are there.*Did you mean 'run-2'"):
        gj.stat_sum(runs, wrong)
    # one that acts on all of them may name others, which were left out
    gj.stat_sum(runs, gj.SkyModel(PL, name="s", datasets_names=["run-1", "run-2", "run-3"]))


def light_curve(start, days):
    """A template from MJD 55555 to 55557, and a dataset with good time from ``start`` (days after) on."""
    curve = gj.LightCurveTemplateTemporalModel([0, 1, 2], [1, 2, 2], t_ref=55555 * u.d)
    gti = gj.GTI([0] * u.d, [days] * u.d, reference=Time(55555 + start, format="mjd", scale="utc"))
    return RUN.replace(gti=gti), gj.SkyModel(PL, name="s", temporal=curve)


@pytest.mark.parametrize(("start", "days"), [(1000, 1), (-500, 1), (0, 3.5), (-2, 3)])
def test_light_curves_far_outside_their_template(start, days):
    run, model = light_curve(start, days)
    with pytest.warns(UserWarning, match="model 's': the light curve is known from MJD 55555 to 55557"):
        gj.npred(run, model)


@pytest.mark.parametrize(("start", "days", "mean"), [(0, 2, 1.75), (0, 2.5, 1.8), (1, 1, 2)])
def test_light_curves_within_a_piece_of_it(start, days, mean):
    run, model = light_curve(start, days)
    without = gj.npred_signal(run, MODELS)
    np.testing.assert_allclose(gj.npred_signal(run, model), mean * without, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("exposure", -1), ("livetime", -0.1), ("psf_width", -1), ("psf_width", 2.5), ("energy_scale", 0)],
)
def test_new_values_of_factors_have_to_be_factors(name, value):
    """As the constructor's."""
    instrument = gj.InstrumentModel(exposure=1, energy_scale=1, livetime=1, psf_width=1, name="i")
    models, full = gj.Models([*MODELS.models, instrument]), f"i.{name}.norm"
    with pytest.raises(gj.InputError, match=f"{name}.*found {value}"):
        models.with_values({full: value})
    with pytest.raises(gj.InputError, match=f"{name}.*found {value}"):
        models.with_parameter(full, value=value)
    assert float(models.with_values({full: 1.1}).parameters[full].value) == 1.1


@pytest.mark.parametrize("make", [lambda m: gj.fake(KEY, RUN, m), lambda m: gj.asimov(RUN, m)])
def test_counts_have_an_end(make):
    """Beyond 2^53 there are no whole numbers; such counts were 0."""
    with pytest.raises(gj.InputError, match=r"found .*: numbers of counts end at 9e\+15"):
        make(MODELS.with_values({"amplitude": 1e6}))
    with pytest.raises(gj.InputError, match=r"found .* in bin 0"):
        make(gj.SkyModel(gj.SuperExpCutoffPowerLaw4FGLSpectralModel(expfactor=14, reference=10), name="c"))
    # 2e12 times the integral of 1e-5 E^-2.3 from 1 to 2
    right = 5 + 2e7 / 1.3 * (1 - 2**-1.3)
    assert float(make(MODELS.with_values({"amplitude": 1e-5})).counts[0]) == pytest.approx(right, rel=2e-3)
