"""The arguments of maps of the sky that take numbers, each with a call that uses it, for the contract test."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import RectangleSkyRegion

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

    def profile(**given: Any) -> Any:
        center = [SkyCoord(lon, 0, unit="deg") for lon in (0.5, -0.5)]
        regions = [RectangleSkyRegion(place, GEOM.pixel_size * u.deg, 2 * GEOM.pixel_size * u.deg) for place in center]
        return gj.flux_profile(MAP, gj.Models([]), regions, **({"energy_edges": [1, 8]} | given))

    edges = [1, 2, 8]
    return [
        Argument("flux_profile: energy_edges", lambda v: profile(energy_edges=v).norm, edges, "TeV", "GeV"),
        Argument("flux_profile: n_sigma", lambda v: profile(n_sigma=v).norm_errp, 1),
        Argument("flux_profile: n_sigma_ul", lambda v: profile(n_sigma_ul=v).norm_ul, 3),
        Argument("flux_profile: norms", lambda v: profile(norms=v).points.stat_scan, [0.5, 2]),
        *_profiles(),
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
        *(Argument(f"SkyMaps: {name}", _sigma_of_maps(name), 2) for name in ("n_sigma", "n_sigma_ul")),
        Argument("SkyMaps.peaks: threshold", lambda v: np.asarray(MAPS.peaks("sqrt_ts", v)["value"]), 5),
        Argument("SkyMaps.peaks: min_distance", lambda v: np.asarray(MAPS.peaks(min_distance=v)["value"]), 0.1, "deg"),
    ]


def _sigma_of_maps(name: str) -> Any:
    return lambda v: np.array([getattr(gj.SkyMaps(GEOM, [1, 2, 8], **SHAPE, **{name: v}), name)])


def _profiles() -> list[Argument]:
    place, other = SkyCoord("83d", "22d"), SkyCoord("84d", "22d")
    points = gj.FluxPoints([1, 1], [1, 2], [1, 1], norm_err=[1, 1])
    ends = {"distance_min": [0, 1], "distance_max": [0.5, 2]}

    def radii(given: Any) -> Any:
        return np.array([ring.outer_radius.to_value("deg") for ring in gj.rings_around(place, given)])

    def width(given: Any) -> Any:
        return np.array([gj.rectangles_along(place, other, 1, given)[0].height.to_value("deg")])

    def distances(field: str) -> Any:
        return lambda v: getattr(gj.FluxProfile(**ends | {field: v}, points=points), field)

    return [
        Argument("rings_around: radii", radii, [0, 1, 2], "deg"),
        Argument("rectangles_along: width", width, 1, "deg"),
        *(Argument(f"FluxProfile: {field}", distances(field), plain, "deg") for field, plain in ends.items()),
        Argument("FluxProfile: solid_angle", distances("solid_angle"), [1, 2], "sr"),
    ]
