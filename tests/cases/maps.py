"""Independent evaluations of map predictions, and small map datasets, for the tests of maps."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy.interpolate import interp1d
from scipy.stats import norm

import gammajax as gj
from gammajax.datasets.sky import SkyGeom


def unit_vector(lon, lat):
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], axis=-1)


def log_log_flux(spectrum, edges):
    """Flux in each bin by gammapy's rule: power laws between nodes, 100 a decade of the widest bin in each."""
    number = int(max(100 * np.max(np.log10(edges[1:] / edges[:-1])), 2))
    nodes = np.geomspace(edges[:-1], edges[1:], number, axis=1)
    values = np.asarray(spectrum.evaluate(nodes))
    e, y = nodes[:, :-1], values[:, :-1]
    ratio = nodes[:, 1:] / e
    index = -np.log(values[:, 1:] / y) / np.log(ratio)
    return np.sum(y * e * (ratio ** (1 - index) - 1) / (1 - index), axis=1)


def profile_at(psf, lon, lat):
    """PSF profiles (n_energy, n_rad) at a position, bilinear between pixels."""
    x, y = (float(c) for c in psf.geom.vector_to_pixel(unit_vector(lon, lat)))
    values = np.asarray(psf.values)
    i, j = (int(np.clip(np.floor(c), 0, n - 2)) for c, n in ((y, values.shape[2]), (x, values.shape[3])))
    u, v = y - i, x - j
    return (
        (1 - u) * (1 - v) * values[..., i, j]
        + (1 - u) * v * values[..., i, j + 1]
        + u * (1 - v) * values[..., i + 1, j]
        + u * v * values[..., i + 1, j + 1]
    )


def brute_force(dataset, flux, points, *, oversampling=24, far=8, frame_lonlat):
    """Counts (n_reco, ny, nx): the PSF around ``points`` [(lon, lat, weight)], at Gauss-Legendre nodes of each pixel.

    ``oversampling``: nodes a pixel and dimension within three pixels of a point, where the PSF may have a cusp;
    ``far``: elsewhere. ``frame_lonlat``: the position at which the responses are taken. The profile is linear between
    its radii, as in the file, and normalised to 1 out to the last radius. No Fourier transform, no kernel, no lattice:
    the separations of all pairs of points, sorted into the two radii that each lies between, which no energy changes.
    """
    psf, geom = dataset.psf, dataset.geom
    profiles, rad = profile_at(psf, *frame_lonlat), np.asarray(psf.rad)
    lon, lat, weight = np.array(points, float).T
    sources, last, step = unit_vector(lon, lat), rad[-1], rad[1] - rad[0]
    np.testing.assert_allclose(np.diff(rad), step, rtol=1e-6)
    ny, nx = geom.shape
    centres = np.asarray(geom.pixel_to_vector(*np.meshgrid(np.arange(nx), np.arange(ny))))
    nearest = np.degrees(np.arccos(np.clip(np.max(centres @ sources.T, axis=-1), -1, 1)))
    close = nearest < 3 * geom.pixel_size
    in_rings = np.zeros(ny * nx * len(rad))
    for nodes, chosen in ((oversampling, close), (far, (nearest < last + 2 * geom.pixel_size) & ~close)):
        at, share = (a / 2 for a in np.polynomial.legendre.leggauss(nodes))
        rows, columns = (i[:, None, None] for i in np.nonzero(chosen))
        x, y = np.broadcast_arrays(columns + at, rows + at[:, None])
        vectors = np.asarray(geom.pixel_to_vector(x, y)).reshape(-1, 3)
        omega = (np.asarray(geom.cell_solid_angle(x, y)) * share * share[:, None]).ravel()
        pixel = np.broadcast_to(rows * nx + columns, x.shape).ravel() * len(rad)
        for source, part in zip(sources, weight, strict=True):
            s = np.degrees(2 * np.arcsin(np.sqrt(np.maximum(0.5 - 0.5 * (vectors @ source), 0))))
            ring = np.clip(((s - rad[0]) / step).astype(int), 0, len(rad) - 2)
            w = np.where(s < last, part * omega, 0)
            upper = w * (s - rad[ring]) / step
            in_rings += np.bincount(pixel + ring, w - upper, len(in_rings))
            in_rings += np.bincount(pixel + ring + 1, upper, len(in_rings))
    fine = np.radians(np.linspace(0, last, 20001))
    lines = interp1d(rad, profiles, fill_value="extrapolate")(np.degrees(fine))
    totals = np.trapezoid(2 * np.pi * fine * lines, fine, axis=1)
    shapes = np.divide(profiles.T, totals, where=totals > 0, out=np.zeros_like(profiles.T))
    shares = np.moveaxis(in_rings.reshape(ny, nx, -1) @ shapes, -1, 0)
    edisp = dataset.edisp
    if edisp is None:
        matrix = np.eye(len(profiles))
    elif isinstance(edisp, gj.EDispKernel):
        matrix = np.asarray(edisp.matrix)
    else:
        column, row = (int(np.rint(c)) for c in edisp.geom.vector_to_pixel(unit_vector(*frame_lonlat)))
        matrix = np.asarray(edisp.values)[:, :, row, column]
    return np.einsum("er,eyx->ryx", matrix, shares * np.asarray(flux)[:, None, None] * np.asarray(dataset.exposure))


