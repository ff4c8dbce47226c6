"""Average responses: weights, masks, forms."""

import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets import InputError
from gammajax.datasets.irf import response_grid

EDGES = np.array([1.0, 2, 4, 8])
TRUE = np.sqrt(EDGES[:-1] * EDGES[1:])
GEOM = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=4)
GRID = gj.SkyGeom.create((83.0, 22.0), 0.2, npix=2)
RAD = np.linspace(0, 0.5, 6)


def run(rng=None, exposure=1.0, **fields):
    """A map dataset of 3 x 4 x 4 bins."""
    exposure = exposure if np.ndim(exposure) == 3 else np.full((3, 4, 4), exposure)
    return gj.MapDataset(GEOM, EDGES, counts=np.ones((3, 4, 4)), exposure=exposure, **fields)


def blocks(image):
    """Means of two by two pixels: those of the grid."""
    return image.reshape(-1, 2, 2, 2, 2).mean((2, 4))


def psf(seed, geom=GRID, exposure=True, kind=gj.PSFMap, energy=TRUE, rad=RAD):
    rng = np.random.default_rng(seed)
    shape = (1, 1) if geom is None else geom.shape
    values = rng.uniform(1, 2, (3, len(rad) - 1, *shape))
    given = rng.uniform(1, 3, (3, *shape)) if exposure else None
    return kind(geom, energy, (rad[1:] + rad[:-1]) / 2, rad, values, given)


def matrices(seed, geom=GRID, exposure=True):
    rng = np.random.default_rng(seed)
    shape = (1, 1) if geom is None else geom.shape
    values = np.moveaxis(rng.dirichlet(np.ones(3), (3, *shape)), -1, 1)
    return gj.EDispKernelMap(geom, values, rng.uniform(1, 3, (3, *shape)) if exposure else None)


def migrations(seed, sigma=0.2, geom=GRID, edges=None):
    edges = np.linspace(0.2, 3, 60) if edges is None else edges
    one = gj.EDispMap.from_gauss(EDGES, edges, sigma)
    values = np.broadcast_to(np.asarray(one.values), (*np.shape(one.values)[:2], 2, 2))
    return gj.EDispMap(geom, EDGES, edges, values, np.random.default_rng(seed).uniform(1, 3, (3, 2, 2)))


def test_spectrum_worked_example():
    a = gj.SpectrumDataset(EDGES, exposure=[1, 2, 3])
    matrix = [[0.8, 0.2, 0], [0.1, 0.8, 0.1], [0, 0.3, 0.7]]
    b = gj.SpectrumDataset(EDGES, exposure=[4, 5, 6], edisp=matrix, mask_safe=[0, 1, 1])
    expected = [[0.2, 0.16, 0], [0, 6 / 7, 1 / 14], [0, 0.2, 0.8]]
    np.testing.assert_allclose(a.stack(b).edisp.matrix, expected, rtol=1e-15)
    np.testing.assert_allclose(b.stack(a).edisp.matrix, expected, rtol=1e-15)


def test_spectra_keep_what_needs_no_average():
    perfect = gj.SpectrumDataset(EDGES, exposure=[1, 2, 0])
    assert perfect.stack(perfect).edisp is None
    # bins that one of them loses
    lossy = perfect.stack(perfect.with_mask_safe([0, 1, 1])).edisp
    np.testing.assert_allclose(lossy.matrix, np.diag([0.5, 1, 0]))
    kernel = gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2)
    blind = gj.SpectrumDataset(EDGES, edisp=kernel)
    assert blind.stack(blind).edisp is kernel
    with pytest.raises(InputError, match="dataset 'self' has no exposure, with which its response would have to be"):
        blind.stack(gj.SpectrumDataset(EDGES, edisp=np.eye(3)))


def test_maps_are_weighted_with_their_own_exposure():
    a, b = psf(0), psf(1)
    found = run(psf=a).stack(run(psf=b)).psf
    weights = [irf.exposure[:, None] for irf in (a, b)]
    np.testing.assert_allclose(found.values, (weights[0] * a.values + weights[1] * b.values) / sum(weights), rtol=1e-14)
    np.testing.assert_allclose(found.exposure, a.exposure + b.exposure, rtol=1e-15)
    c, d = matrices(2), matrices(3)
    found = run(edisp=c).stack(run(edisp=d)).edisp
    weights = [irf.exposure[:, None] for irf in (c, d)]
    np.testing.assert_allclose(found.values, (weights[0] * c.values + weights[1] * d.values) / sum(weights), rtol=1e-14)


