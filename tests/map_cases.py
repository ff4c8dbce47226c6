"""Independent evaluations of map predictions, and small map datasets, for the tests of maps."""

import numpy as np
from scipy.interpolate import interp1d

import gammajax as gj
from gammajax.datasets.sky_geometry import SkyGeom


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


def brute_force(dataset, flux, points, *, oversampling=40, frame_lonlat):
    """Counts (n_reco, ny, nx): the PSF around ``points`` [(lon, lat, weight)], averaged over points of each pixel.

    ``frame_lonlat``: the position at which the responses are taken. The profile is linear between its radii, as in the
    file, and normalised to 1 out to the last radius. No Fourier transform, no kernel, no lattice.
    """
    psf, geom = dataset.psf, dataset.geom
    profiles, rad = profile_at(psf, *frame_lonlat), np.asarray(psf.rad)
    ny, nx = geom.shape
    sub = (np.arange(oversampling) + 0.5) / oversampling - 0.5
    x, y = np.meshgrid((np.arange(nx)[:, None] + sub).ravel(), (np.arange(ny)[:, None] + sub).ravel())
    vectors = np.asarray(geom.pixel_to_vector(x, y))
    omega = np.asarray(geom.cell_solid_angle(x, y, 1 / oversampling))
    separations = [
        (np.degrees(2 * np.arcsin(np.linalg.norm(vectors - unit_vector(lon, lat), axis=-1) / 2)), weight)
        for lon, lat, weight in points
    ]
    shares = np.zeros((len(profiles), ny, nx))
    fine = np.linspace(0, rad[-1], 20001)
    for share, profile in zip(shares, profiles, strict=True):
        if not profile.max() > 0:
            continue
        line = interp1d(rad, profile, fill_value="extrapolate")
        total = np.trapezoid(2 * np.pi * np.radians(fine) * np.maximum(line(fine), 0), np.radians(fine))
        density = sum(
            weight * np.where(s < rad[-1], np.maximum(line(np.minimum(s, rad[-1])), 0), 0) for s, weight in separations
        )
        share[:] = (density * omega / total).reshape(ny, oversampling, nx, oversampling).sum((1, 3))
    edisp = dataset.edisp
    if edisp is None:
        matrix = np.eye(len(profiles))
    elif isinstance(edisp, gj.EDispKernel):
        matrix = np.asarray(edisp.matrix)
    else:
        column, row = (int(np.rint(c)) for c in edisp.geom.vector_to_pixel(unit_vector(*frame_lonlat)))
        matrix = np.asarray(edisp.values)[:, :, row, column]
    return np.einsum("er,eyx->ryx", matrix, shares * np.asarray(flux)[:, None, None] * np.asarray(dataset.exposure))


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
