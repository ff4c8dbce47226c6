"""Spectral shapes written out for mpmath, with random parameters: the independent side of the spectral tests.

A formula takes the energy in TeV and the parameters by name as mpmath numbers; a sampler draws parameters from the
ranges met in practice (energies of 10 MeV to 100 TeV, cutoffs from 0.1 TeV up).
"""

from typing import NamedTuple

import mpmath as mp
import numpy as np

from gammajax.datasets.models.spectral import SPECTRAL_MODELS

EDGES = {density: np.geomspace(1e-5, 100.0, 7 * density + 1) for density in (10, 24)}


class Case(NamedTuple):
    tag: str
    formula: object
    sample: object

    @property
    def cls(self):
        return SPECTRAL_MODELS[self.tag]


def _pl2(e, amplitude, index, emin, emax):
    if index == 1:
        return amplitude / (e * mp.log(emax / emin))
    return amplitude * (1 - index) * e**-index / (emax ** (1 - index) - emin ** (1 - index))


def _bpl(e, index1, index2, amplitude, ebreak):
    return amplitude * (e / ebreak) ** -(index1 if e < ebreak else index2)


def _sbpl(e, index1, index2, amplitude, ebreak, reference, beta):
    b = beta * mp.sign(index2 - index1)
    power_law = amplitude * (e / reference) ** -index1
    return power_law * (1 + (e / ebreak) ** ((index2 - index1) / b)) ** -b if b else power_law


def _ecpl(e, index, amplitude, reference, lambda_, alpha):
    return amplitude * (e / reference) ** -index * mp.exp(-((lambda_ * e) ** alpha))


def _ecpl3(e, index, amplitude, reference, ecut):
    return amplitude * (e / reference) ** -index * mp.exp((reference - e) / ecut)


def _secpl3(e, amplitude, reference, ecut, index_1, index_2):
    cutoff = mp.exp((reference / ecut) ** index_2 - (e / ecut) ** index_2)
    return amplitude * (e / reference) ** -index_1 * cutoff


def _secpl4(e, amplitude, reference, expfactor, index_1, index_2):
    mev = mp.mpf(10) ** 6
    cutoff = mp.exp(expfactor * ((mev * reference) ** index_2 - (mev * e) ** index_2))
    return amplitude * (e / reference) ** -index_1 * cutoff


def _dr3(e, amplitude, reference, expfactor, index_1, index_2):
    x = e / reference
    if index_2 == 0:
        return amplitude * x ** (-index_1 - expfactor * mp.log(x) / 2)
    cutoff = mp.exp(expfactor / index_2**2 * (1 - x**index_2))
    return amplitude * x ** (-index_1 + expfactor / index_2) * cutoff


def _lp(e, amplitude, reference, alpha, beta):
    x = e / reference
    return amplitude * x ** (-alpha - beta * mp.log(x))


def _gauss(e, amplitude, mean, sigma):
    return amplitude / (sigma * mp.sqrt(2 * mp.pi)) * mp.exp(-((e - mean) ** 2) / (2 * sigma**2))


def _log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _flux(rng):
    return {"amplitude": _log_uniform(rng, 1e-14, 1e-9), "reference": _log_uniform(rng, 1e-3, 10)}


def _sample_secpl4(rng):
    index_2 = rng.uniform(0.3, 1.5)
    # the cutoff energy, in MeV, is expfactor^(-1/index_2)
    return {
        "amplitude": 1e-11,
        "reference": _log_uniform(rng, 1e-3, 1e-1),
        "expfactor": _log_uniform(rng, 1e5, 1e8) ** -index_2,
        "index_1": rng.uniform(0, 5),
        "index_2": index_2,
    }


