"""Empty datasets."""

import astropy.units as u
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets import InputError
from gammajax.datasets.counts import coarse
from gammajax.datasets.sky import SkyGeom

EDGES, TRUE = np.geomspace(1, 10, 4), np.geomspace(0.5, 20, 6)
GEOM = SkyGeom.create((83.6, 22.0), 0.05, npix=(40, 24))


@pytest.mark.parametrize("cls", [gj.MapDataset, gj.MapDatasetOnOff])
def test_maps(cls):
    empty = cls.create(GEOM, EDGES * 1000 * u.GeV, gj.MapAxis.from_edges(TRUE, "log", "energy_true", "TeV"))
    assert type(empty) is cls and empty.data_shape == (3, 24, 40) and empty.n_true == 5
    names = ("counts", "exposure") + (
        ("background",) if cls is gj.MapDataset else ("counts_off", "acceptance", "acceptance_off")
    )
    for name in names:
        assert not np.any(getattr(empty, name)), name
    assert empty.mask_safe.dtype == bool and not empty.mask_safe.any() and empty.mask_fit is None
    assert empty.livetime == 0 and empty.gti.ontime == 0 * u.s
    # 2.0 by 1.2 deg in pixels of 0.2
    assert empty.psf.geom.shape == empty.edisp.geom.shape == (6, 10)
    assert empty.psf.values.shape == (5, 66, 6, 10) and not empty.psf.values.any()
    assert not empty.psf.exposure.any() and not empty.edisp.exposure.any()
    np.testing.assert_allclose(empty.psf.energy, np.sqrt(TRUE[1:] * TRUE[:-1]), rtol=1e-15)
    matrix = np.asarray(gj.EDispKernel.from_diagonal_response(TRUE, EDGES).matrix)
    np.testing.assert_array_equal(empty.edisp.values[:, :, 3, 4], matrix)
    with pytest.raises(InputError, match="the mask excludes every bin"):
        gj.stat_sum(empty, gj.Models([]))


def test_other_responses():
    empty = gj.MapDataset.create(
        GEOM,
        EDGES,
        rad_edges=np.linspace(0, 30, 31) * u.arcmin,
        migra_edges=np.linspace(0.2, 5, 49),
        binsz_irf=0.5 * u.deg,
        reco_psf=True,
        livetime=3 * u.h,
    )
    assert isinstance(empty.psf, gj.RecoPSFMap) and empty.psf.values.shape == (3, 30, 2, 4)
    np.testing.assert_allclose(empty.psf.rad_edges[[0, -1]], [0, 0.5])
    assert empty.livetime == 10800 and empty.n_true == 3
    density = np.asarray(empty.edisp.values)[..., 0, 0]
    # probabilities that add up to 1, around migra = 1
    np.testing.assert_allclose((density * 0.1).sum(axis=1), 1, rtol=1e-12)
    assert np.flatnonzero(density[0]).tolist() == [7, 8]
    own = SkyGeom.create((83.6, 22.0), 1.0, npix=3)
    empty = gj.MapDataset.create(GEOM, EDGES, geom_psf=own, geom_edisp=own)
    assert empty.psf.geom is own and empty.edisp.values.shape == (3, 3, 3, 3)


def test_narrow_images_and_other_frames():
    narrow = coarse(SkyGeom.create((0.0, 0.0), 0.02, npix=(3, 30), frame="galactic", proj="CAR"), 0.2)
    assert narrow.shape == (3, 1) and narrow.frame == "galactic" and narrow.projection == "CAR"
    assert narrow.center.galactic.l.wrap_at("180d").deg == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("cls", [gj.SpectrumDataset, gj.SpectrumDatasetOnOff])
def test_spectra(cls):
    empty = cls.create(EDGES, TRUE)
    assert type(empty) is cls and empty.counts.tolist() == [0, 0, 0] and empty.exposure.tolist() == [0] * 5
    assert not empty.mask_safe.any() and empty.livetime == 0
    np.testing.assert_array_equal(empty.edisp.matrix, gj.EDispKernel.from_diagonal_response(TRUE, EDGES).matrix)
    assert cls.create(EDGES).n_true == 3


def test_bad_input():
    with pytest.raises(InputError, match=r"MapDataset.create: geom must be a SkyGeom, found ndarray"):
        gj.MapDataset.create(EDGES, EDGES)
    with pytest.raises(InputError, match=r"MapDataset.create: energy_edges: edges must be positive"):
        gj.MapDataset.create(GEOM, [1.0, 0.5])
    with pytest.raises(InputError, match=r"SpectrumDataset.create: energy_true_edges: found unit 's'"):
        gj.SpectrumDataset.create(EDGES, [1, 2] * u.s)
    for bad in (0, -1, np.nan):
        with pytest.raises(InputError, match="binsz_irf must be positive"):
            gj.MapDataset.create(GEOM, EDGES, binsz_irf=bad)
    with pytest.raises(InputError, match=r"migra_edges go from 2 to 5, expected a range around 1"):
        gj.MapDataset.create(GEOM, EDGES, migra_edges=[2, 3, 5])


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"binsz": 0.1}, "MapDataset.create: there is no argument 'binsz'. Did you mean 'binsz_irf'"),
        ({"rad_edges": ["a", "b"]}, "rad_edges: found"),
        ({"energy_true_edges": "a"}, "energy_true_edges: found 'a'"),
    ],
)
def test_unknown_arguments_and_wrong_text(fields, message):
    with pytest.raises(InputError, match=message):
        gj.MapDataset.create(GEOM, [1, 2], **fields)
    with pytest.raises(InputError, match=r"SpectrumDataset.create: there is no argument 'binsz'"):
        gj.SpectrumDataset.create([1, 2], binsz=0.1)
