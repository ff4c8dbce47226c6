"""Norms at places on the sky, with a smooth surface through them."""

from collections import OrderedDict
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ....kernels import tables
from ....kernels.clough_tocher import ordinates, slant, surface
from ....kernels.sphere import from_icrs, vector_to_lonlat
from ...arrays import Array, fields_of, frozen_array
from ...errors import InputError
from ...io.paths import Filename
from ...units import Given, to_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, internal, placed
from ..spectral.base import Energies, Values
from ..spectral.norms import GivenNorms, norms_of, quantity_from
from .base import SpatialModel, Vectors

NAME = "PiecewiseNormSpatialModel"

LEAST = 4
"""Fewest places."""


class PiecewiseNormSpatialModel(SpatialModel):
    """Norms at places on the sky, with a smooth surface of cubics on the triangles between them (Clough-Tocher).

    Parameters
    ----------
    lon, lat : (n,) at least four places that are not on a line, Quantities or deg in ``frame``
    norms : (n,) numbers or `Parameter` objects, by default 1; the parameters are ``norm_0``, ``norm_1``, ...
    interp : "lin", or "log" for a surface through the logarithms
    frame : "icrs" or "galactic"

    A factor without unit: for the background, ``gj.FoVBackgroundModel(spatial=...)``. Longitude and latitude are taken
    for plane coordinates, as in gammapy. Beyond the outermost places the norm is about that of the nearest point
    between them.
    """

    lon: Float[Array, " n"]
    lat: Float[Array, " n"]
    norms: OrderedDict[str, Parameter]
    wrap: Float[Array, ""]
    transform: Float[Array, "t 3 2"]
    coefficients: Float[Array, "t 19 n"]
    interp: str = eqx.field(static=True)
    tag = (NAME, "piecewise-norm")
    scheme = "direct"

    def __init__(
        self,
        lon: Given,
        lat: Given,
        norms: GivenNorms | None = None,
        interp: str = "lin",
        frame: str = "icrs",
        **rest: Any,
    ) -> None:
        self.frame, self.interp = frame, interp
        if rest:
            # a copy of a finished model, by dataclasses.replace
            for name, content in ({"lon": lon, "lat": lat, "norms": norms} | rest).items():
                setattr(self, name, content)
            return
        if interp not in ("lin", "log"):
            raise InputError(f"{NAME}: interp must be 'lin' or 'log', found {interp!r}.")
        x, y = (np.asarray(to_unit(v, "deg", f"{NAME}: {name}")) for name, v in (("lon", lon), ("lat", lat)))
        if x.ndim != 1 or x.shape != y.shape or x.size < LEAST or not np.all(np.isfinite([x, y])):
            raise InputError(
                f"{NAME}: lon and lat must be lists of at least {LEAST} finite angles, found shapes {x.shape} and "
                f"{y.shape}."
            )
        self.norms = norms_of(norms, x.size, NAME, "places")
        # the turn around the places is cut on the other side of the sky
        turns = np.exp(1j * np.deg2rad(x))
        self.wrap = frozen_array(np.rad2deg(np.angle(turns.mean())) + 180)
        self.lon, self.lat = frozen_array(_below(x, float(self.wrap))), frozen_array(y)
        self.transform, self.coefficients = _triangles(np.stack([self.lon, self.lat], axis=1))

    @property
    def unit(self) -> str:
        return ""

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The norms."""
        return dict(self.norms)

    def replace(self, **changes: GivenParameter) -> Self:
        """A copy with changed norms: numbers and Quantities set the value, a `Parameter` replaces it whole."""
        unknown = sorted(set(changes) - set(self.norms))
        if unknown:
            raise InputError(f"{NAME} has no parameter {unknown[0]!r}; it has norm_0 to norm_{len(self.norms) - 1}.")
        new = {name: placed(given, self.norms[name], name) for name, given in changes.items()}
        norms = OrderedDict((name, new.get(name, p)) for name, p in self.norms.items())
        return type(self)(**(dict(fields_of(self)) | {"norms": norms}))

    def __getattr__(self, name: str) -> Any:
        found = fields_of(self).get("norms", {}).get(name) if name.startswith("norm_") else None
        return super().__getattr__(name) if found is None else found  # type: ignore[misc]

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        lon, lat = vector_to_lonlat(from_icrs(jnp.asarray(vectors), self.frame))
        at = jnp.stack([jnp.ravel(_below(lon, self.wrap)), jnp.ravel(lat)], axis=-1)
        values = jnp.stack([jnp.asarray(norm) for norm in internal(*self.norms.values())])
        if self.interp == "log":
            values = tables.floor_log(values)
        found = _interpolate(at, jnp.asarray(self.transform), jnp.asarray(self.coefficients) @ values)
        found = tables.unfloor_exp(found) if self.interp == "log" else found
        return found.reshape(jnp.shape(lon))

    def extra_dict(self) -> Section:
        places = {name: {"data": np.asarray(getattr(self, name)).tolist(), "unit": "deg"} for name in ("lon", "lat")}
        # gammapy does not write how it interpolates
        return places | {"frame": self.frame} | ({} if self.interp == "lin" else {"interp": self.interp})

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        lon, lat = (quantity_from(data, key, cls.__name__) for key in ("lon", "lat"))
        names = [f"norm_{i}" for i in range(np.size(lon))]
        missing = [name for name in names if name not in parameters]
        if missing:
            raise InputError(f"{cls.__name__}: {len(names)} places need the parameter {missing[0]!r}, it is not there.")
        norms = [parameters[name] for name in names]
        return cls(lon, lat, norms, data.get("interp", "lin"), data.get("frame", "icrs"))


def _below(lon: Any, top: Any) -> Any:
    """Longitudes (deg) in the turn below ``top``."""
    xp = jnp if isinstance(lon, jax.Array) else np
    return lon - 360 * xp.ceil((lon - top) / 360)


def _triangles(points: Float[np.ndarray, "n 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Of a Delaunay triangulation: transforms to barycentric coordinates (t, 3, 2), and ordinates (t, 19, n) for unit
    values."""
    from scipy.interpolate import CloughTocher2DInterpolator
    from scipy.spatial import Delaunay, QhullError

    try:
        mesh = Delaunay(points)
    except QhullError as error:
        raise InputError(f"{NAME}: the places span no triangle; at least three must not be on a line.") from error
    if len(mesh.coplanar):
        raise InputError(f"{NAME}: the place {mesh.coplanar[0, 0]} is there twice.")
    n, corners = len(points), mesh.simplices
    # gradients at the places are linear in the values: those of each value alone
    fit = CloughTocher2DInterpolator(mesh, np.eye(n), tol=1e-12, maxiter=4000)
    gradients = np.swapaxes(fit.grad, 1, 2)
    slants = np.full(corners.shape, -0.5)
    for i in range(3):
        beyond = mesh.neighbors[:, i]
        has = beyond >= 0
        middle = points[corners[beyond[has]]].mean(axis=1)
        inside = _barycentric(mesh.transform[has], middle)
        slants[has, i] = slant(inside[:, (i + 1) % 3], inside[:, (i + 2) % 3])
    made = ordinates(points[corners], np.eye(n)[corners], gradients[corners], slants)
    return frozen_array(mesh.transform), frozen_array(made)


def _barycentric(transform: Any, at: Any) -> Any:
    xp = jnp if isinstance(transform, jax.Array) or isinstance(at, jax.Array) else np
    two = xp.einsum("...ij,...j->...i", transform[..., :2, :], at - transform[..., 2, :])
    return xp.concatenate([two, 1 - two.sum(axis=-1, keepdims=True)], axis=-1)


def _interpolate(
    at: Float[jax.Array, "p 2"], transform: Float[jax.Array, "t 3 2"], coefficients: Float[jax.Array, "t 19"]
) -> Float[jax.Array, " p"]:
    """The surface at points; outside at a point of the triangle that is least far beyond its edges."""
    # which triangle is not differentiated
    least = jnp.min(_barycentric(transform, jax.lax.stop_gradient(at)[:, None, :]), axis=-1)
    chosen = jnp.argmax(least, axis=1)
    inside = jnp.maximum(_barycentric(transform[chosen], at), 0.0)
    return surface(inside / inside.sum(axis=-1, keepdims=True), coefficients[chosen])
