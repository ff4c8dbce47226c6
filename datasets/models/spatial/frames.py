"""Positions of models in frames other than those that kernels compute in, turned into ICRS."""

import math
from collections.abc import Mapping

import numpy as np

from ....kernels.sphere import TO_ICRS
from ...errors import InputError, listed
from ..parameter import Parameter, placed

MOST_TURNED = 1.0
"""Angle (deg) between the norths of two frames up to which the two coordinates keep their own errors and bounds."""

STEP = 1e-3
"""Distance (deg) of the point that shows where the north of a frame is."""


def parameters_in_icrs(
    parameters: Mapping[str, Parameter], declared: Mapping[str, Parameter], frame: str
) -> dict[str, Parameter]:
    """Parameters by name of a model whose ``lon_0`` and ``lat_0`` are in ``frame``, any of astropy, as of one in ICRS.

    ``declared`` are the defaults of the model class, which say what each parameter is. Errors turn with the axes,
    angles (role "angle") count from the other north, and bounds move along with the position. Raises InputError for
    frames that astropy does not know or cannot transform without more data, for a position that is linked or has a
    prior, and for bounds where the axes of the frame are turned against those of ICRS.
    """
    missing = [name for name in ("lon_0", "lat_0") if name not in parameters]
    if missing:
        raise InputError(
            f"the frame is {frame!r}, and there is no {missing[0]} to transform from it. Give lon_0 and lat_0."
        )
    new = {name: placed(p, declared[name]) for name, p in parameters.items()}
    lon, lat = new["lon_0"], new["lat_0"]
    (new_lon, new_lat), turned = _in_icrs(float(lon.internal), float(lat.internal), frame)
    cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
    # to the east and to the north, in deg
    shrink, new_shrink = (math.cos(math.radians(b)) for b in (float(lat.internal), new_lat))
    east, north = float(lon.error) * lon.scale * shrink, float(lat.error) * lat.scale
    # north of the frame has the position angle ``turned``
    errors = east / new_shrink, north
    if abs(turned) > MOST_TURNED:
        errors = math.hypot(east * cos, north * sin) / new_shrink, math.hypot(north * cos, east * sin)
    for name, value, error in (("lon_0", new_lon, errors[0]), ("lat_0", new_lat, errors[1])):
        new[name] = _moved(new[name], name, value, error, frame, turned)
    for name, parameter in list(new.items()):
        if parameter.role == "angle":
            new[name] = _turned(parameter, turned / parameter.scale)
    return new


def _in_icrs(lon: float, lat: float, frame: str) -> tuple[tuple[float, float], float]:
    """ICRS longitude and latitude of a position in a frame, and the position angle there of the frame's north (deg)."""
    from astropy.coordinates import SkyCoord, frame_transform_graph
    from astropy.coordinates.errors import ConvertError

    names = sorted(frame_transform_graph.get_names())
    if frame not in names:
        raise InputError(f"unknown frame {frame!r}. Known frames: {listed(names, len(names))}.")
    sign = -1.0 if lat > 0 else 1.0
    try:
        # the second one is to the north of the first, or to its south where the pole is near
        both = SkyCoord([lon, lon], [lat, lat + sign * STEP], unit="deg", frame=frame).icrs
        angle = both[0].position_angle(both[1]).deg
    except (ConvertError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"positions in the frame {frame!r} cannot be transformed to icrs ({error}). Give them in one of "
            f"{', '.join(TO_ICRS)}."
        ) from error
    turned = angle if sign > 0 else angle - 180.0
    return (float(both[0].ra.deg), float(both[0].dec.deg)), float((turned + 180.0) % 360.0 - 180.0)


def _moved(parameter: Parameter, name: str, value: float, error: float, frame: str, turned: float) -> Parameter:
    """A coordinate with a new value and error (deg), and bounds that are as far from it as they were."""
    if parameter.link is not None or parameter.prior is not None:
        what = "linked" if parameter.link is not None else "given a prior"
        raise InputError(
            f"{name} is in the frame {frame!r} and {what}. Give the position in one of {', '.join(TO_ICRS)}."
        )
    bounded = np.isfinite(parameter.min) or np.isfinite(parameter.max)
    poles = (parameter.min * parameter.scale, parameter.max * parameter.scale) == (-90.0, 90.0)
    shift = 0.0
    new = value / parameter.scale
    if bounded and not (name == "lat_0" and poles):
        if abs(turned) > MOST_TURNED:
            raise InputError(
                f"{name} has bounds along the axes of the frame {frame!r}, which are turned against those of icrs. "
                "Remove min and max, or give the position in icrs."
            )
        shift = new - float(parameter.value)
        # not round the sky where one of the two is given beyond 360 deg, or below 0
        turn = 360.0 / parameter.scale
        shift = (shift + turn / 2) % turn - turn / 2
        new = float(parameter.value) + shift
    low, high = parameter.min + shift, parameter.max + shift
    return parameter.replace(value=new, error=error / parameter.scale, min=low, max=high)


def _turned(angle: Parameter, shift: float) -> Parameter:
    """An angle with its bounds, turned; on the first turn where bounds leave it the whole circle."""
    value, low, high = float(angle.value) + shift, angle.min, angle.max
    turn = 360.0 / angle.scale
    if math.isclose(high - low, turn):
        return angle.replace(value=low + (value - low) % turn)
    return angle.replace(value=value, min=low + shift, max=high + shift)
