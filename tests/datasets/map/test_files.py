"""Entry points for files of map datasets."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError
from gammajax.datasets.collection import read_map, read_map_on_off
from gammajax.datasets.irf import EDispKernel
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

EDGES, TRUE = cases.EDGES, cases.TRUE
edit, known, on_off = cases.edit, cases.known, cases.on_off


def test_types_are_told_apart(tmp_path):
    known().write(tmp_path / "a.fits")
    on_off().write(tmp_path / "b.fits")
    with pytest.raises(InputError, match=r"a\.fits: the HDU ACCEPTANCE is missing.*MapDataset\.read"):
        MapDatasetOnOff.read(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"b\.fits: the file is an on/off dataset.*MapDatasetOnOff\.read"):
        MapDataset.read(tmp_path / "b.fits")


def test_files_of_one_region_are_spectra(tmp_path):
    edisp = EDispKernel.from_gauss(TRUE, EDGES, 0.2)
    fields = {"counts": [1, 2, 3], "exposure": np.ones(5), "edisp": edisp, "energy_true_edges": TRUE}
    SpectrumDataset(EDGES, **fields).write(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"of one region, expected images.*SpectrumDataset\.read"):
        MapDataset.read(tmp_path / "a.fits")
    back = read_map(tmp_path / "a.fits")
    assert isinstance(back, SpectrumDataset) and list(back.counts) == [1, 2, 3]
    SpectrumDatasetOnOff(EDGES, counts_off=[9, 8, 7], **fields).write(tmp_path / "b.fits", format="gadf")
    assert isinstance(read_map_on_off(tmp_path / "b.fits"), SpectrumDatasetOnOff)
    known(psf=cases.psf_map(geom=None)).write(tmp_path / "c.fits")

    def change(hdus):
        with fits.open(tmp_path / "c.fits", memmap=False) as other:
            hdus.extend([other["PSF"].copy(), other["PSF_BANDS"].copy()])

    edit(tmp_path / "a.fits", change)
    with pytest.raises(InputError, match=r"a\.fits: no HDU names the region"):
        read_map(tmp_path / "a.fits")
