"""Small datasets of all four types with everything that reshaping has to carry, for the tests of it."""

import numpy as np

import gammajax as gj
from gammajax.datasets import Meta
from gammajax.datasets.sky import SkyGeom

N_RECO, N_TRUE, NY, NX = 6, 7, 8, 12
RECO, TRUE = np.geomspace(0.5, 20, N_RECO + 1), np.geomspace(0.3, 30, N_TRUE + 1)
GEOM = SkyGeom.create((83.63, 22.01), 0.1, npix=(NX, NY))
TYPES = ("SpectrumDataset", "SpectrumDatasetOnOff", "MapDataset", "MapDatasetOnOff")


def dataset(tag="MapDataset", seed=0, **changes):
    """Random counts, a safe mask without two energies and one pixel, and a fit mask that differs from it."""
    rng = np.random.default_rng(seed)
    image = (NY, NX) if tag.startswith("Map") else ()
    shape = (N_RECO, *image)
    safe = np.ones(shape, bool)
    safe[0], safe[3] = False, False
    fit = rng.random(shape) > 0.3
    kernel = gj.EDispKernel.from_gauss(TRUE, RECO, 0.2)
    fields = {
        "counts": rng.poisson(5.0, shape),
        "exposure": rng.uniform(1e11, 3e11, (N_TRUE, *image)),
        "edisp": kernel,
        "mask_safe": safe,
        "mask_fit": fit,
        "livetime": 1500.0,
        "gti": gj.GTI([0.0], [1600.0]),
        "meta": Meta({"OBS_ID": 23523}),
    }
    if tag.endswith("OnOff"):
        fields |= {
            "counts_off": rng.poisson(9.0, shape),
            "acceptance": rng.uniform(0.5, 1.5, shape),
            "acceptance_off": rng.uniform(4, 9, shape),
        }
    else:
        fields["background"] = rng.uniform(1, 3, shape)
    if not image:
        return getattr(gj, tag)(RECO, TRUE, **(fields | changes))
    safe[:, 2, 3] = False
    grid = SkyGeom.create((83.63, 22.01), 0.4, npix=(4, 3))
    weight = rng.uniform(1, 2, (N_TRUE, 3, 4))
    centers = np.sqrt(TRUE[:-1] * TRUE[1:])
    psf = gj.PSFMap.from_gauss(centers, 0.1, rad=np.arange(0, 0.6, 0.02), geom=grid)
    fields["psf"] = gj.PSFMap(grid, psf.energy, psf.rad, psf.rad_edges, psf.values, weight)
    matrices = np.asarray(kernel.matrix)[..., None, None] * rng.uniform(0.8, 1, (3, 4))
    fields["edisp"] = gj.EDispKernelMap(grid, matrices, weight)
    return getattr(gj, tag)(GEOM, RECO, TRUE, **(fields | {"source_grid": "pixel"} | changes))


def assert_carried(new, old):
    assert type(new) is type(old)
    for name in ("livetime", "gti", "nodes", "source_grid"):
        assert getattr(new, name, None) is getattr(old, name, None) or getattr(new, name) == getattr(old, name), name
    assert new.meta["OBS_ID"] == old.meta["OBS_ID"]
    np.testing.assert_array_equal(new.energy_true_edges, old.energy_true_edges)


def safe_total(values, mask, axis=None):
    return np.sum(np.asarray(values) * np.asarray(mask), axis=axis)