def test_without_an_own_exposure_that_of_the_dataset_counts():
    exposure = np.random.default_rng(4).uniform(1, 3, (3, 4, 4))
    bare, b = psf(0, exposure=False), psf(1)
    found = run(exposure=exposure, psf=bare).stack(run(psf=b)).psf
    # the mean of the pixels that take their response there
    weight = blocks(exposure)[:, None]
    expected = (weight * bare.values + b.exposure[:, None] * b.values) / (weight + b.exposure[:, None])
    np.testing.assert_allclose(found.values, expected, rtol=1e-14)
    # at other energies than the dataset's: interpolated in ln E
    odd = psf(0, exposure=False, energy=TRUE[:2].mean() * np.array([1, 2, 3.0]))
    slope = np.broadcast_to(np.log(TRUE)[:, None, None], (3, 4, 4)) + 1
    found = run(exposure=slope, psf=odd).stack(run(exposure=slope, psf=odd.__class__(
        GRID, odd.energy, odd.rad, odd.rad_edges, 2 * odd.values))).psf  # fmt: skip
    np.testing.assert_allclose(found.values, 1.5 * odd.values, rtol=1e-14)
    wanted = 2 * (1 + np.log(np.minimum(odd.energy, TRUE[-1])))
    np.testing.assert_allclose(found.exposure[:, 0, 0], wanted, rtol=1e-12)


def test_safe_masks_weight():
    """A pixel of a response is used if any of the dataset's pixels that take their response there is safe."""
    mask = np.zeros((3, 4, 4), bool)
    mask[1:, :2, :2] = True
    a, b, c, d = psf(0), psf(1), matrices(2), matrices(3)
    s = run(psf=a, edisp=c).stack(run(psf=b, edisp=d, mask_safe=mask))
    both = run(psf=a).stack(run(psf=b))
    np.testing.assert_allclose(s.psf.values[..., 0, 0], both.psf.values[..., 0, 0], rtol=1e-15)
    np.testing.assert_allclose(s.psf.values[..., 1, :], a.values[..., 1, :], rtol=1e-15)
    np.testing.assert_array_equal(s.psf.exposure[..., 0, 1], a.exposure[..., 0, 1])
    weights = [irf.exposure[:, None, 0, 0] for irf in (c, d)]
    kept = np.array([0, 1, 1])
    expected = (weights[0] * c.values[..., 0, 0] + kept * weights[1] * d.values[..., 0, 0]) / sum(weights)
    np.testing.assert_allclose(s.edisp.values[..., 0, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(s.edisp.values[..., 1, 1], c.values[..., 1, 1], rtol=1e-14)


def test_responses_go_on_where_nobody_looked():
    """Sources there are seen in the safe pixels beside them; without any exposure they take the nearest response."""
    mask = np.zeros((3, 4, 4), bool)
    mask[1:, :2, :2] = True
    a, b, c, d = psf(0), psf(1), matrices(2), matrices(3)
    s = run(psf=a, edisp=c, mask_safe=mask).stack(run(psf=b, edisp=d, mask_safe=mask))
    both = run(psf=a, edisp=c).stack(run(psf=b, edisp=d))
    np.testing.assert_allclose(s.psf.values, both.psf.values, rtol=1e-14)
    np.testing.assert_allclose(s.edisp.values, both.edisp.values * np.array([0, 1, 1])[:, None, None], rtol=1e-14)
    nothing = np.asarray(a.exposure) * (np.arange(2) == 0)
    c, d = (gj.EDispKernelMap(GRID, e.values, nothing) for e in (c, d))
    s = run(edisp=c).stack(run(edisp=d))
    assert not s.edisp.values[..., 1].any() and s.edisp.values[..., 0].any(axis=1).all()
    far = GRID.pixel_to_vector(1.2, 0.1)
    np.testing.assert_array_equal(s.edisp.matrix_at(far, EDGES, EDGES), s.edisp.values[..., 0, 0])


def test_which_datasets_count_beside_safe_pixels():
    """Those with a share of the pixel by interpolation, then all; energies that are safe nowhere there are those of
    the datasets that are safe at them elsewhere."""
    long = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(8, 2))
    grid = gj.SkyGeom.create((83.0, 22.0), 0.2, npix=(4, 1))
    rng = np.random.default_rng(1)

    def one(last, low):
        mask = np.zeros((3, 2, 8), bool)
        mask[low:, :, :last] = True
        values = np.moveaxis(rng.dirichlet(np.ones(3), (3, 1, 4)), -1, 1)
        edisp = gj.EDispKernelMap(grid, values, rng.uniform(1, 2, (3, 1, 4)))
        fields = {"counts": np.ones((3, 2, 8)), "exposure": np.ones((3, 2, 8)), "mask_safe": mask, "edisp": edisp}
        return gj.MapDataset(long, EDGES, **fields)

    a, b = one(2, 1), one(4, 2)
    s = a.stack(b).edisp
    (w, v), (p, q) = ([np.asarray(getattr(d.edisp, n))[..., 0, :] for d in (a, b)] for n in ("exposure", "values"))
    w, v = w[:, None], v[:, None]
    both = (w * p * np.array([0, 1, 1])[:, None] + v * q * np.array([0, 0, 1])[:, None]) / (w + v)
    # columns: both are safe; b alone is, and its energies alone; b has a share; nobody has
    np.testing.assert_allclose(s.values[..., 0, 0], both[..., 0], rtol=1e-14)
    only = q * np.array([0, 0, 1])[:, None]
    np.testing.assert_allclose(s.values[..., 0, 1:3], only[..., 1:3], rtol=1e-14)
    np.testing.assert_allclose(s.values[..., 0, 3], both[..., 3], rtol=1e-14)
    np.testing.assert_allclose(s.exposure[:, 0], np.concatenate([w + v, v, v, w + v], -1)[:, 0][:, [0, 5, 10, 15]])


def test_responses_without_positions():
    """Equal ones stay; different ones are averaged on a grid, with the exposure of the datasets."""
    a, b = psf(0, geom=None, exposure=False), psf(1, geom=None, exposure=False)
    exposures = [np.random.default_rng(i).uniform(1, 3, (3, 4, 4)) for i in (5, 6)]
    assert run(psf=a).stack(run(exposure=2.0, psf=psf(0, geom=None, exposure=False))).psf is a
    s = run(exposure=exposures[0], psf=a).stack(run(exposure=exposures[1], psf=b))
    assert s.psf.geom.is_same(response_grid(GEOM)) and s.psf.geom.shape == (2, 2)
    w, v = (blocks(e)[:, None] for e in exposures)
    np.testing.assert_allclose(s.psf.values, (w * a.values + v * b.values) / (w + v), rtol=1e-14)
    # beside one with positions
    s = run(exposure=exposures[0], psf=a).stack(run(psf=psf(1)))
    assert s.psf.geom is not None and s.psf.geom.is_same(GRID)
    kernel = gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2)
    assert run(edisp=kernel).stack(run(edisp=kernel)).edisp is kernel
    s = run(exposure=exposures[0], edisp=kernel).stack(run(exposure=exposures[1]))
    expected = (w * kernel.matrix[..., None, None] + v * np.eye(3)[..., None, None]) / (w + v)
    np.testing.assert_allclose(s.edisp.values, expected, rtol=1e-13, atol=1e-16)


