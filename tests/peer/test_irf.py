"""Images of the sky and reduced responses beside gammapy's, from the same arrays.

gammapy keeps maps in single precision, which is what most tolerances are.
"""

import warnings

import astropy.units as u
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.irf")
    from gammapy.maps import Map, MapAxis, WcsGeom
    from regions import CircleSkyRegion

from gammajax.datasets.irf import EDispKernel, EDispKernelMap, EDispMap, PSFKernel, PSFMap, matrix_at
from gammajax.datasets.sky import SkyGeom
from gammajax.kernels import lonlat_to_vector
from gammajax.kernels import psf as kernels

pytestmark = pytest.mark.filterwarnings("ignore")

TRUE = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", nbin=6, name="energy_true")
RECO = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=9)
RAD = MapAxis.from_bounds(0, 0.66, nbin=66, unit="deg", name="rad")
MIGRA = MapAxis.from_bounds(0.2, 5, nbin=160, node_type="edges", name="migra")
CENTER = SkyCoord(83.63, 22.01, unit="deg")
COARSE = WcsGeom.create(skydir=CENTER, binsz=0.5, npix=(5, 4), proj="TAN")
EMPTY = (slice(None), slice(None), slice(None), slice(0, 2))
"""Pixels without a response, on the left."""

pixel_kernel = jax.jit(kernels.pixel_kernel, static_argnames=("size", "tangent"))
matrix = eqx.filter_jit(lambda edisp, vector: matrix_at(edisp, vector, TRUE.edges.value, RECO.edges.value))


def ours(geom):
    image = geom.to_image()
    return SkyGeom.from_wcs(image.wcs, image.data_shape)


def vector(position):
    sky = position.icrs
    return lonlat_to_vector(sky.ra.deg, sky.dec.deg)


def at(x, y):
    return COARSE.pix_to_coord((np.array([x]), np.array([y])))


def position(x, y):
    lon, lat = at(x, y)
    return SkyCoord(lon[0], lat[0])


@pytest.mark.parametrize(
    ("proj", "frame", "binsz", "width"),
    [
        ("TAN", "icrs", 0.05, (3, 2)),
        ("CAR", "galactic", (0.05, 0.1), (3, 2)),
        ("SIN", "icrs", 0.02, (1, 1)),
        ("STG", "galactic", 0.5, (20, 30)),
        ("MOL", "galactic", 0.1, (4, 4)),
        ("AIT", "galactic", 3.0, (360, 180)),
        ("CAR", "icrs", 2.0, (360, 180)),
    ],
)
def test_pixels(proj, frame, binsz, width):
    """The same directions, pixels, and solid angles, also where there is no sky."""
    whole = width[0] == 360
    skydir = SkyCoord(0, 0, unit="deg", frame=frame) if whole else CENTER
    geom = WcsGeom.create(skydir=skydir, binsz=binsz, width=width, proj=proj, frame=frame)
    made = SkyGeom.create(skydir, binsz=binsz, width=width, proj=proj, frame=frame)
    assert made.shape == geom.data_shape and made.is_same(ours(geom)) and made.frame == geom.frame
    sky = geom.get_coord().skycoord
    on_sky = np.isfinite(sky.data.lon)
    x, y = made.pixel_grid
    found = made.pixel_to_vector(x, y)
    np.testing.assert_array_equal(np.isfinite(found[..., 0]), on_sky)
    sky = SkyCoord(sky.data.lon[on_sky], sky.data.lat[on_sky], frame=frame)
    np.testing.assert_allclose(found[on_sky], vector(sky), atol=2e-12)
    back = made.vector_to_pixel(vector(sky))
    np.testing.assert_allclose(back, geom.coord_to_pix(sky), atol=1e-7)
    omega, wanted = made.solid_angle, geom.solid_angle().to_value("sr")
    both = np.isfinite(omega) & np.isfinite(wanted)
    # the pixels across the rim are NaN in both, but for rounding
    assert np.mean(np.isfinite(omega) != np.isfinite(wanted)) < 0.01
    # theirs are plane triangles with the sides and angles of the sphere: both err by the squared size of a pixel
    if proj == "AIT":
        # pixels of one area, and sheared: theirs are farther from it
        errors = [np.abs(a[both] / np.radians(binsz) ** 2 - 1) for a in (omega, wanted)]
        assert np.median(errors[0]) < 1e-3 < np.median(errors[1]) and errors[0].mean() < errors[1].mean() / 3
    else:
        np.testing.assert_allclose(omega[both], wanted[both], rtol=3e-4 * np.max(binsz) ** 2 + 1e-10)
    region = CircleSkyRegion(skydir, 0.4 * width[1] / 2 * u.deg)
    if not whole:
        np.testing.assert_array_equal(made.region_mask(region), geom.region_mask([region]).data)


