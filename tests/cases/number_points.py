"""The arguments of flux points that take numbers, each with a call that uses it, for the contract test."""

from typing import Any

import astropy.units as u
import numpy as np

import gammajax as gj
from cases.number_kinds import Argument
from cases.number_models import DNDE, EFLUX, FLUX

POINTS = {"energy_ref": [1, 2, 4], "norm": [3, 2, 1], "dnde_ref": [1, 1, 1]}


def flux_points() -> list[Argument]:
    units = {"energy_ref": "TeV", "norm": "", "dnde_ref": DNDE, "energy_min": "TeV", "energy_max": "TeV"}
    units |= {"flux_ref": FLUX, "eflux_ref": EFLUX}
    units |= {f"norm_{s}": "" for s in ("err", "errn", "errp", "ul", "sensitivity")}
    units |= dict.fromkeys(("ts", "sqrt_ts", "stat", "stat_null"), "")
    strict = ("energy_ref", "dnde_ref", "energy_min", "energy_max")
    low, high = [0.5, 1.5, 3], [1.5, 3, 6]
    plain = {"energy_min": low, "energy_max": high}

    def points(field: str) -> Any:
        ends = plain if field in plain else {}

        def call(v: Any) -> Any:
            made = gj.FluxPoints(**(POINTS | ends | {field: v}))
            return np.nan_to_num(getattr(made, field), nan=-1.0), made.is_ul

        return call

    def scan(field: str) -> Any:
        base = {"stat_scan": np.arange(6.0).reshape(3, 2), "norm_scan": np.arange(6.0).reshape(3, 2)}
        return lambda v: np.nan_to_num(getattr(gj.FluxPoints(**(POINTS | base | {field: v})), field), nan=-1.0)

    def column(name: str) -> Any:
        base = {"e_ref": [1, 2, 4] * u.TeV, "dnde": [1, 1, 1] * u.Unit(DNDE), "dnde_ul": [2, 2, 2] * u.Unit(DNDE)}
        read = {"e_ref": "energy_ref", "dnde_ul": "dnde_ul"}.get(name, name)

        def call(v: Any) -> Any:
            return np.nan_to_num(np.asarray(getattr(gj.FluxPoints.from_table(base | {name: v}), read)), nan=-1.0)

        return call

    mask = [1, 0, 1]
    dataset = gj.FluxPoints(**POINTS, norm_err=[1, 1, 1])
    table = [[1, 2], [3, 4], [5, 6]]
    return [
        *(
            Argument(f"FluxPoints: {f}", points(f), plain.get(f, [1, 2, 4]), unit, masked=f not in strict)
            for f, unit in units.items()
        ),
        *(
            Argument(
                f"FluxPoints.from_table[{c}]: table",
                column(c),
                [1, 2, 4],
                unit,
                name="_ref" if c == "e_ref" else c,
                masked=c != "e_ref",
                bare=False,
            )
            for c, unit in (("e_ref", "TeV"), ("dnde", DNDE), ("dnde_ul", DNDE))
        ),
        Argument("FluxPoints: is_ul", points("is_ul"), mask, mask=True),
        Argument("FluxPoints: success", points("success"), mask, mask=True),
        Argument("FluxPoints: stat_scan", scan("stat_scan"), table, masked=True),
        Argument("FluxPoints: norm_scan", scan("norm_scan"), table, masked=True),
        Argument(
            "FluxPointsDataset: mask_safe",
            lambda v: gj.FluxPointsDataset(dataset, v).mask_safe,
            mask,
            mask=True,
            masked=True,
        ),
        Argument(
            "FluxPointsDataset: mask_fit",
            lambda v: gj.FluxPointsDataset(dataset, None, v).mask_fit,
            mask,
            mask=True,
            masked=True,
        ),
    ]
