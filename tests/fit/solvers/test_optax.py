"""Optimisers of optax: the step is compiled once for optimisers made alike, and let go of with the rest."""

import numpy as np
import optax
import pytest

import gammajax as gj
from gammajax.fit.solvers.optax import _some_steps
from gammajax.fit.solvers.structure import ByStructure


def schedule(rate):
    return lambda count: rate


RATE = schedule(0.1)

MAKERS = [
    lambda: optax.adam(0.1),
    lambda: optax.adam(0.2),
    lambda: optax.adam(0.1, b1=0.8),
    lambda: optax.lbfgs(),
    lambda: optax.lbfgs(memory_size=5),
    lambda: optax.sgd(0.1, momentum=0.9),
    lambda: optax.chain(optax.clip(1.0), optax.adamw(0.1)),
    lambda: optax.adam(optax.exponential_decay(0.1, 10, 0.9)),
    lambda: optax.adam(optax.exponential_decay(0.1, 10, 0.8)),
    lambda: optax.adam(RATE),
    lambda: optax.scale(np.array([1.0, 2.0])),
    lambda: optax.scale(np.array([1.0, 3.0])),
]


def test_optimisers_made_alike_are_equal_and_others_are_not():
    one, other = ([ByStructure(make()) for make in MAKERS] for _ in range(2))
    for i, a in enumerate(one):
        assert [a == b for b in other] == [i == j for j in range(len(other))]
        assert hash(a) == hash(other[i])


def test_functions_of_ones_own_are_told_apart():
    """They may read what changes, so that two that look alike are two."""
    assert ByStructure(optax.adam(schedule(0.1))) != ByStructure(optax.adam(schedule(0.1)))


def test_steps_are_compiled_once(spectrum_factory, power_law):
    runs = spectrum_factory(0)
    gj.clear_programs()
    found = [
        gj.fit(runs, power_law(index=2.2), method=optax.adam(rate), steps=25).stat for rate in (0.01, 0.01, 0.02, 0.01)
    ]
    assert _some_steps.count() == 2
    assert found[0] == found[1] == found[3] != found[2]
    gj.clear_programs()
    assert _some_steps.count() == 0
    with pytest.raises(gj.InputError):
        gj.fit(runs, power_law(), method=optax.adam)
