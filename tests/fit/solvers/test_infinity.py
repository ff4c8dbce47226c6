"""Parameters that run away are told, whatever they are."""

import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import minimize

import gammajax as gj

EDGES = np.geomspace(1, 100, 11)
DAY = 60310.0


def run(counts, start=0.0):
    gti = gj.GTI([start], [start + 100.0], DAY)
    fields = {"background": np.full(10, 2.0), "exposure": np.full(10, 3e12), "livetime": 100.0}
    return gj.SpectrumDataset(EDGES, counts=counts, gti=gti, **fields)


def decaying(t0):
    spectrum = gj.PowerLawSpectralModel(amplitude=1e-11, index=gj.Parameter(2.0, frozen=True))
    temporal = gj.ExpDecayTemporalModel(t0=t0 * u.d, t_ref=DAY * u.d)
    return gj.SkyModel(spectrum, temporal=temporal, name="source")


@pytest.mark.parametrize("begun", [0.2, 1.0, 100.0])
def test_a_decay_that_is_a_rise(begun):
    """The rate 1 / t0 goes through 0 to where scipy finds it."""
    flat = np.asarray(gj.npred(run(np.zeros(10)), [decaying(1e9)])) - 2
    counts = [np.rint(flat + 2), np.rint(1.5 * flat + 2)]
    datasets = gj.Datasets({"a": run(counts[0]), "b": run(counts[1], 86400.0)})

    def stat(free):
        expected = [free[0] * flat * np.exp(-free[1] * t) + 2 for t in (50 / 86400, 1 + 50 / 86400)]
        return 2 * sum(np.sum(e - c * np.log(e)) for e, c in zip(expected, counts, strict=True))

    best = minimize(stat, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000})
    result = gj.fit(datasets, [decaying(begun)])
    assert result.success and best.x[1] < -0.1
    assert 1 / float(result.parameters["source.temporal.t0"].value) == pytest.approx(best.x[1], rel=1e-4)


class Cutoff(gj.SpectralModel):
    """A cutoff whose energy says nothing of itself to the solver."""

    amplitude: gj.Parameter = gj.parameter(1e-11, "TeV-1 s-1 cm-2", role="amplitude")
    far: gj.Parameter = gj.parameter(3.0, "TeV")
    tag = ("Cutoff",)

    def evaluate(self, energy):
        return self.amplitude.internal * energy**-2.0 * jnp.exp(-energy / self.far.internal)


@pytest.mark.parametrize("far", [3.0, 30.0])
def test_a_parameter_without_a_role(far):
    """Data that rise beyond the power law: the cutoff runs away, and that is no convergence."""
    counts = np.rint(np.asarray(gj.npred(run(np.zeros(10)), [decaying(1e9)])) * EDGES[:-1] ** 0.3)
    result = gj.fit(run(counts), [gj.SkyModel(Cutoff(far=far), name="source")])
    assert result.status == gj.Status.AT_INFINITY and "source.spectral.far" in result.message
