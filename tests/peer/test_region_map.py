"""Region datasets with a point spread function against those of gammapy."""

import warnings

import astropy.units as u
import numpy as np
import pytest
import regions
from astropy.coordinates import SkyCoord
from cases import regions as cases

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peers = pytest.importorskip("gammapy.datasets")
    import gammapy.modeling.models as peer_models
    from gammapy.irf import PSFMap as PeerPSF
    from gammapy.maps import RegionGeom, RegionNDMap

pytestmark = pytest.mark.filterwarnings("ignore")


CRAB = SkyCoord(83.63, 22.01, unit="deg")
CIRCLE = regions.CircleSkyRegion(CRAB, 0.15 * u.deg)
SPECTRUM = peer_models.PowerLawSpectralModel(amplitude="4e-11 cm-2 s-1 TeV-1", index=2.4)


def peer_source(spatial):
    return peer_models.SkyModel(spectral_model=SPECTRUM, spatial_model=spatial, name="source")


def peer_point(lon=83.63, lat=22.01):
    return peer_source(peer_models.PointSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg))


def signal(peer, model):
    peer.models = [model]
    return peer.npred_signal().data[:, 0, 0]


@pytest.fixture(scope="module")
def crab(data_path):
    """A H.E.S.S. run summed in a circle by both packages, all bins safe."""
    path = sorted((data_path / "hess-crab" / "maps").glob("*.fits.gz"))[0]
    peer = peers.MapDataset.read(path)
    own = gj.MapDataset.read(path)
    peer.mask_safe = None
    return own.replace(mask_safe=None).to_region_map_dataset(CIRCLE), peer.to_region_map_dataset(CIRCLE, name="crab")


def assert_same_bins(own, peer):
    for name in ("counts", "background"):
        np.testing.assert_allclose(getattr(own, name), getattr(peer, name).data[:, 0, 0], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(own.exposure, peer.exposure.quantity.to_value("cm2 s")[:, 0, 0], rtol=1e-6)


def test_summed_in_a_region(crab):
    own, peer = crab
    assert own.counts.sum() == peer.counts.data.sum() > 100
    assert_same_bins(own, peer)
    np.testing.assert_array_equal(own.edisp.values, peer.edisp.edisp_map.data)
    # gammapy takes the pixel of its grid of PSFs, here they are interpolated between pixels
    theirs = peer.psf.psf_map.quantity.to_value("sr-1")
    np.testing.assert_allclose(own.psf.values, theirs, rtol=0, atol=2e-3 * theirs.max())
    livetime = peer.exposure.meta["livetime"].to_value("s")
    assert float(own.livetime) == pytest.approx(livetime)


def test_point_in_the_middle(crab):
    """There gammapy multiplies with the containment."""
    own, peer = crab
    wanted = signal(peer, peer_point())
    found = np.asarray(gj.npred_signal(own, gj.from_gammapy(peer_point())))
    kept = wanted > 1e-3
    np.testing.assert_allclose(found[kept], wanted[kept], rtol=2e-3)
    assert found.sum() == pytest.approx(wanted.sum(), rel=1e-3)


def test_conversion_and_files(crab, tmp_path):
    """In memory and through files and the index, both ways."""
    own, peer = crab
    for found in (gj.from_gammapy(peer), written_by_peer(peer, tmp_path)):
        assert type(found) is gj.RegionMapDataset
        assert_same_bins(found, peer)
        expected = gj.npred_signal(found.replace(psf=own.psf), gj.from_gammapy(peer_point()))
        np.testing.assert_allclose(expected, gj.npred_signal(own, gj.from_gammapy(peer_point())), rtol=1e-6)
    assert float(gj.from_gammapy(peer).livetime) == pytest.approx(float(own.livetime))
    gj.Datasets({"crab": own}).write(tmp_path / "own.yaml", overwrite=True)
    read = peers.Datasets.read(tmp_path / "own.yaml")["crab"]
    wanted = signal(peer, peer_point())
    for back in (gj.to_gammapy(own, name="crab"), read):
        assert back.tag == "MapDataset" and back.name == "crab"
        assert isinstance(back.counts.geom.region, regions.CircleSkyRegion)
        assert_same_bins(own, back)
        kept = wanted > 1e-3
        np.testing.assert_allclose(signal(back, peer_point())[kept], wanted[kept], rtol=3e-3)


def written_by_peer(peer, folder):
    peer.models = None
    peers.Datasets([peer]).write(folder / "peer.yaml", overwrite=True)
    return gj.Datasets.read(folder / "peer.yaml")["crab"]


@pytest.fixture(scope="module")
def gaussian():
    """The dataset of a Gaussian PSF on fine pixels, in both packages."""
    circle = regions.CircleSkyRegion(CRAB, 0.3 * u.deg)
    own = gj.RegionMapDataset(circle, cases.TRUE, exposure=4e14 * np.ones(3), psf=cases.PSF, background=np.ones(3))
    peer = gj.to_gammapy(own, name="gaussian")

    def finer(m):
        geom = RegionGeom(m.geom.region, axes=m.geom.axes, binsz_wcs="0.01 deg")
        return RegionNDMap(geom, data=m.data, unit=m.unit)

    psf = PeerPSF.from_gauss(
        peer.exposure.geom.axes["energy_true"], rad_axis=peer.psf.psf_map.geom.axes["rad"], sigma=cases.SIGMA * u.deg
    )
    fine = peers.MapDataset(background=finer(peer.background), exposure=finer(peer.exposure), psf=psf, name="fine")
    return own, fine


@pytest.mark.parametrize(("sigma", "offset"), [(0.03, 0.0), (0.03, 0.1), (0.05, 0.0)])
def test_extended_source(gaussian, sigma, offset):
    """Inside the region's box, beyond which gammapy drops the flux of a source; its pixels are 0.01 deg."""
    own, peer = gaussian
    lon, lat = cases.beside(offset, 0.0).values()
    model = peer_source(peer_models.GaussianSpatialModel(lon_0=lon * u.deg, lat_0=lat * u.deg, sigma=sigma * u.deg))
    found = gj.npred_signal(own, gj.from_gammapy(model))
    np.testing.assert_allclose(found, signal(peer, model), rtol=2e-3)


def test_point_beside_the_middle(gaussian):
    """gammapy's containment is that in the middle, wherever in the circle a point lies."""
    own, peer = gaussian
    lon, lat = cases.beside(0.2, 0.0).values()
    wanted = signal(peer, peer_point())
    np.testing.assert_allclose(signal(peer, peer_point(lon, lat)), wanted, rtol=1e-12)
    np.testing.assert_allclose(gj.npred_signal(own, gj.from_gammapy(peer_point())), wanted, rtol=2e-3)
    ratio = np.asarray(gj.npred_signal(own, gj.from_gammapy(peer_point(lon, lat)))) / wanted
    np.testing.assert_allclose(ratio, cases.in_circle(cases.SIGMA, 0.2, 0.3), rtol=2e-3)


def test_what_is_refused(crab):
    _, peer = crab
    on_off = peers.MapDatasetOnOff(
        counts=peer.counts, exposure=peer.exposure, psf=peer.psf, edisp=peer.edisp, name="on-off"
    )
    with pytest.raises(gj.InputError, match="on-off' is of one region, and has a point spread function"):
        gj.from_gammapy(on_off)