def test_perfect_responses_stay_where_thresholds_agree():
    image = np.ones((3, 4, 4), bool)
    image[:, 0] = False
    assert run(mask_safe=image).stack(run()).edisp is None
    energy = np.ones((3, 4, 4), bool)
    energy[0] = False
    lossy = run(mask_safe=energy).stack(run(exposure=3.0)).edisp
    np.testing.assert_allclose(lossy.values[..., 0, 0], np.diag([0.75, 1, 1]), rtol=1e-15)


@pytest.mark.parametrize("make", [psf, matrices, migrations])
def test_exposures_of_equal_responses_add_up(make):
    """Two runs of one response without positions: it stays, and weighs in further sums what both have seen."""
    one = make(1, geom=None) if make is not migrations else gj.EDispMap.from_gauss(EDGES, np.linspace(0.2, 3, 60), 0.2)
    field = "psf" if make is psf else "edisp"
    edges = () if make is matrices else ("energy_true_edges",)
    names = ("geom", "energy", "rad", "rad_edges", *edges, "migra_edges", "values")
    fields = [getattr(one, name) for name in names if hasattr(one, name)]

    def response(exposure):
        return type(one)(*fields, None if exposure is None else np.full((3, 1, 1), exposure))

    runs = [run(**{field: response(e)}) for e in (1e10, 2e10)]
    np.testing.assert_allclose(getattr(gj.stack(runs), field).exposure, 3e10, rtol=1e-15)
    np.testing.assert_array_equal(getattr(gj.stack(runs), field).values, one.values)
    # what one of them does not know is not known of the sum
    assert getattr(gj.stack([runs[0], run(**{field: response(None)})]), field).exposure is None
    assert getattr(gj.stack(runs[:1]), field).exposure.max() == 1e10


def test_migration_tables():
    """Averaged as such where thresholds agree; else as matrices, which can lose bins."""
    a, b = migrations(0), migrations(1, sigma=0.4)
    s = run(edisp=a).stack(run(edisp=b)).edisp
    w, v = a.exposure[:, None], b.exposure[:, None]
    assert isinstance(s, gj.EDispMap)
    np.testing.assert_allclose(s.values, (w * a.values + v * b.values) / (w + v), rtol=1e-14)
    mask = np.ones((3, 4, 4), bool)
    mask[0] = False
    s = run(edisp=a).stack(run(edisp=b, mask_safe=mask)).edisp
    one, other = (np.asarray(e.to_kernel_map(EDGES).values) for e in (a, b))
    kept = np.array([0, 1, 1])[:, None, None]
    np.testing.assert_allclose(s.values, (w * one + kept * v * other) / (w + v), rtol=1e-13, atol=1e-16)
    # other bins of migration, or matrices beside tables
    for second in (migrations(1, edges=np.linspace(0.2, 3, 50)), matrices(1)):
        s = run(edisp=a).stack(run(edisp=second)).edisp
        assert isinstance(s, gj.EDispKernelMap) and np.all(np.asarray(s.values).sum(axis=1) > 0.5)


