"""The arguments of estimators, and of what they return, that take numbers, for the contract test."""

from typing import Any

import numpy as np

import gammajax as gj
from cases.number_kinds import Argument

TIMES = [55555.0, 55556.0]


def estimators(dataset: Any, models: gj.Models, source: str) -> list[Argument]:
    """Of flux points and light curves of ``source`` in a dataset of MJD 55555."""

    def points(argument: str, name: str) -> Any:
        given = {"energy_edges": [1, 8]}
        return lambda v: getattr(gj.flux_points(dataset, models, source, **given | {argument: v}), name)

    def curve(argument: str, name: str) -> Any:
        given = {"energy_edges": [1, 8], "time_edges": TIMES}
        return lambda v: np.asarray(getattr(gj.light_curve(dataset, models, source, **given | {argument: v}), name))

    def scan(v: Any) -> Any:
        return gj.light_curve(dataset, models, source, TIMES, [1, 8], norms=v).points.stat_scan

    def night(v: Any) -> Any:
        return gj.light_curve(dataset, models, source, "night-wise", [1, 8], longitude=v).time_min

    found = [
        Argument("light_curve: norms", scan, [0.5, 2]),
        Argument("light_curve: longitude", night, 15, "deg", "rad"),
        Argument("light_curve: time_edges", curve("time_edges", "time_min"), TIMES, "d", "h", times=True),
        Argument("flux_points: norms", points("norms", "stat_scan"), [0.5, 2]),
    ]
    for argument, plain in (("n_sigma", 3), ("gamma_min", 1e4), ("bkg_syst_fraction", 1e4)):
        found.append(
            Argument(
                f"sensitivity: {argument}", lambda v, a=argument: gj.sensitivity(dataset, **{a: v})["excess"], plain
            )
        )
    found.append(
        Argument("sensitivity: energy_edges", lambda v: gj.sensitivity(dataset, v)["excess"], [1, 2, 8], "TeV", "GeV")
    )
    for function, call in (("flux_points", points), ("light_curve", curve)):
        found += [
            Argument(f"{function}: energy_edges", call("energy_edges", "norm"), [1, 2, 8], "TeV", "GeV"),
            Argument(f"{function}: n_sigma", call("n_sigma", "norm_errp"), 1),
            Argument(f"{function}: n_sigma_ul", call("n_sigma_ul", "norm_ul"), 3),
            Argument(f"{function}: n_sigma_sensitivity", call("n_sigma_sensitivity", "norm_sensitivity"), 5),
        ]
    return found


def light_curves() -> list[Argument]:
    """Times of light curves."""
    points = gj.FluxPoints([1, 1], [1, 2], [1, 1], norm_err=[1, 1])
    ends = {"time_min": [55555.0, 55556.0], "time_max": [55555.5, 55556.5]}

    def times(field: str) -> Any:
        return lambda v: getattr(gj.LightCurve(**ends | {field: v}, points=points), field)

    return [
        Argument(f"LightCurve: {field}", times(field), plain, "d", "h", times=True) for field, plain in ends.items()
    ]
