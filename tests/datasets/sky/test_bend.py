"""How straight images of the sky are, against the formulas of their projections."""

import math

import numpy as np
import pytest

from gammajax.datasets.sky import SkyGeom, bend


def rung(value):
    return 2.0 ** (math.ceil(2 * math.log2(value)) / 2)


@pytest.mark.parametrize(("npix", "binsz"), [(100, 0.02), (201, 0.05)])
def test_tangent_plane(npix, binsz):
    """tan(r) grows by 2 tan r of its slope a rad: most in the corners, along the radius."""
    geom = SkyGeom.create((83.6, 22.0), binsz=binsz, npix=npix)
    corner = np.hypot(1, 1) * (npix - 1) / 2 * binsz
    # a step to the corner is longer in pixels than on the sky by 1 / cos^2
    steps = [2 * math.tan(math.radians(r)) * math.radians(binsz) for r in (corner, 0.9 * corner)]
    assert geom.bend == bend(geom)
    assert rung(steps[1]) <= geom.bend <= rung(steps[0] * (1 + 1e-3))


def test_like_images_are_the_same():
    """Wherever they point, and moved by a pixel."""
    geoms = [SkyGeom.create((lon, lat), binsz=0.05, npix=100) for lon, lat in ((83.6, 22.0), (10.0, -70.0), (266, -29))]
    assert len({g.bend for g in geoms}) == 1


def plate_carree(lat, npix=21, binsz=0.05):
    """A map around a latitude, with the equator as reference."""
    cards = {"CRVAL1": 83.6, "CRVAL2": 0.0, "CDELT1": -binsz, "CDELT2": binsz, "CUNIT1": "deg", "CUNIT2": "deg"}
    cards |= {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "RADESYS": "ICRS"}
    cards |= {"CRPIX1": (npix + 1) / 2, "CRPIX2": (npix + 1) / 2 - lat / binsz}
    return SkyGeom.from_header(cards, (npix, npix))


def test_plate_carree():
    """Straight at the equator; far from it a step in longitude bends as its circle does, by tan(lat) a rad of it."""
    for lat in (30.0, 60.0):
        half = 0.5
        # relative to steps along the circle, and to those along the meridian
        bends = [math.radians(0.05) * math.sin(math.radians(b)) for b in (lat - half, lat + half)]
        assert rung(bends[0]) <= plate_carree(lat).bend <= rung(math.sqrt(2) * bends[1])
    assert plate_carree(0.0).bend < 0.05 * plate_carree(30.0).bend
    assert SkyGeom.create((0.0, 0.0), binsz=4.0, npix=(90, 45), proj="CAR").bend > 0.1
