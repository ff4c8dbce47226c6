"""Point spread functions on the sky: values at positions, sizes, containment, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy.integrate import quad
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import norm

from gammajax.datasets import InputError
from gammajax.datasets.irf import PSFKernel, PSFMap, RecoPSFMap
from gammajax.datasets.sky import SkyGeom
from gammajax.kernels import lonlat_to_vector

ENERGY = np.array([0.1, 1.0, 10.0])
SIGMA = np.array([0.12, 0.08, 0.05])
EDGES = np.linspace(0, 0.66, 67)
RAD = (EDGES[1:] + EDGES[:-1]) / 2
GEOM = SkyGeom.create((83.6, 22.0), binsz=0.2, npix=(5, 4))
GAUSS = PSFMap.from_gauss(ENERGY, SIGMA)

profile_at = eqx.filter_jit(lambda psf, vector, energy: psf.profile_at(vector, energy))


def on_grid(seed=0):
    """A width that grows over the grid, by random factors; and an exposure."""
    factor = np.random.default_rng(seed).uniform(0.7, 1.3, (3, 1, 4, 5))
    sigma = SIGMA[:, None, None, None] * factor
    values = np.exp(-0.5 * (RAD[:, None, None] / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    return PSFMap(GEOM, ENERGY, RAD, EDGES, values, np.ones((3, 4, 5)))


GRID = on_grid()


def at(x, y, geom=GEOM):
    return geom.pixel_to_vector(np.asarray(float(x)), np.asarray(float(y)))


def test_units_are_converted():
    psf = PSFMap(
        None,
        ENERGY * 1e3 * u.GeV,
        RAD * 60 * u.arcmin,
        np.radians(EDGES) * u.rad,
        np.ones((3, 66, 1, 1)) / u.deg**2,
        np.ones((3, 1, 1)) * u.Unit("m2 s"),
    )
    for found, wanted in ((psf.energy, ENERGY), (psf.rad, RAD), (psf.rad_edges, EDGES)):
        np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-17)
    np.testing.assert_allclose(psf.values, (180 / np.pi) ** 2, rtol=1e-14)
    np.testing.assert_array_equal(psf.exposure, 1e4)
    with pytest.raises(InputError, match="PSFMap values: found unit 'TeV"):
        PSFMap(None, ENERGY, RAD, EDGES, np.ones((3, 66, 1, 1)) * u.TeV)


def test_edges_lie_halfway():
    psf = PSFMap(None, ENERGY, [0.0, 0.1, 0.3], None, np.ones((3, 3, 1, 1)))
    np.testing.assert_allclose(psf.rad_edges, [0, 0.05, 0.2, 0.4], atol=1e-15)
    psf = PSFMap(None, ENERGY, RAD, None, np.ones((3, 66, 1, 1)))
    np.testing.assert_allclose(psf.rad_edges, EDGES, atol=1e-14)


def test_gaussian():
    np.testing.assert_allclose(GAUSS.rad_edges, np.arange(81) * 0.05 / 6, atol=1e-13)
    for width, rows in zip(SIGMA, np.asarray(GAUSS.values)[..., 0, 0], strict=True):
        wanted = norm.pdf(GAUSS.rad, 0, width) / np.sqrt(2 * np.pi) / width * np.degrees(1) ** 2
        np.testing.assert_allclose(rows, wanted, rtol=1e-12)
    assert GAUSS.geom is None and GAUSS.energy_axis == "energy_true" and RecoPSFMap.energy_axis == "energy"
    wide = PSFMap.from_gauss(1 * u.TeV, 30 * u.arcmin)
    assert wide.values.shape == (1, 275, 1, 1) and abs(wide.rad_edges[-1] - 2.75) < 1e-12
    given = PSFMap.from_gauss(ENERGY, 0.1, rad=[0.0, 0.1, 0.3] * u.deg, geom=GEOM)
    assert given.values.shape == (3, 2, 4, 5) and isinstance(RecoPSFMap.from_gauss(ENERGY, 0.1), RecoPSFMap)


def test_containment_of_a_gaussian():
    found = GAUSS.containment([0.0, 0.05, 0.2, 5.0], ENERGY * u.TeV)
    assert found.shape == (3, 4)
    wanted = 1 - np.exp(-0.5 * (np.array([0.0, 0.05, 0.2, 5.0]) / SIGMA[:, None]) ** 2)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    for share in (0.5, 0.68, 0.95):
        radius = GAUSS.containment_radius(share, ENERGY)
        assert radius.unit == "deg"
        np.testing.assert_allclose(radius.value, SIGMA * np.sqrt(-2 * np.log(1 - share)), atol=2.2e-4)
    np.testing.assert_allclose(GAUSS.containment(12 * u.arcmin, 1.0), found[1:2, 2:3], rtol=1e-14)


@pytest.mark.parametrize("radius", [0.004, 0.05, 0.11, 0.3])
@pytest.mark.parametrize("kind", ["multi", "king", "exponential"])
def test_containment_is_that_of_the_formula(kind, radius):
    """Of tables in bins of 0.01 deg: a sum of Gaussians as for CTA, a King profile, a cusp; against quadrature."""

    def value(r):
        if kind == "multi":
            return sum(w / s**2 * np.exp(-0.5 * (r / s) ** 2) for w, s in ((0.6, 0.036), (0.3, 0.06), (0.1, 0.12)))
        if kind == "king":
            return (1 + (r / 0.04) ** 2 / 5) ** -2.5
        return np.exp(-r / 0.03)

    last = EDGES[-1]
    psf = PSFMap(None, [1.0], RAD, EDGES, value(np.asarray(RAD))[None, :, None, None])
    part, whole = (quad(lambda r: value(r) * r, 0, end, limit=200)[0] for end in (radius, last))
    np.testing.assert_allclose(psf.containment(radius, 1.0), [[part / whole]], rtol=1e-3 if radius > 0.01 else 6e-2)
    assert psf.containment(5.0, 1.0) == 1 and psf.containment(0.0, 1.0) == 0
    found = float(psf.containment_radius(0.68, 1.0).value[0])
    assert abs(quad(lambda r: value(r) * r, 0, found, limit=200)[0] / whole - 0.68) < 4e-3


def test_containment_at_a_position():
    position = SkyCoord(*np.degrees([np.arctan2(*at(3, 1)[[1, 0]]), np.arcsin(at(3, 1)[2])]), unit="deg")
    alone = PSFMap(None, ENERGY, RAD, EDGES, np.asarray(GRID.values)[..., 1:2, 3:4])
    for convert in (position, position.galactic):
        np.testing.assert_allclose(GRID.containment(0.1, ENERGY, convert), alone.containment(0.1, ENERGY), rtol=1e-9)
    middle = np.asarray(GRID.values)[..., 1:3, 2].mean(axis=-1)[..., None, None]
    np.testing.assert_allclose(
        GRID.containment_radius(0.68, ENERGY),
        PSFMap(None, ENERGY, RAD, EDGES, middle).containment_radius(0.68, ENERGY),
        rtol=1e-12,
    )


def test_profiles_between_positions_and_energies():
    """Bilinear in pixels, linear in ln E, constant beyond the energies."""
    line = RegularGridInterpolator(
        (np.log(ENERGY), np.arange(4), np.arange(5)), np.moveaxis(np.asarray(GRID.values), 1, -1)
    )
    energy = np.array([0.01, 0.1, 0.3, 1.0, 7.0, 10.0, 200.0])
    for x, y in ((2.0, 1.0), (0.3, 2.6), (3.99, 0.01)):
        wanted = line([(np.log(e), y, x) for e in np.clip(energy, 0.1, 10)])
        np.testing.assert_allclose(profile_at(GRID, at(x, y), energy), wanted, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(GRID.profile_at(jnp.asarray(at(x, y)), energy), wanted, rtol=1e-7, atol=1e-12)
    vectors = np.stack([at(0.3, 2.6), at(2, 1)])
    batch = eqx.filter_jit(jax.vmap(lambda v: GRID.profile_at(v, energy)))(vectors)
    # a pixel number rounded at 1e-15 lets 1e-16 of the neighbours into the tails
    np.testing.assert_allclose(
        batch[1], profile_at(GRID, vectors[1], energy), rtol=1e-13, atol=1e-15 * GRID.values.max()
    )
    one = PSFMap.from_gauss(3.0, 0.1)
    np.testing.assert_array_equal(
        profile_at(one, at(0, 0), energy), np.repeat(np.asarray(one.values)[:, :, 0, 0], 7, 0)
    )


def test_profiles_where_there_is_no_exposure():
    """Those of the nearest pixel that has one; off the projection, of the one nearest to the middle."""
    values = np.array(GRID.values)
    values[..., :2] = 0
    values[:, :, 3, 2] = 0
    psf = PSFMap(GEOM, ENERGY, RAD, EDGES, values)
    for (x, y), (i, j) in {(0.2, 1.3): (2, 1), (-30.0, -7.0): (2, 0), (2.2, 3.3): (3, 3)}.items():
        np.testing.assert_allclose(profile_at(psf, at(x, y), ENERGY), values[..., j, i], rtol=1e-9)
    found = profile_at(psf, -at(2, 1.5), ENERGY)
    assert np.any([np.allclose(found, values[..., j, 2]) for j in (1, 2)])
    # none anywhere: zeros, on and off the grid
    empty = PSFMap(GEOM, ENERGY, RAD, EDGES, 0 * values)
    for vector in (at(2, 1), -at(2, 1)):
        assert not np.any(profile_at(empty, vector, ENERGY))


def test_slopes_in_the_position():
    energy = np.array([0.5, 2.0])

    def one(lon, lat, psf=GRID):
        return psf.profile_at(lonlat_to_vector(lon, lat), energy)

    slopes = jax.jit(jax.jacfwd(one, argnums=(0, 1)))(83.65, 22.03)
    jitted, h = jax.jit(one), 1e-5
    for found, (dx, dy) in zip(slopes, ((h, 0), (0, h)), strict=True):
        wanted = (jitted(83.65 + dx, 22.03 + dy) - jitted(83.65 - dx, 22.03 - dy)) / (2 * h)
        np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())
    # off the projection, and where nothing is: zeros, and not NaN
    values = np.array(GRID.values)
    values[..., :2] = 0
    psf = PSFMap(GEOM, ENERGY, RAD, EDGES, values)
    edges = jax.jit(lambda lon, lat: jax.jacrev(one, argnums=(0, 1))(lon, lat, psf))
    for lon, lat in ((263.6, -22.0), (170.0, -60.0), (84.1, 22.0)):
        assert not np.any(np.asarray(edges(jnp.asarray(lon), jnp.asarray(lat))))


def test_slopes_in_the_values():
    """Of a containment, through equinox.tree_at: finite and right, also where planes are empty."""
    values = np.array(GRID.values)
    values[0] = 0
    direction = np.random.default_rng(3).random(values.shape) * values

    @jax.jit
    def one(t):
        psf = eqx.tree_at(lambda p: p.values, GRID, jnp.asarray(values) + t * direction)
        return psf.profile_at(at(2.2, 1.4), jnp.asarray([0.1, 1.0]))

    slope = jax.jit(jax.jacfwd(one))(0.0)
    np.testing.assert_allclose(slope, (one(1e-3) - one(-1e-3)) / 2e-3, rtol=1e-9, atol=1e-12)
    assert not np.any(slope[0])


def _brute_sizes(psf):
    """Radii of 99.9 % and 68 %, one profile after the other: the widest, and the narrowest."""
    values, rad, edges = np.asarray(psf.values), np.radians(psf.rad), np.asarray(psf.rad_edges)
    reach, core = [], []
    for e, y, x in np.ndindex(values.shape[0], *values.shape[2:]):
        inside = np.cumsum(values[e, :, y, x] * 2 * np.pi * rad * np.radians(np.diff(edges)))
        inside = np.concatenate([[0], inside])
        if inside[-1] > 0:
            beyond = np.nonzero(inside >= 0.999)[0]
            reach.append(edges[beyond[0]] if beyond.size else edges[-1])
            core.append(np.interp(0.68 * inside[-1], inside, edges))
    return max(reach), min(core)


def narrow(factor=1.0, length=66):
    return PSFMap(None, ENERGY, RAD[:length], EDGES[: length + 1], factor * np.asarray(GRID.values)[:, :length, :1, :1])


@pytest.mark.parametrize(
    "psf", [GAUSS, GRID, narrow(), narrow(0.5), narrow(3.0), narrow(1.0, 9), PSFMap.from_gauss(1.0, 0.003)]
)
def test_sizes_are_bounds(psf):
    """The reach from above, at most a quarter of an octave; the core from below, at most half of one. With profiles
    that never reach 99.9 %, reach it twice, or end early."""
    reach, core = _brute_sizes(psf)
    assert reach * (1 - 1e-9) <= psf.reach < reach * 2**0.2501 and core * 2**-0.5001 < psf.core <= core * (1 + 1e-9)
    assert isinstance(psf.reach, float) and isinstance(psf.core, float)
    assert abs(np.log2(psf.reach) * 4 % 1) < 1e-9 or abs(np.log2(psf.reach) * 4 % 1 - 1) < 1e-9


def test_sizes_of_nothing():
    empty = PSFMap(None, ENERGY, RAD, EDGES, np.zeros((3, 66, 1, 1)))
    assert empty.reach == EDGES[-1] and empty.core == EDGES[1]
    # empty planes and pixels do not count
    values = np.array(GRID.values)
    values[0] = values[..., 0] = 0
    kept = PSFMap(None, ENERGY[1:], RAD, EDGES, values[1:, :, :1, 1:2])
    part = np.zeros((3, 66, 1, 1))
    part[1:] = np.asarray(kept.values)
    whole = PSFMap(None, ENERGY, RAD, EDGES, part)
    assert (whole.reach, whole.core) == (kept.reach, kept.core)
    # all in the first bin
    spike = np.zeros((3, 66, 1, 1))
    spike[:, 0] = 1e8
    spike = PSFMap(None, ENERGY, RAD, EDGES, spike)
    assert 0.004 < spike.core < 0.01 <= spike.reach < 0.012


def test_similar_functions_share_programs():
    same = PSFMap.from_gauss(ENERGY, 0.1), PSFMap.from_gauss(ENERGY, 0.1004)
    assert len({jax.tree_util.tree_structure(p) for p in same}) == 1


ARGUMENTS = {"geom": None, "energy": ENERGY, "rad": RAD, "rad_edges": EDGES, "values": np.ones((3, 66, 1, 1))}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"values": np.ones((3, 65, 1, 1))}, r"shape \(3, 65, 1, 1\), expected \(3, 66, 1, 1\)"),
        ({"geom": GEOM}, r"expected \(3, 66, 4, 5\)"),
        ({"rad_edges": EDGES[:-1]}, "found 66 rad_edges for 66 radii"),
        ({"rad": [0.1], "rad_edges": [0.0, 0.2], "values": np.ones((3, 1, 1, 1))}, "at least two radii"),
        ({"rad": [0.1], "rad_edges": None, "values": np.ones((3, 1, 1, 1))}, "at least two radii"),
        ({"values": np.where(np.arange(66)[:, None, None] == 7, np.nan, np.ones((3, 66, 1, 1)))}, "first.*0, 7, 0, 0"),
        ({"values": np.full((3, 66, 1, 1), np.inf)}, "must be finite, found 198"),
        ({"rad": RAD[::-1]}, "rad must be at least 0, finite and increasing"),
        ({"rad_edges": EDGES - 0.1}, "rad_edges must be at least 0"),
        ({"rad_edges": np.zeros(67)}, "increasing"),
        ({"energy": [1.0, 0.5, 3.0]}, "energy must be positive, finite and increasing"),
        ({"energy": [0.0, 1.0, 3.0]}, "energy must be positive"),
        ({"energy": ENERGY * u.deg}, "PSFMap energy: found unit 'deg'"),
        ({"exposure": np.ones((2, 1, 1))}, r"exposure has shape \(2, 1, 1\), expected \(3, 1, 1\)"),
    ],
)
def test_what_is_refused(changes, match):
    with pytest.raises(InputError, match=match):
        PSFMap(**(ARGUMENTS | changes))
    if "energy" not in changes:
        with pytest.raises(InputError, match="PSFMap"):
            RecoPSFMap(**(ARGUMENTS | changes))


def test_made_in_a_program():
    with pytest.raises(InputError, match="outside of jit"):
        jax.jit(lambda v: PSFMap(None, ENERGY, RAD, EDGES, v).values)(np.ones((3, 66, 1, 1)))
    for sigma in (0.0, -0.1, np.nan):
        with pytest.raises(InputError, match="sigma must be positive"):
            PSFMap.from_gauss(ENERGY, sigma)
        with pytest.raises(InputError, match="sigma must be positive"):
            PSFKernel.from_gauss(GEOM, ENERGY, sigma)


def test_kernels():
    values = np.random.default_rng(1).random((2, 5, 5))
    np.testing.assert_allclose(PSFKernel(values).values, values / values.sum((1, 2), keepdims=True), rtol=1e-14)
    np.testing.assert_array_equal(PSFKernel(values, normalize=False).values, values)
    empty = PSFKernel(np.zeros((1, 3, 3))).values
    np.testing.assert_array_equal(empty, 0)
    inside = jax.jit(lambda v: PSFKernel(v).values)(values)  # as it is, in a program
    np.testing.assert_array_equal(inside, values)
    for bad, match in (
        (np.ones((5, 5)), "n odd"),
        (np.ones((2, 4, 4)), "n odd"),
        (np.ones((2, 3, 5)), "n odd"),
        (-values, "not negative"),
        (np.full((1, 3, 3), np.nan), "finite"),
    ):
        with pytest.raises(InputError, match=match):
            PSFKernel(bad)


def test_gaussian_kernels():
    """Integrals over pixels of 0.2 deg, out to 5 sigma or a radius."""
    edges = np.geomspace(0.1, 10, 3)
    kernel = np.asarray(PSFKernel.from_gauss(GEOM, edges, [0.1, 0.3] * u.deg).values)
    n = kernel.shape[-1]
    assert n == 15  # odd, and 2 * 5 * 0.3 / 0.2
    for plane, sigma in zip(kernel, (0.1, 0.3), strict=True):
        line = np.diff(norm.cdf((np.arange(n + 1) - n / 2) * 0.2, 0, sigma))
        np.testing.assert_allclose(plane, line[:, None] * line / line.sum() ** 2, rtol=1e-9, atol=1e-15)
    cut = PSFKernel.from_gauss(GEOM, edges, 0.3, max_radius=0.5 * u.deg)
    assert cut.values.shape == (2, 5, 5) and abs(np.asarray(cut.values)[0].sum() - 1) < 1e-14
