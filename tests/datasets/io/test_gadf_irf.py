"""Responses read from a file on their own."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError
from gammajax.datasets.io import read_edisp, read_psf
from gammajax.datasets.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap


@pytest.mark.parametrize("kind", [PSFMap, RecoPSFMap])
def test_psf_alone(tmp_path, kind):
    psf = cases.psf_map(kind)
    cases.known(psf=psf).write(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as hdus:
        names = ("PSF", "PSF_BANDS", "PSF_EXPOSURE", "PSF_EXPOSURE_BANDS")
        fits.HDUList([hdus[0], *(hdus[name] for name in names)]).writeto(tmp_path / "psf.fits")
    back = read_psf(tmp_path / "psf.fits")
    assert type(back) is kind
    np.testing.assert_array_equal(back.values, psf.values)
    np.testing.assert_array_equal(back.exposure, psf.exposure)
    with pytest.raises(InputError, match=r"psf\.fits: the HDU EDISP is missing"):
        read_edisp(tmp_path / "psf.fits")


@pytest.mark.parametrize("edisp", [cases.kernel_map(), cases.migra_map()], ids=["kernel", "migra"])
def test_edisp_alone(tmp_path, edisp):
    cases.known(edisp=edisp).write(tmp_path / "a.fits")
    back = read_edisp(tmp_path / "a.fits")
    assert type(back.edisp) is type(edisp)
    np.testing.assert_array_equal(back.edisp.values, edisp.values)
    np.testing.assert_array_equal(back.energy_true_edges, cases.TRUE)
    if isinstance(edisp, EDispMap):
        assert back.energy_edges is None
        np.testing.assert_array_equal(back.edisp.migra_edges, cases.MIGRA)
    else:
        assert isinstance(edisp, EDispKernelMap)
        np.testing.assert_array_equal(back.energy_edges, cases.EDGES)