CASES = {
    case.tag: case
    for case in (
        Case(
            "pl",
            lambda e, index, amplitude, reference: amplitude * (e / reference) ** -index,
            lambda r: _flux(r) | {"index": r.uniform(0, 5)},
        ),
        Case(
            "pl-2",
            _pl2,
            lambda r: {"amplitude": 1e-11, "index": r.uniform(0, 5), "emin": _log_uniform(r, 1e-3, 1), "emax": 50.0},
        ),
        Case(
            "bpl",
            _bpl,
            lambda r: {
                "index1": r.uniform(0, 5),
                "index2": r.uniform(0, 5),
                "amplitude": 1e-11,
                "ebreak": _log_uniform(r, 1e-4, 50),
            },
        ),
        Case(
            "sbpl",
            _sbpl,
            lambda r: (
                _flux(r)
                | {
                    "index1": r.uniform(0, 3),
                    "index2": r.uniform(2, 5),
                    "ebreak": _log_uniform(r, 1e-4, 50),
                    "beta": _log_uniform(r, 0.1, 2),
                }
            ),
        ),
        Case(
            "ecpl",
            _ecpl,
            lambda r: (
                _flux(r)
                | {"index": r.uniform(0, 5), "lambda_": 1 / _log_uniform(r, 0.1, 100), "alpha": r.uniform(0.5, 2)}
            ),
        ),
        Case(
            "ecpl-3fgl",
            _ecpl3,
            lambda r: _flux(r) | {"index": r.uniform(0, 5), "ecut": _log_uniform(r, 0.1, 100)},
        ),
        Case(
            "secpl-3fgl",
            _secpl3,
            lambda r: (
                _flux(r) | {"index_1": r.uniform(0, 5), "index_2": r.uniform(0.3, 2), "ecut": _log_uniform(r, 0.1, 100)}
            ),
        ),
        Case(
            "secpl-4fgl",
            _secpl4,
            _sample_secpl4,
        ),
        Case(
            "secpl-4fgl-dr3",
            _dr3,
            lambda r: (
                _flux(r)
                | {
                    "reference": _log_uniform(r, 1e-3, 1),
                    "index_1": r.uniform(0, 4),
                    "index_2": r.uniform(-0.3, 1.2),
                    "expfactor": r.uniform(0, 0.8),
                }
            ),
        ),
        Case("lp", _lp, lambda r: _flux(r) | {"alpha": r.uniform(0, 5), "beta": r.uniform(-0.5, 1)}),
        Case(
            "lp2",
            lambda e, amplitude, reference, alpha, beta, escale: (
                amplitude * (e / reference) ** (-alpha - beta * mp.log(e / escale))
            ),
            lambda r: _flux(r) | {"alpha": r.uniform(0, 5), "beta": r.uniform(-0.5, 1), "escale": 0.3},
        ),
        Case(
            "gauss",
            _gauss,
            lambda r: {"amplitude": 1e-11, "mean": _log_uniform(r, 1e-2, 50), "sigma": _log_uniform(r, 1e-2, 20)},
        ),
        Case("const", lambda e, const: const, lambda r: {"const": 3e-12}),
        Case(
            "pl-norm",
            lambda e, tilt, norm, reference: norm * (e / reference) ** -tilt,
            lambda r: {"tilt": r.uniform(-2, 2), "norm": 0.7, "reference": 2.0},
        ),
        Case(
            "lp-norm",
            lambda e, norm, reference, alpha, beta: _lp(e, norm, reference, alpha, beta),
            lambda r: {"norm": 0.7, "reference": 2.0, "alpha": r.uniform(-1, 1), "beta": r.uniform(-0.5, 1)},
        ),
        Case(
            "ecpl-norm",
            lambda e, index, norm, reference, lambda_, alpha: _ecpl(e, index, norm, reference, lambda_, alpha),
            lambda r: {
                "index": r.uniform(-1, 1),
                "norm": 0.7,
                "reference": 2.0,
                "lambda_": 1 / _log_uniform(r, 0.1, 100),
                "alpha": 1.0,
            },
        ),
    )
}


def value(case, energy, parameters):
    """The formula with all digits of the float64 numbers."""
    return case.formula(mp.mpf(float(energy)), **{name: mp.mpf(float(v)) for name, v in parameters.items()})


def integral(case, low, high, parameters):
    """The integral from ``low`` to ``high`` (float64 numbers), by tanh-sinh quadrature in ln E."""
    numbers = {name: mp.mpf(float(v)) for name, v in parameters.items()}
    a, b = mp.log(mp.mpf(float(low))), mp.log(mp.mpf(float(high)))
    points = {a, b, (a + b) / 2}
    if "ebreak" in numbers and a < mp.log(numbers["ebreak"]) < b:
        points.add(mp.log(numbers["ebreak"]))
    if case.tag == "gauss":
        centre, width = numbers["mean"], numbers["sigma"]
        marks = [centre + s * width for s in (-8, -4, -1, 1, 4, 8)]
        points |= {mp.log(m) for m in marks if m > 0 and a < mp.log(m) < b}
    points = sorted(points)
    # quad works to an absolute tolerance: count in units of the integrand
    unit = max(abs(case.formula(mp.exp(u), **numbers)) * mp.exp(u) for u in points)
    if unit == 0:
        return unit
    return unit * mp.quad(lambda u: case.formula(mp.exp(u), **numbers) * mp.exp(u) / unit, points)
