"""The arguments of maps of the sky that take numbers, each with a call that uses it, for the contract test."""

from typing import Any

import numpy as np

import gammajax as gj
from cases.number_kinds import Argument
from cases.number_models import GEOM

EDGES = [1, 2, 4, 8]
CUBE = np.arange(12).reshape(3, 2, 2) + 1
MAP = gj.MapDataset(GEOM, EDGES, counts=CUBE, background=np.ones((3, 2, 2)), exposure=np.full((3, 2, 2), 2e12))
POINT = gj.SkyModel(gj.PowerLawSpectralModel(), spatial=gj.PointSpatialModel(), name="point")
MAPS = gj.SkyMaps(GEOM, [1, 8], {"sqrt_ts": [[[1, 2], [3, 9]]]})
SHAPE = {"maps": {"ts": np.ones((2, 2, 2))}}


def sky_maps() -> list[Argument]:
    def excess(**given: Any) -> Any:
        return gj.excess_map(MAP, gj.Models([]), **({"radius": 0.1, "limits": True} | given))

    def residual(**given: Any) -> Any:
        return gj.residual_map(MAP, gj.Models([]), **({"radius": 0.1} | given))

    def trials(**given: Any) -> Any:
        return gj.ts_map(MAP, gj.Models([]), POINT, errors=True, **given)

    edges = [1, 2, 8]
    return [
        Argument("excess_map: radius", lambda v: excess(radius=v)["npred_excess"], 0.1, "deg"),
        Argument("excess_map: energy_edges", lambda v: excess(energy_edges=v)["counts"], edges, "TeV", "GeV"),
        Argument("excess_map: n_sigma", lambda v: excess(n_sigma=v)["npred_excess_errp"], 1),
        Argument("excess_map: n_sigma_ul", lambda v: excess(n_sigma_ul=v)["npred_excess_ul"], 3),
        Argument("residual_map: radius", lambda v: residual(radius=v)["residual"], 0.1, "deg"),
        Argument("residual_map: energy_edges", lambda v: residual(energy_edges=v)["counts"], edges, "TeV", "GeV"),
        Argument("ts_map: energy_edges", lambda v: trials(energy_edges=v)["norm"], edges, "TeV", "GeV"),
        Argument("ts_map: kernel_width", lambda v: trials(kernel_width=v)["norm"], 1, "deg"),
        Argument("ts_map: n_sigma", lambda v: trials(n_sigma=v)["norm_errp"], 1),
        Argument("ts_map: n_sigma_ul", lambda v: trials(n_sigma_ul=v)["norm_ul"], 3),
        Argument("SkyMaps: energy_edges", lambda v: gj.SkyMaps(GEOM, v, **SHAPE).energy_edges, edges, "TeV"),
        Argument("SkyMaps.peaks: threshold", lambda v: np.asarray(MAPS.peaks("sqrt_ts", v)["value"]), 5),
        Argument("SkyMaps.peaks: min_distance", lambda v: np.asarray(MAPS.peaks(min_distance=v)["value"]), 0.1, "deg"),
    ]