def test_kernels_and_reconstructed_energies():
    kernel = gj.PSFKernel.from_gauss(GEOM, EDGES, 0.1)
    assert run(psf=kernel).stack(run(psf=gj.PSFKernel.from_gauss(GEOM, EDGES, 0.1))).psf is kernel
    with pytest.raises(InputError, match="kind PSFKernel, and a kernel of fixed pixels has no average"):
        run(psf=kernel).stack(run(psf=gj.PSFKernel.from_gauss(GEOM, EDGES, 0.11)))
    reco = psf(0, kind=gj.RecoPSFMap)
    both = run(psf=reco).stack(run(psf=psf(0, kind=gj.RecoPSFMap))).psf
    assert both.values is reco.values
    np.testing.assert_array_equal(both.exposure, 2 * reco.exposure)
    with pytest.raises(InputError, match="kind RecoPSFMap, and a PSF in reconstructed energy has no average"):
        run(psf=reco).stack(run(psf=psf(1, kind=gj.RecoPSFMap)))


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (psf(0), None, "psf: found none in dataset 'other' and a PSFMap in 'self'"),
        (psf(0), psf(0, kind=gj.RecoPSFMap), "found a RecoPSFMap in dataset 'other' and a PSFMap in 'self'"),
        (psf(0), psf(1, energy=2 * TRUE), r"energy of the PSF \(TeV\): found 3 from 2.8"),
        (psf(0), psf(1, rad=RAD * 1.1), r"rad of the PSF \(deg\): found 5 from 0.055"),
        (psf(0), psf(1, geom=gj.SkyGeom.create((83.0, 22.1), 0.2, npix=2)), "pixels of psf do not agree"),
    ],
)
def test_psfs_that_do_not_fit_together(one, other, text):
    with pytest.raises(InputError, match=text):
        run(psf=one).stack(run(psf=other))


def test_energy_dispersions_on_pixels_that_do_not_agree():
    with pytest.raises(InputError, match="the pixels of edisp do not agree among the datasets: expected grids of one"):
        run(edisp=matrices(0)).stack(run(edisp=matrices(1, geom=gj.SkyGeom.create((83.0, 22.0), 0.3, npix=2))))


def test_responses_of_cutouts():
    """Grids of cutouts enter where they belong; a response without positions ends with its cutout."""
    wcs = GEOM.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - [2, 0]
    right = gj.SkyGeom.from_wcs(wcs, (4, 2))
    wcs = GRID.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - [1, 0]
    column = gj.SkyGeom.from_wcs(wcs, (2, 1))
    a, b = psf(0), psf(1, geom=column)
    small = gj.MapDataset(right, EDGES, counts=np.ones((3, 4, 2)), exposure=np.ones((3, 4, 2)), psf=b)
    s = run(psf=a).stack(small)
    w, v = a.exposure[:, None, :, 1], b.exposure[:, None, :, 0]
    np.testing.assert_allclose(s.psf.values[..., 0], a.values[..., 0], rtol=1e-15)
    np.testing.assert_allclose(
        s.psf.values[..., 1], (w * a.values[..., 1] + v * b.values[..., 0]) / (w + v), rtol=1e-14
    )
    only = gj.stack([small], geom=GEOM)
    assert only.psf.geom.shape == (2, 1) and only.counts.sum() == 24
    wide = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(12, 4))
    runs = [run(psf=psf(i, geom=None, exposure=False)).replace(geom=g) for i, g in enumerate(_ends(wide))]
    s = gj.stack(runs, geom=wide)
    assert s.psf.geom.shape == (2, 6)
    np.testing.assert_allclose(s.psf.values[..., 0, 0], runs[0].psf.values[..., 0, 0], rtol=1e-15)
    np.testing.assert_allclose(s.psf.values[..., 0, 5], runs[1].psf.values[..., 0, 0], rtol=1e-15)
    for column, one in ((2, runs[0]), (3, runs[1])):
        # between them: of the nearest one
        np.testing.assert_allclose(s.psf.values[..., 0, column], one.psf.values[..., 0, 0], rtol=1e-15)


def _ends(wide):
    """The first and the last four columns."""
    for x in (0, 8):
        wcs = wide.wcs.deepcopy()
        wcs.wcs.crpix = wcs.wcs.crpix - [x, 0]
        yield gj.SkyGeom.from_wcs(wcs, (4, 4))
