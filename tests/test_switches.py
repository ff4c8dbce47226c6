"""Arguments that are switches: True and False, or 1 and 0, wherever the public surface has one."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gammajax as gj

RUN = gj.SpectrumDataset([1, 2, 4, 8], counts=[3, 2, 1], background=[1, 1, 1], exposure=[1e12] * 3)


def switches() -> Iterator[tuple[str, str, Any]]:
    """Public callables with arguments that are declared as ``bool`` or ``bool | None``."""
    for name in gj.__all__:
        content = getattr(gj, name)
        found = [(name, content)]
        if inspect.isclass(content):
            found += [(f"{name}.{member}", getattr(content, member)) for member in dir(content) if member[0] != "_"]
        for where, function in found:
            own = isinstance(function, type(gj.Models)) or inspect.isfunction(function) or inspect.ismethod(function)
            if not own:
                continue
            for argument in inspect.signature(function).parameters.values():
                if argument.annotation is bool or argument.annotation == bool | None:
                    yield where, argument.name, function


ALL = {f"{where}: {argument}": (argument, function) for where, argument, function in switches()}


@pytest.mark.parametrize("where", ALL)
def test_what_is_no_switch_is_refused(where):
    argument, function = ALL[where]
    for given in ("no", "False", 2, 1.0, [True], np.array([True, False])):
        with pytest.raises(gj.InputError, match=f"{argument}: found .*, expected True or False"):
            function(**{argument: given})


def test_all_are_there():
    assert len(ALL) > 40
    assert {"MapDataset.write: overwrite", "profile: reoptimize", "Parameter: frozen", "npred_signal: stack"} <= set(
        ALL
    )


@pytest.mark.parametrize("given", [True, np.True_, 1])
def test_switches_of_any_kind(given):
    np.testing.assert_array_equal(RUN.with_mask_fit(energy_max=2.2, round_to_edge=given).mask_fit, [True, False, False])
    np.testing.assert_array_equal(RUN.energy_mask(None, 2.2, given), [True, False, False])


@pytest.mark.parametrize("given", [False, np.False_, 0])
def test_switches_that_are_off(given):
    np.testing.assert_array_equal(RUN.with_mask_fit(energy_max=3.9, round_to_edge=given).mask_fit, [True, False, False])