def gauss_rings(sigma, n):
    """Radii of ``n`` rings in a Gaussian out to 4.5 sigma, and their shares of its flux."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    u = 2.25 * (1 + nodes)
    return sigma * u, weights * u * np.exp(-u * u / 2)


def disk_rings(radius, n, edge=0.01):
    """The same of a disk whose brightness falls from 99 % to 1 % within ``edge`` of its radius on either side."""
    nodes, weights = (np.concatenate(a) for a in zip(*map(np.polynomial.legendre.leggauss, (n, 4)), strict=True))
    ends = np.array([0, 1 - 2 * edge, 1 + 2 * edge])
    middle, half = (np.repeat(a, (n, 4)) for a in ((ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2))
    u = middle + half * nodes
    return radius * u, half * weights * u * norm.sf((u - 1) / (edge / norm.ppf(0.99)))


def shell_rings(inner, outer, n):
    """The same of a shell that shines evenly between two radii, in variables in which it has no steep rims."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    angle, deep = np.pi / 4 * (1 + nodes), np.sqrt(outer**2 - inner**2) / 2
    depth = deep * (1 + nodes)
    r = np.concatenate([inner * np.sin(angle), np.sqrt(outer**2 - depth**2)])
    within = np.sqrt(outer**2 - r[:n] ** 2) - inner * np.cos(angle)
    return r, np.concatenate([weights * np.pi / 4 * r[:n] * inner * np.cos(angle) * within, weights * deep * depth**2])


def ring_points(lon, lat, rings, spacing, *, e=0.0, phi=0.0):
    """Points [(lon, lat, weight)] of a source in rings, no farther apart along them than ``spacing`` (deg)."""
    points = []
    for number, (radius, weight) in enumerate(zip(*rings, strict=True)):
        n = max(6, int(np.ceil(2 * np.pi * radius / spacing)))
        t = 2 * np.pi * (np.arange(n) / n + 0.618 * number)
        along, across = radius * np.cos(t), radius * np.sqrt(1 - e * e) * np.sin(t)
        angle = np.arctan2(across, along) * u.rad + phi * u.deg
        at = SkyCoord(lon, lat, unit="deg").directional_offset_by(angle, np.hypot(along, across) * u.deg)
        points += list(zip(at.ra.deg, at.dec.deg, np.full(n, weight / np.sum(rings[1]) / n), strict=True))
    return points


def small_map(
    *, sigma=0.06, n=30, binsz=0.05, n_energy=3, background=0.3, center=(83.63, 22.01), frame="icrs", **fields
):
    """A small map around ``center`` with a Gaussian PSF, an energy dispersion and an exposure that falls outwards."""
    geom = SkyGeom.create(center, binsz, npix=n, frame=frame)
    true, reco = np.geomspace(0.5, 20, n_energy + 2), np.geomspace(0.7, 15, n_energy + 1)
    y, x = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    fall = np.exp(-(((x - n / 2) ** 2 + (y - n / 2) ** 2) / (1.5 * n) ** 2))
    centres = np.sqrt(true[:-1] * true[1:])
    psf = (
        None
        if sigma is None
        else gj.PSFMap.from_gauss(centres, sigma * np.linspace(1.2, 0.8, len(centres)), rad=np.arange(0, 0.45, 0.003))
    )
    given = {
        "energy_true_edges": true,
        "exposure": 4e13 * fall * np.linspace(1, 2, n_energy + 1)[:, None, None],
        "psf": psf,
        "edisp": gj.EDispKernel.from_gauss(true, reco, 0.12),
        "background": background * fall * np.linspace(2, 1, n_energy)[:, None, None],
        "counts": np.zeros((n_energy, n, n)),
    }
    return gj.MapDataset(geom, reco, **(given | fields))


def source(spatial, amplitude=4e-11, index=2.3, **fields):
    return gj.SkyModel(
        gj.PowerLawSpectralModel(index=index, amplitude=amplitude), **({"name": "source"} | fields), spatial=spatial
    )


def at_pixel(dataset, x, y):
    lon, lat = dataset.geom.wcs.wcs_pix2world(x, y, 0)
    return float(lon), float(lat)


def offset_in_pixels(dataset, result):
    lon, lat = (float(result.parameters[f"source.spatial.{p}"].value) for p in ("lon_0", "lat_0"))
    return np.array(dataset.geom.wcs.wcs_world2pix(lon, lat, 0))
