"""Energy dispersion: from counts in true energy to counts in reconstructed energy."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

AnyArray = Array | np.ndarray


def fold(matrix: Float[Array, "true reco"], npred_true: Float[Array, "true ..."]) -> Float[Array, "reco ..."]:
    """npred(r) = sum_e R[e, r] npred_true(e). Rows of R are probabilities; what falls off the reco axis is lost."""
    return jnp.tensordot(matrix, npred_true, axes=[[0], [0]])


def unfold(matrix: Float[Array, "true reco"], weights: Float[Array, "reco ..."]) -> Float[Array, "true ..."]:
    """Weights of counts in true energy from those of counts in reconstructed energy: the transpose of `fold`."""
    return jnp.tensordot(matrix, weights, axes=[[1], [0]])


def diagonal_response(
    edges_true: Float[AnyArray, " e"], edges_reco: Float[AnyArray, " r"]
) -> Float[Array, "true reco"]:
    """Response of a perfect detector: the share of each true bin that lies in each reco bin, linear in energy.

    R[e, r] = |[E_e] overlap [E_r]| / |[E_e]|. Where both axes are equal it is the unit matrix.
    """
    low = jnp.maximum(edges_true[:-1, None], edges_reco[None, :-1])
    high = jnp.minimum(edges_true[1:, None], edges_reco[None, 1:])
    width = edges_true[1:] - edges_true[:-1]
    return jnp.maximum(high - low, 0.0) / width[:, None]


def _shares(z: Float[Array, "true edges"]) -> Float[Array, "true bins"]:
    """Shares of a Gaussian between edges. In float32 the error function falls by a rounding where it is all but 1."""
    share = jnp.diff(erf(z), axis=1) / 2
    return jnp.where(share > 0, share, 0.0)


def gauss_response(
    edges_true: Float[AnyArray, " e"],
    edges_reco: Float[AnyArray, " r"],
    sigma: Float[AnyArray, "..."],
    bias: Float[AnyArray, "..."],
) -> Float[Array, "true reco"]:
    """Response of a detector whose E_reco / E_true is Gaussian around 1 + bias with relative width sigma.

    Taken at the logarithmic centre of each true bin; ``sigma`` and ``bias`` are numbers or one per true bin. Rows sum
    to the part that falls inside the reco axis.
    """
    centre = jnp.sqrt(edges_true[:-1] * edges_true[1:])
    migra = edges_reco[None, :] / centre[:, None]
    width, shift = (jnp.broadcast_to(jnp.asarray(x), centre.shape) for x in (sigma, bias))
    return gauss_shares(jnp.asarray(migra), width, shift)


THRESHOLD = 1e-8
"""Matrix elements below this are set to zero, so that interpolation noise does not fill the matrix."""


def matrix_from_migration(
    density: Float[Array, "true migra"],
    migra_edges: Float[Array, " m"],
    energy_true_edges: Float[Array, " e"],
    energy_edges: Float[Array, " r"],
) -> Float[Array, "true reco"]:
    """Response matrix from dP/dmigra.

    At the logarithmic centre E of each true bin, R[e, r] = C(E_r,max / E) - C(E_r,min / E), where C is the integral of
    the density up to a migration, linear between the migration edges and constant outside.
    """
    total = jnp.cumsum(density * jnp.diff(migra_edges), axis=1)
    total = jnp.concatenate([jnp.zeros_like(total[:, :1]), total], axis=1)
    centre = jnp.sqrt(energy_true_edges[:-1] * energy_true_edges[1:])
    migra = energy_edges[None, :] / centre[:, None]
    at_edges = jax.vmap(lambda at, c: jnp.interp(at, migra_edges, c))(migra, total)
    matrix = jnp.maximum(jnp.diff(at_edges, axis=1), 0.0)
    return jnp.where(matrix < THRESHOLD, 0.0, matrix)


def gauss_shares(
    migra_edges: Float[Array, "*true m"], sigma: Float[Array, " true"], bias: Float[Array, " true"]
) -> Float[Array, "true migra"]:
    """Share of events in each migration bin for Gaussian migrations around 1 + bias with width sigma; the edges are the
    same for all true bins, or one list for each."""
    z = (migra_edges - 1 - bias[:, None]) / (jnp.sqrt(2.0) * sigma[:, None])
    return _shares(z)


GHOSTS = 8
"""Bins by which a response is continued beyond either end of the reconstructed energies."""


def extended_response(
    matrix: Float[Array, "true reco"],
    edges_true: Float[Array, " e"],
    edges_reco: Float[Array, " r"],
    n_reco: AnyArray | int | None = None,
) -> Float[Array, "true extended"]:
    """Response with `GHOSTS` bins more on either side, as wide in ln E as those at the ends.

    There a true bin has what the bin at the end has for a true energy that is as much higher or lower: the distribution
    of E_reco / E changes slowly with E. ``n_reco``: bins of ``edges_reco`` that are no padding, if not all.
    """
    matrix = jnp.asarray(matrix)
    n = matrix.shape[1] if n_reco is None else n_reco
    place = np.arange(-GHOSTS, matrix.shape[1] + GHOSTS)
    logs, true = jnp.log(jnp.asarray(edges_reco)), jnp.log(jnp.asarray(edges_true))
    first, last = logs[1] - logs[0], logs[n] - logs[n - 1]
    below, above = (jnp.asarray(k, logs.dtype) for k in (np.minimum(place, 0), jnp.maximum(place - n + 1, 0)))
    moved = -below * first - above * last
    return _at_other_energies(matrix[:, jnp.clip(place, 0, n - 1)], (true[1:] + true[:-1]) / 2, moved)


def rescaled(
    counts: Float[Array, "*rows extended"],
    edges_reco: Float[Array, " r"],
    scale: Float[Array, " r"],
    n_reco: AnyArray | int | None = None,
) -> Float[Array, "*rows reco"]:
    """Counts per reconstructed bin when reconstructed energies are multiplied by ``scale``, given at the edges: what is
    recorded at E had been recorded at E / scale(E) before.

    ``counts`` are in the bins of an `extended_response`: of a source folded with it, or rows of the response itself.
    R'[r] = C(ln E_r,max - ln s) - C(ln E_r,min - ln s), where C are cumulative counts: between the edges the quintic
    that has their values, and the slopes and bends that polynomials through five neighbouring edges have. So nothing
    changes for a scale of 1, counts are conserved, second derivatives in the scale are continuous, and counts of
    several sources add up. Rows that are narrower than the bins ring into their neighbours, where they may be negative;
    their sum over the true bins of a smooth spectrum does not.
    """
    n = edges_reco.shape[0] - 1 if n_reco is None else n_reco
    logs, place = jnp.log(jnp.asarray(edges_reco)), np.arange(-GHOSTS, edges_reco.shape[0] + GHOSTS)
    first, last = logs[1] - logs[0], logs[n] - logs[n - 1]
    below, above = (jnp.asarray(k, logs.dtype) for k in (np.minimum(place, 0), jnp.maximum(place - n, 0)))
    nodes = logs[jnp.clip(place, 0, n)] + below * first + above * last

    # the outermost nodes have no neighbours on one side
    low, high = 2, nodes.shape[0] - 3
    at = jnp.clip(nodes[GHOSTS:-GHOSTS] - jnp.log(jnp.asarray(scale)), nodes[low], nodes[high])
    piece = jnp.clip(jnp.searchsorted(nodes, at, side="right") - 1, low, high - 1)
    width = nodes[piece + 1] - nodes[piece]
    t, steps = (at - nodes[piece]) / width, jnp.diff(piece)
    real = jnp.asarray(np.arange(edges_reco.shape[0] - 1) < n)

    def one(row: Float[Array, " extended"]) -> Float[Array, " reco"]:
        slope, bend = _edge_derivatives(nodes, row)
        slopes = [slope[piece + k] * width for k in (0, 1)]
        bends = [bend[piece + k] * width**2 for k in (0, 1)]
        gain = _quintic(t, row[piece], *slopes, *bends)
        # differences of running sums would lose the digits of the high energies of a steep spectrum
        total = jnp.cumsum(row)[piece - 1]
        between = jnp.where(steps == 1, row[piece[:-1]], jnp.where(steps == 0, 0.0, jnp.diff(total)))
        return jnp.where(real, between + jnp.diff(gain), 0.0)

    rows = jnp.asarray(counts)
    found = jax.vmap(one)(rows.reshape(-1, rows.shape[-1]))
    return found.reshape(*rows.shape[:-1], found.shape[-1])


def _at_other_energies(
    shares: Float[Array, "true k"], log_true: Float[Array, " true"], moved: Float[AnyArray, " k"]
) -> Float[Array, "true k"]:
    """Columns at true energies that are higher by ``moved`` in ln E, straight between the bins; unchanged where 0."""
    if log_true.shape[0] < 2:
        return shares
    at = log_true[:, None] + moved[None, :]
    low = jnp.clip(jnp.searchsorted(log_true, at, side="right") - 1, 0, log_true.shape[0] - 2)
    weight = jnp.clip((at - log_true[low]) / (log_true[low + 1] - log_true[low]), 0.0, 1.0)
    found = [jnp.take_along_axis(shares, low + k, axis=0) for k in (0, 1)]
    return jnp.where(moved[None, :] == 0, shares, found[0] * (1 - weight) + found[1] * weight)


def _edge_derivatives(nodes: Float[Array, " k"], shares: Float[Array, " k-1"]) -> tuple[Array, Array]:
    """First and second derivative at each node of the polynomial through the cumulative sums at it and at the two nodes
    on either side; (k,), 0 at the outermost two."""
    middle = nodes[2:-2]
    offsets = [nodes[i : nodes.shape[0] - 4 + i] - middle for i in (0, 1, 3, 4)]
    lower, upper = shares[1:-2], shares[2:-1]
    rises = (-(lower + shares[:-3]), -lower, upper, upper + shares[3:])
    slope, bend = jnp.zeros_like(lower), jnp.zeros_like(lower)
    for k, (a, rise) in enumerate(zip(offsets, rises, strict=True)):
        p, q, r = (b for j, b in enumerate(offsets) if j != k)
        weight = 1 / (a * (a - p) * (a - q) * (a - r))
        slope = slope - p * q * r * weight * rise
        bend = bend + 2 * (p * q + p * r + q * r) * weight * rise
    return jnp.pad(slope, 2), jnp.pad(bend, 2)


def _quintic(t: Array, rise: Array, slope_0: Array, slope_1: Array, bend_0: Array, bend_1: Array) -> Array:
    """The quintic in t with the value 0 at 0 and ``rise`` at 1, and these slopes and bends there."""
    a, b, c = rise - slope_0 - bend_0 / 2, slope_1 - slope_0 - bend_0, bend_1 - bend_0
    cubic, quartic, quintic = 10 * a - 4 * b + c / 2, -15 * a + 7 * b - c, 6 * a - 3 * b + c / 2
    return t * (slope_0 + t * (bend_0 / 2 + t * (cubic + t * (quartic + t * quintic))))
