"""Point spread functions given as tables of radial profiles: profiles at a position, containment, kernels on pixels.

Radii and offsets are in deg. The normalisation of a profile is the flat one, 2 pi int P(r) r dr = 1 with r in rad.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from .arrays import AnyArray, Real
from .elementary import inverse_2x2
from .hankel import interpolate_uniform, radial_quadrature, radial_spectrum
from .sphere import hypotenuse

CONTAINMENT = 0.999
"""Share of the events within the radius at which kernels end."""

FREQUENCIES = 640
"""Nodes in frequency between which the transforms of profiles are interpolated."""

RING_NODES = 6
"""Quadrature nodes in radius between the radii of a profile, for its containment."""

FINE = 20
"""Divisions of a bin in radius on which a containment radius is searched."""


def linear_weights(nodes: Float[Array, " n"], at: Float[Array, "*shape"], extrapolate: bool) -> tuple[Array, Array]:
    """Index of the lower node and weight of the upper one, for linear interpolation on increasing ``nodes``.

    Beyond the ends the line through the last two nodes goes on, or the end value holds (``extrapolate`` False).
    """
    nodes = jnp.asarray(nodes)
    index = jnp.clip(jnp.searchsorted(nodes, at, side="right") - 1, 0, nodes.shape[0] - 2)
    weight = (at - nodes[index]) / (nodes[index + 1] - nodes[index])
    return index, weight if extrapolate else jnp.clip(weight, 0.0, 1.0)


def interpolate_axis(values: Array, nodes: Array, at: Array, axis: int, extrapolate: bool = False) -> Array:
    """``values`` at other coordinates of one axis, linearly; an axis of one node is constant."""
    if values.shape[axis] == 1:
        return jnp.repeat(values, at.shape[0], axis=axis)
    index, weight = linear_weights(nodes, at, extrapolate)
    shape = [1] * values.ndim
    shape[axis] = -1
    weight = weight.reshape(shape)
    return jnp.take(values, index, axis=axis) * (1 - weight) + jnp.take(values, index + 1, axis=axis) * weight


def at_position(maps: Float[Array, "*axes y x"], x: Real, y: Real) -> Float[Array, " *axes"]:
    """Bilinear interpolation of images at pixel coordinates; up to half a pixel beyond the outermost centres the line
    goes on, farther out the value there holds. An axis of one pixel is constant."""
    for axis, coordinate in ((-2, y), (-1, x)):
        size = maps.shape[axis]
        if size == 1:
            continue
        inside = jnp.clip(coordinate, -0.5, size - 0.5)
        index = jnp.clip(jnp.floor(jax.lax.stop_gradient(inside)).astype(int), 0, size - 2)
        weight = inside - index
        low = jax.lax.dynamic_slice_in_dim(maps, index, 1, axis=maps.ndim + axis)
        high = jax.lax.dynamic_slice_in_dim(maps, index + 1, 1, axis=maps.ndim + axis)
        maps = low * (1 - weight) + high * weight
    return maps[..., 0, 0]


def nearest_valid(valid: Array, x: Real, y: Real) -> tuple[Array, Array, Array]:
    """Pixel (x, y) nearest to a position, and whether it had to be another than the one it lies in because that one is
    not ``valid`` (y, x). A position that is not finite (off the projection) counts as the middle of the grid."""
    ny, nx = valid.shape
    shown = jnp.isfinite(x) & jnp.isfinite(y)
    x, y = jnp.where(shown, x, (nx - 1) / 2), jnp.where(shown, y, (ny - 1) / 2)
    ix = jnp.clip(jnp.round(x), 0, nx - 1).astype(int)
    iy = jnp.clip(jnp.round(y), 0, ny - 1).astype(int)
    gy, gx = jnp.meshgrid(jnp.arange(ny), jnp.arange(nx), indexing="ij")
    distance = jnp.where(valid, (gx - x) ** 2 + (gy - y) ** 2, jnp.inf)
    best = jnp.argmin(distance)
    moved = ~shown | (~valid[iy, ix] & jnp.any(valid))
    return jnp.where(moved, best % nx, ix), jnp.where(moved, best // nx, iy), moved


def containment(profile: Float[Array, "*e r"], rad: Array, rad_edges: Array) -> Float[Array, "*e r_edges"]:
    """Share of events within each edge: C(edge_k) = sum_(j<k) 2 pi r_j dr_j P_j (midpoint rule).

    As gammapy's, which sets the sizes of kernels; a few thousandths off where bins are wide: see `contained`.
    """
    weights = 2 * np.pi * jnp.deg2rad(rad) * jnp.deg2rad(jnp.diff(rad_edges))
    total = jnp.cumsum(profile * weights.reshape((1,) * (profile.ndim - 1) + (-1,)), axis=-1)
    return jnp.concatenate([jnp.zeros_like(total[..., :1]), total], axis=-1)


def containment_radius(profile: Float[Array, "e r"], rad: Array, rad_edges: Array, share: float) -> Float[Array, " e"]:
    """Radius (deg) that holds ``share`` of the events, found to a twentieth of a bin in radius."""
    steps = (np.arange(FINE) + 0.5) / FINE
    fine = (rad_edges[:-1, None] + jnp.diff(rad_edges)[:, None] * steps[None]).reshape(-1)
    inside = containment(profile, rad, rad_edges)
    at_fine = interpolate_axis(inside, rad_edges, fine, axis=-1)
    return fine[jnp.argmin(jnp.abs(at_fine - share), axis=-1)]


def smooth_values(profile: Float[Array, "e r"], rad: Array, radius: Float[Array, "*shape"]) -> Float[Array, "e *shape"]:
    """Profiles at radii, smooth between the nodes: ln P is a cubic in r that has the slopes of parabolas through three
    nodes, limited so that it does not overshoot (Fritsch & Carlson 1980, SIAM J. Numer. Anal. 17, 238).

    Tables of formulas are samples of them: a Gaussian comes out exactly, whose straight lines lose a hundredth where
    bins are a third of its width. Before the first node ln P goes on as a parabola around 0, beyond the last straight
    on; next to a node without events P is linear.
    """
    tiny = float(jnp.finfo(profile.dtype).tiny)
    logs = jnp.log(jnp.maximum(profile, tiny))
    step = jnp.diff(rad)
    secant = jnp.diff(logs, axis=-1) / step
    before, after = secant[:, :-1], secant[:, 1:]
    inner = (before * step[1:] + after * step[:-1]) / (step[1:] + step[:-1])
    first, last = 2 * secant[:, :1] - inner[:, :1], 2 * secant[:, -1:] - inner[:, -1:]
    slope = jnp.concatenate([first, inner, last], axis=-1)
    near = jnp.concatenate([secant[:, :1], before, secant[:, -1:]], axis=-1)
    far = jnp.concatenate([secant[:, :1], after, secant[:, -1:]], axis=-1)
    most = 3 * jnp.minimum(jnp.abs(near), jnp.abs(far))
    slope = jnp.where(near * far > 0, jnp.clip(slope, -most, most), 0.0)
    i, t = linear_weights(rad, radius, extrapolate=True)
    h, inside = step[i], jnp.clip(t, 0.0, 1.0)
    a, b, p, q = logs[:, i], logs[:, i + 1], slope[:, i] * h, slope[:, i + 1] * h
    cubic = a + inside * (p + inside * (3 * (b - a) - 2 * p - q + inside * (p + q - 2 * (b - a))))
    low = rad[0] > 0
    bowl = slope[:, :1] * (radius**2 - rad[0] ** 2).reshape(-1) / (2 * jnp.where(low, rad[0], 1.0))
    cubic = cubic + jnp.where(radius < rad[0], bowl.reshape(-1, *radius.shape), 0.0)
    cubic = cubic + jnp.where(radius > rad[-1], jnp.minimum(q, 0.0) * (t - 1), 0.0)
    whole = (profile[:, i] > 0) & (profile[:, i + 1] > 0)
    straight = jnp.maximum(profile[:, i] * (1 - t) + profile[:, i + 1] * t, 0.0)
    return jnp.where(whole, jnp.exp(cubic), straight)


def contained(profile: Float[Array, "e r"], rad: Array, last: Array, radius: Float[Array, " m"]) -> Float[Array, "e m"]:
    """Share within ``radius`` of the events within ``last``, of `smooth_values`; 0 where there are none."""
    edges = jnp.concatenate([jnp.zeros(1, rad.dtype), rad, jnp.reshape(last, 1)])
    inside = jnp.clip(radius, 0.0, last)
    piece = jnp.clip(jnp.searchsorted(edges, inside, side="right") - 1, 0, edges.shape[0] - 2)
    nodes, weights = np.polynomial.legendre.leggauss(RING_NODES)

    def rings(start, stop):
        half = (stop - start) / 2
        at = (stop + start)[:, None] / 2 + half[:, None] * nodes
        return half * ((smooth_values(profile, rad, at) * at) @ weights)

    total = jnp.cumsum(rings(edges[:-1], edges[1:]), axis=-1)
    total = jnp.concatenate([jnp.zeros_like(total[:, :1]), total], axis=-1)
    whole = total[:, -1:]
    # the two sums may differ by the quadrature where a profile ends within a piece
    part = jnp.minimum(total[:, piece] + rings(edges[piece], inside), whole)
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), 0.0)


def odd_width(extent: Real) -> Array:
    """Odd number of pixels that spans ``extent`` pixels: 2 floor(ceil(x) / 2) + 1."""
    return 2 * jnp.floor(jnp.ceil(extent) / 2) + 1


def radial_values(profile: Float[Array, "e r"], rad: Array, radius: Float[Array, "*shape"]) -> Float[Array, "*shape e"]:
    """Profiles at radii, linear between the nodes and beyond them, not negative."""
    index, weight = linear_weights(rad, radius, extrapolate=True)
    table = profile.T
    return jnp.maximum(table[index] * (1 - weight[..., None]) + table[index + 1] * weight[..., None], 0.0)


def pixel_kernel(
    profile: Float[Array, "e r"],
    rad: Array,
    widths: Float[Array, " e"],
    factors: Float[Array, " e"],
    scale: Array | float,
    size: int,
    tangent: bool = False,
) -> Float[Array, "e n n"]:
    """Kernel on square pixels of side ``scale`` for a source at the middle of one; each plane of sum 1.

    The profile is averaged over ``factors`` (1 to 4) squared points a pixel, inside a square of ``widths`` pixels.
    ``tangent``: pixels are of the gnomonic projection, so that separations are a little shorter than offsets.
    """
    grid = jnp.arange(size) - (size - 1) / 2
    total = jnp.zeros((size, size, profile.shape[0]), profile.dtype)
    for factor in (1, 2, 3, 4):
        fine = (grid[:, None] + ((np.arange(factor) + 0.5) / factor - 0.5)).reshape(-1)
        offset = scale * jnp.hypot(fine[:, None], fine[None, :])
        values = radial_values(profile, rad, jnp.rad2deg(jnp.arctan(jnp.deg2rad(offset))) if tangent else offset)
        values = values.reshape(size, factor, size, factor, -1).sum((1, 3)) / factor**2
        total = jnp.where(factors == factor, values, total)
    inside = jnp.abs(grid)[:, None] < widths / 2
    total = total * inside[:, None, :] * inside[None, :, :]
    return normalised(jnp.moveaxis(total, -1, 0))


def transforms(
    profile: Float[Array, "e r"],
    rad: Array,
    last: Array,
    reach: Float[Array, " e"],
    taper: Array | float,
    jacobian: Float[Array, "2 2"],
    fx: Float[AnyArray, "*shape"],
    fy: Float[AnyArray, "*shape"],
    highest: Real | None = None,
) -> Float[Array, "e *shape"]:
    """Fourier transforms of profiles normalised to 1 and then ended beyond ``reach`` (deg), at frequencies in cycles
    per pixel along x and y, which are broadcast against each other.

    They are whole up to ``reach`` and fade out over 2 ``taper`` (deg) from there on, so that less is lost than is
    beyond, however narrow a profile is. ``jacobian``: offsets to the east and north (deg) per pixel in x and y.
    ``last`` (deg): where the profiles end. The profiles, linear between their radii, are transformed exactly, so that
    cusps in their middle need no fine lattice.

    ``highest``: frequency in cycles per deg up to which they are tabulated, by default the highest of ``fx`` and
    ``fy``. Where it does not depend on the position, its Bessel functions are made once for many sources.
    """
    k = radial_frequencies(jacobian, fx, fy)
    if highest is None:
        highest = jnp.max(k)
    return transforms_at(radial_table(profile, rad, last, reach, taper, highest), k, highest)


def radial_frequencies(
    jacobian: Float[Array, "2 2"], fx: Float[AnyArray, "*shape"], fy: Float[AnyArray, "*shape"]
) -> Float[Array, "*shape"]:
    """Frequencies in cycles per deg of those along x and y in cycles per pixel, see `transforms`."""
    # they transform with the inverse transpose of the offsets
    inverse = inverse_2x2(jacobian)
    fx, fy = jnp.broadcast_arrays(fx, fy)
    along = inverse[0, 0] * fx + inverse[1, 0] * fy, inverse[0, 1] * fx + inverse[1, 1] * fy
    return jnp.asarray(hypotenuse(*along))


def radial_table(
    profile: Float[Array, "e r"],
    rad: Array,
    last: Array,
    reach: Float[Array, " e"],
    taper: Array | float,
    highest: Real,
) -> Float[Array, "k e"]:
    """Transforms of profiles at frequencies up to ``highest`` (cycles per deg), see `transforms`."""
    radius, weight = radial_quadrature(rad, last)
    whole = radial_values(profile, rad, radius)
    total = weight @ whole
    # a sharp end would ring all over the lattice
    beyond = jnp.clip((radius[:, None] - reach[None, :]) / taper - 1, -1.0, 1.0)
    values = whole * (1 - jnp.sin(np.pi / 2 * beyond)) / 2 / jnp.where(total > 0, total, 1.0)[None, :]
    step = _table_step(highest)
    return radial_spectrum(values, radius, weight, jnp.arange(FREQUENCIES, dtype=step.dtype) * step)


def _table_step(highest: Real) -> Array:
    """Distance of the frequencies of a table; one with other nodes is the same function."""
    return jax.lax.stop_gradient(jnp.asarray(highest)) / (FREQUENCIES - 4)


def transforms_at(
    table: Float[Array, "k e"], k: Float[Array, "*shape"], highest: Real, width: Float[Array, " e"] | None = None
) -> Float[Array, "e *shape"]:
    """Transforms at ``k`` (cycles per deg) from a `radial_table` up to ``highest``; of profiles that are wider by the
    factors ``width``, P(r / w) / w^2, whose transform at k is that at w k.

    Beyond the table, where point spread functions that the lattice resolves have nothing left, its end value holds.
    """
    position = jnp.minimum(k / _table_step(highest), FREQUENCIES - 3.5)
    if width is not None:
        return _widened(table, position, width, 0)
    return jnp.moveaxis(interpolate_uniform(table, position), -1, 0)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _widened(
    table: Float[Array, "k e"], position: Float[Array, "*shape"], width: Float[Array, " e"], order: int
) -> Float[Array, "e *shape"]:
    """The derivative of some order in ``width`` of transforms of wider profiles, at positions in steps of the table.

    Derivatives in the width are interpolations of their own, so that no derivative has to go back through one.
    """
    values = interpolate_uniform(_wider_table(table, width, order), position)
    # a product with the identity, which XLA does not fuse with what uses it: it would interpolate for every use again
    eye = jnp.eye(values.shape[-1], dtype=values.dtype)
    return jnp.tensordot(eye, values, axes=[[1], [-1]], precision=jax.lax.Precision.HIGHEST)


def _wider_table(table: Float[Array, "k e"], width: Float[Array, " e"], order: int) -> Float[Array, "k e"]:
    """The table of wider profiles, or its derivative of some order in the width. It is short: work along it costs
    nothing next to the frequencies of an image."""
    if order:
        return jax.jvp(lambda w: _wider_table(table, w, order - 1), (width,), (jnp.ones_like(width),))[1]
    at = jnp.minimum(jnp.arange(FREQUENCIES, dtype=width.dtype)[None, :] * width[:, None], FREQUENCIES - 3.0)
    return jax.vmap(lambda column, k: interpolate_uniform(column[:, None], k)[:, 0], (1, 0), 1)(table, at)


@partial(_widened.defjvp, symbolic_zeros=True)
def _widened_slopes(order: int, primals: tuple[Array, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    table, position, width = primals
    of_table, of_position, of_width = tangents
    value = _widened(table, position, width, order)
    slope = jnp.zeros_like(value)
    if not isinstance(of_width, SymbolicZero):
        steps = of_width.reshape(-1, *(1 for _ in position.shape))
        slope = slope + _widened(table, position, width, order + 1) * steps
    if not isinstance(of_table, SymbolicZero):
        slope = slope + _widened(of_table, position, width, order)
    if not isinstance(of_position, SymbolicZero):
        wider = _wider_table(table, width, order)
        along = jax.jvp(lambda p: interpolate_uniform(wider, p), (position,), (of_position,))[1]
        slope = slope + jnp.moveaxis(along, -1, 0)
    return value, slope


def normalised(planes: Float[Array, "e n m"]) -> Float[Array, "e n m"]:
    """Planes divided by their sums; a plane without anything stays 0."""
    total = jnp.sum(planes, axis=(-2, -1), keepdims=True)
    return jnp.where(total > 0, planes / jnp.where(total > 0, total, 1.0), 0.0)
