"""Region datasets with a point spread function in files."""

import numpy as np
import pytest
import yaml
from astropy.io import fits
from cases import regions as cases

import gammajax as gj
from gammajax.datasets.collection import read_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def circle():
    migra = gj.EDispMap.from_gauss(cases.TRUE, np.linspace(0.2, 3, 30), 0.12)
    fields = {"livetime": 90.0, "gti": gj.GTI([0], [100.0]), "mask_safe": np.array([False, True]), "edisp": migra}
    return cases.dataset(**fields, meta=gj.Meta({"OBS_ID": 7}))


@pytest.fixture
def path(circle, tmp_path):
    circle.write(tmp_path / "circle.fits")
    return tmp_path / "circle.fits"


def assert_same(found, wanted):
    assert type(found) is gj.RegionMapDataset
    for name in ("energy_edges", "energy_true_edges", "counts", "background", "exposure", "mask_safe"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(found.psf.values, wanted.psf.values, rtol=1e-12)
    np.testing.assert_allclose(found.edisp.values, wanted.edisp.values, rtol=1e-12)
    area = float(wanted.region.transform[0, 0, 0])
    np.testing.assert_allclose(found.region.transform, wanted.region.transform, rtol=0, atol=1e-7 * area)
    assert found.livetime == wanted.livetime and found.gti.ontime == wanted.gti.ontime


def test_round_trip(circle, path):
    found = gj.RegionMapDataset.read(path)
    assert_same(found, circle)
    assert found.meta["OBS_ID"] == 7 and "psf_region" not in found.meta
    with pytest.raises(gj.InputError, match=r"of one region, expected images.*RegionMapDataset\.read"):
        gj.MapDataset.read(path)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
    for name in ("COUNTS", "EXPOSURE", "BACKGROUND", "EDISP", "PSF", "MASK_SAFE"):
        start = names.index(name)
        assert names[start : start + 3] == [name, f"{name}_BANDS", f"{name}_REGION"]


def test_index(circle, tmp_path):
    """Its type there is gammapy's, and the file says that it is of a region."""
    gj.Datasets({"circle": circle}).write(tmp_path / "datasets.yaml")
    assert "type: MapDataset\n" in (tmp_path / "datasets.yaml").read_text()
    assert_same(gj.Datasets.read(tmp_path / "datasets.yaml")["circle"], circle)


def test_the_point_spread_function_decides(circle, path, tmp_path):
    """Without one the file is a spectrum, which `SpectrumDataset.read` makes of the other, too."""
    circle.replace(psf=None).write(tmp_path / "none.fits")
    with pytest.raises(gj.InputError, match=r"of one region, expected images.*SpectrumDataset\.read"):
        gj.MapDataset.read(tmp_path / "none.fits")
    assert type(read_dataset(tmp_path / "none.fits")) is gj.SpectrumDataset
    assert type(gj.SpectrumDataset.read(path)) is gj.SpectrumDataset
    # what gammapy calls a MapDataset
    index = {"type": "MapDataset", "name": "none", "filename": "none.fits"}
    (tmp_path / "index.yaml").write_text(yaml.safe_dump({"datasets": [index]}))
    assert type(gj.Datasets.read(tmp_path / "index.yaml")["none"]) is gj.SpectrumDataset


def changed(path, *, without=(), renamed=None):
    with fits.open(path) as hdus:
        kept = [hdu.copy() for hdu in hdus if hdu.name not in without]
        for hdu in kept:
            hdu.name = (renamed or {}).get(hdu.name, hdu.name)
            for keyword in ("CHECKSUM", "DATASUM"):
                hdu.header.remove(keyword, ignore_missing=True)
        fits.HDUList(kept).writeto(path, overwrite=True)


def test_errors(circle, path, tmp_path):
    with pytest.raises(gj.InputError, match="exists already"):
        circle.write(path)
    changed(path, without=[f"{name}_REGION" for name in ("COUNTS", "BACKGROUND", "MASK_SAFE")])
    with pytest.raises(gj.InputError, match="no HDU names the region"):
        gj.RegionMapDataset.read(path)
    changed(path, renamed={"BACKGROUND": "ACCEPTANCE", "BACKGROUND_BANDS": "ACCEPTANCE_BANDS"})
    with pytest.raises(gj.InputError, match="on/off dataset of one region with a point spread function"):
        gj.RegionMapDataset.read(path)
    with pytest.raises(gj.InputError, match="which leaves the point spread function out"):
        gj.MapDatasetOnOff.read(path)
    geom = gj.SkyGeom.create((83.6, 22), 0.1, npix=4)
    gj.MapDataset(geom, [1, 2, 3], counts=np.ones((2, 4, 4))).write(tmp_path / "map.fits")
    with pytest.raises(gj.InputError, match="the HDU is an image, expected a table of one region"):
        gj.RegionMapDataset.read(tmp_path / "map.fits")
