"""Positions in frames of files, against astropy's coordinates."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from gammajax.datasets.io import parse_yaml
from gammajax.datasets.models import Models

FRAMES = ("fk5", "fk4", "fk4noeterms", "supergalactic", "barycentricmeanecliptic")

MODEL = """\
components:
- name: s
  type: SkyModel
  spectral: {{type: pl}}
  spatial:
    type: {kind}
    frame: {frame}
    parameters:
    - {{name: lon_0, value: {lon}, unit: {unit}{lon_more}}}
    - {{name: lat_0, value: {lat}, unit: {unit}{lat_more}}}
    {more}
"""
GAUSS = "- {name: sigma, value: 0.5, unit: deg}\n    - {name: e, value: 0.8}\n    - {name: phi, value: 30, unit: deg}"


def read(frame, lon=10, lat=5, kind="point", unit="deg", lon_more="", lat_more="", more=""):
    names = {"frame": frame, "lon": lon, "lat": lat, "kind": kind, "unit": unit, "more": more}
    text = MODEL.format(**names, lon_more=lon_more, lat_more=lat_more)
    return Models.from_dict(parse_yaml(text, "text"))["s"].spatial


def test_the_first_source_of_1lhaaso_like_files():
    """fk5 (10, 5) deg is 0.025 arcsec from the same numbers in ICRS: Murray's rotation, as in the issue."""
    model = read("fk5", lat_more=", min: -90, max: 90, error: 0.2", lon_more=", error: 0.1")
    assert model.frame == "icrs"
    assert (round(float(model.lon_0.value), 8), round(float(model.lat_0.value), 8)) == (9.99999312, 4.99999847)
    assert (model.lat_0.min, model.lat_0.max) == (-90, 90)
    np.testing.assert_allclose([model.lon_0.error, model.lat_0.error], [0.1, 0.2], rtol=1e-8)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("lon", "lat"), [(10.0, 5.0), (359.9, -60.0), (200.0, 88.0)])
def test_positions_and_shapes_are_where_astropy_has_them(frame, lon, lat):
    """An ellipse has the value at a place of the frame that its own coordinates give: its angle turns, too."""
    model = read(frame, lon * 60, lat * 60, "gauss", "arcmin", more=GAUSS)
    there = SkyCoord(lon, lat, unit="deg", frame=frame)
    new = SkyCoord(float(model.lon_0.quantity.to_value("deg")), float(model.lat_0.quantity.to_value("deg")), unit="deg")
    assert new.separation(there.icrs).arcsec < 1e-6
    assert str(model.lon_0.unit) == "arcmin"
    # the offset along and across the axis, which counts from the frame's north
    along, across = (there.directional_offset_by((30 + turn) * u.deg, 0.4 * u.deg).icrs for turn in (0, 90))
    values = [float(model(p.ra, p.dec).value) for p in (along, across)]
    minor = 0.5 * np.sqrt(1 - 0.8**2)
    expected = np.exp(-0.5 * (0.4 / 0.5) ** 2) / np.exp(-0.5 * (0.4 / minor) ** 2)
    np.testing.assert_allclose(values[0] / values[1], expected, rtol=1e-4)
    assert (model.phi.min, model.phi.max) == (-180, 180) and -180 <= float(model.phi.value) <= 180


def test_errors_turn_with_the_axes():
    """Ends of error bars in the frame, turned by astropy, give the errors to the east and to the north."""
    lon, lat, east, north = 10.0, 5.0, 1e-3, 3e-3
    more = f", error: {east / np.cos(np.radians(lat))}"
    model = read("supergalactic", lon_more=more, lat_more=f", error: {north}")
    centre = SkyCoord(lon, lat, unit="deg", frame="supergalactic")
    bars = [centre.directional_offset_by(a * u.deg, e * u.deg).icrs for a, e in ((90, east), (0, north))]
    offsets = [[x.to_value("deg") for x in centre.icrs.spherical_offsets_to(bar)] for bar in bars]
    expected = np.hypot(*np.array(offsets))
    found = float(model.lon_0.error) * np.cos(np.radians(float(model.lat_0.value))), float(model.lat_0.error)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_bounds_move_along():
    """By as much as the position, also where it is given on another turn."""
    model = read("fk4", lon=10 - 360, lon_more=", min: -351, max: -349", lat_more=", min: 4, max: 6.5")
    icrs = SkyCoord(10, 5, unit="deg", frame="fk4").icrs
    np.testing.assert_allclose([model.lon_0.min, model.lon_0.max], icrs.ra.deg - 360 + np.array([-1, 1]), rtol=1e-12)
    np.testing.assert_allclose([model.lat_0.min, model.lat_0.max], icrs.dec.deg + np.array([-1, 1.5]), rtol=1e-12)
    assert read("fk5", lon_more=", max: 11").lon_0.min == -np.inf