def peer_psf(axis=TRUE):
    """Widths that change with energy and position."""
    factor = np.random.default_rng(0).uniform(0.8, 1.2, (1, 1, 4, 5))
    sigma = np.geomspace(0.12, 0.05, axis.nbin)[:, None, None, None] * factor
    values = np.exp(-0.5 * (RAD.center.value[:, None, None] / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    geom = COARSE.to_cube([RAD, axis])
    return peer.PSFMap(Map.from_geom(geom, data=values, unit="sr-1"), None)


PEER_PSF = peer_psf()


def our_psf(psf):
    data = psf.psf_map.data
    return PSFMap(ours(psf.psf_map.geom), TRUE.center, RAD.center, RAD.edges, np.asarray(data, float))


PSF = our_psf(PEER_PSF)
POSITIONS = [(2.0, 1.5), (0.3, 2.7), (3.9, 0.2), (-0.4, 3.4)]


@pytest.mark.parametrize(("x", "y"), POSITIONS)
def test_containment(x, y):
    """Between pixels, up to half a pixel beyond the outermost centres, at and between energies; the radius in deg.

    gammapy's are sums over bins, by which sizes of kernels go here too; `PSFMap.containment` is an integral.
    """
    where = position(x, y)
    rad = np.array([0.0, 0.004, 0.05, 0.1234, 0.3, 0.655])
    energy = np.array([0.5, 1.0, 3.3, 20.0])
    wanted = PEER_PSF.containment(rad[None, :] * u.deg, energy[:, None] * u.TeV, where)
    profile = PSF.profile_at(jnp.asarray(vector(where)), jnp.asarray(energy))
    edges, centres = (jnp.asarray(axis) for axis in (PSF.rad_edges, PSF.rad))
    sums = kernels.interpolate_axis(kernels.containment(profile, centres, edges), edges, jnp.asarray(rad), axis=-1)
    np.testing.assert_allclose(sums, wanted, rtol=2e-6, atol=1e-7)
    found = PSF.containment(rad, energy, where)
    assert np.all((found >= 0) & (found <= 1))
    # beyond the outermost centres profiles that go on straight cross zero
    if min(x, y) >= 0 and max(x, y) < 3:
        np.testing.assert_allclose(found, wanted, atol=4.5e-3)
    for share in (0.68, 0.95):
        wanted = PEER_PSF.containment_radius(share, energy * u.TeV, where)
        found = u.Quantity(np.asarray(kernels.containment_radius(profile, centres, edges, share)), "deg")
        # a twentieth of a bin apart where two of the radii are as good
        np.testing.assert_allclose(found.to_value("deg"), wanted.to_value("deg"), atol=5.1e-4)
        assert np.sum(np.abs(found - wanted) > 1e-9 * u.deg) <= 1


def test_containment_of_empty_pixels_and_gaussians():
    """There it is 0 in gammapy; ours is that of the nearest pixel with a response. Gaussians are made the same way."""
    psf = peer_psf()
    psf.psf_map.data[EMPTY] = 0
    where = position(0.0, 1.0)
    assert psf.containment(0.2 * u.deg, 1 * u.TeV, where) == 0
    wanted = psf.containment(0.2 * u.deg, 1 * u.TeV, position(2.0, 1.0))
    np.testing.assert_allclose(our_psf(psf).containment(0.2, 1.0, where)[0], wanted, rtol=4e-3)
    sigma = np.linspace(0.05, 0.1, 6) * u.deg
    gauss = peer.PSFMap.from_gauss(TRUE, RAD, sigma)
    made = PSFMap.from_gauss(TRUE.center, sigma, rad=RAD.edges)
    np.testing.assert_allclose(gauss.psf_map.quantity.to_value("sr-1")[..., 0, 0], made.values[..., 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("x", "y"), POSITIONS[:3])
@pytest.mark.parametrize("proj", ["TAN", "CAR"])
@pytest.mark.parametrize("binsz", [0.02, 0.1])
def test_kernels(x, y, proj, binsz):
    """Sizes, oversampling from 1 to 4, values: as predictions with ``source_grid="pixel"`` take them."""
    where = position(x, y)
    image = WcsGeom.create(skydir=CENTER, binsz=binsz, width=3, proj=proj, axes=[TRUE])
    wanted = PEER_PSF.get_psf_kernel(image, position=where).data
    profile = PSF.profile_at(jnp.asarray(vector(where)), TRUE.center.value)
    radius, half = (
        np.asarray(kernels.containment_radius(profile, jnp.asarray(PSF.rad), jnp.asarray(PSF.rad_edges), share))
        for share in (0.999, 0.68)
    )
    widths = np.asarray(kernels.odd_width(2 * radius / binsz))
    size = int(widths.max())
    factors = np.minimum(np.ceil(12 / (2 * half / binsz)), 4)
    assert wanted.shape == (6, size, size) and size * binsz <= 2 * PSF.reach + 2 * binsz
    found = np.asarray(pixel_kernel(profile, PSF.rad, widths, factors, binsz, size=size, tangent=proj == "TAN"))
    # CAR is oblique: its pixels are square, and their distances separations, up to the squared size of the kernel
    np.testing.assert_allclose(found, wanted, atol=(3e-6 if proj == "TAN" else 1e-4) * wanted.max())
    np.testing.assert_array_equal(found.sum(axis=(1, 2)).round(12), 1)


def test_gaussian_kernels():
    """Theirs are means over four points squared a pixel; ours are integrals."""
    image = WcsGeom.create(skydir=CENTER, binsz=0.05, width=3, axes=[TRUE])
    for sigma in (0.1, 0.2):
        wanted = peer.PSFKernel.from_gauss(image, sigma * u.deg).data
        found = np.asarray(PSFKernel.from_gauss(ours(image), TRUE.edges, sigma).values)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=2e-3 * wanted.max())


def test_kernels_of_the_dispersion():
    """The matrix of the nearest pixel; of the nearest with one where it is empty."""
    values = np.random.default_rng(1).dirichlet(np.ones(9), (6, 4, 5)).transpose(0, 3, 1, 2)
    values[EMPTY] = 0
    geom = COARSE.to_cube([RECO, TRUE])
    theirs = peer.EDispKernelMap(Map.from_geom(geom, data=values), None)
    edisp = EDispKernelMap(ours(COARSE), values)
    for x, y in ((2.4, 1.4), (4.3, 3.3), (2.6, -0.3), (0.2, 1.1), (1.3, 2.8)):
        wanted = theirs.get_edisp_kernel(position(x, y)).pdf_matrix
        np.testing.assert_allclose(matrix(edisp, vector(position(x, y))), wanted, atol=1e-7)


@pytest.mark.parametrize(("sigma", "bias"), [(0.3, 0.0), (0.15, 0.1)])
def test_migrations(sigma, bias):
    sigmas = np.linspace(0.8, 1.2, 20).reshape(4, 5) * sigma
    density = (
        np.exp(-0.5 * ((MIGRA.center.value[:, None, None] - 1 - bias) / sigmas) ** 2) / np.sqrt(2 * np.pi) / sigmas
    )
    geom = COARSE.to_cube([MIGRA, TRUE])
    values = np.broadcast_to(density, geom.data_shape)
    theirs = peer.EDispMap(Map.from_geom(geom, data=values), None)
    edisp = EDispMap(ours(COARSE), TRUE.edges, MIGRA.edges, values)
    for x, y in ((2.4, 1.4), (0.2, 3.1)):
        wanted = theirs.get_edisp_kernel(RECO, position=position(x, y)).pdf_matrix
        np.testing.assert_allclose(matrix(edisp, vector(position(x, y))), wanted, atol=1e-6)
    kernels_of = theirs.to_edisp_kernel_map(RECO)
    made = edisp.to_kernel_map(RECO.edges)
    np.testing.assert_allclose(made.values, kernels_of.edisp_map.data, atol=1e-6)


def test_gaussian_dispersions():
    """By way of migration bins of 0.013, with their tails below 1e-6 cut off, in gammapy; ours is exact."""
    theirs = peer.EDispKernelMap.from_gauss(RECO, TRUE, sigma=0.2, bias=0.05).get_edisp_kernel().pdf_matrix
    exact = matrix(EDispKernelMap.from_gauss(TRUE.edges, RECO.edges, 0.2, 0.05), vector(CENTER))
    np.testing.assert_allclose(exact, theirs, atol=5e-4)
    # with the same bins, and what is beyond them shared out
    migra = np.linspace(1 / 3, 3, 201)
    table = EDispMap.from_gauss(TRUE.edges, migra, 0.2, 0.05)
    inside = np.sum(np.asarray(table.values)[0, :, 0, 0] * np.diff(migra))
    assert 1e-4 < 1 - inside < 2e-4
    np.testing.assert_allclose(np.asarray(matrix(table, vector(CENTER))) / inside, theirs, atol=1e-5)
    perfect = peer.EDispKernelMap.from_diagonal_response(RECO, TRUE).get_edisp_kernel().pdf_matrix
    np.testing.assert_allclose(matrix(None, vector(CENTER)), perfect, atol=1e-7)


def test_bias_resolution_and_perfect_maps():
    theirs = peer.EDispKernel.from_gauss(energy_axis_true=TRUE, energy_axis=RECO, sigma=0.15, bias=0.1)
    ours = EDispKernel(theirs.pdf_matrix)
    at = TRUE.center
    edges = TRUE.edges, RECO.edges
    np.testing.assert_allclose(ours.get_bias(*edges), theirs.get_bias(at), rtol=1e-6)
    # its own sum over several energies at once mixes up their axes
    wanted = [float(theirs.get_resolution(u.Quantity([e]))[0]) for e in at]
    np.testing.assert_allclose(ours.get_resolution(*edges), wanted, rtol=1e-6)
    axis = MapAxis.from_edges(np.linspace(0.5, 1.6, 12), name="migra")
    for migra in (None, axis):
        perfect = peer.EDispMap.from_diagonal_response(TRUE, migra)
        found = EDispMap.from_diagonal_response(TRUE.edges, None if migra is None else migra.edges.value)
        density = perfect.edisp_map.data[..., 0, 0]
        # single precision of the largest
        np.testing.assert_allclose(found.values[..., 0, 0], density, rtol=1e-5, atol=1e-7 * float(density.max()))
        kernel = perfect.get_edisp_kernel(RECO, position=SkyCoord(0, 0, unit="deg"))
        made = matrix(found, vector(SkyCoord(0, 0, unit="deg")))
        np.testing.assert_allclose(made, kernel.pdf_matrix, atol=1e-6)
