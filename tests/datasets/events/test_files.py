"""Event lists in files."""

import warnings

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from cases import maps as map_cases

import gammajax as gj

small_map, source = map_cases.small_map, map_cases.source

GTI = gj.GTI([10.0, 500.0], [300.0, 2000.0], Time(58000.25, format="mjd", scale="tt"))


@pytest.fixture(scope="module")
def events():
    dataset = small_map(n=10, gti=GTI, livetime=1700.0, meta=gj.Meta({"OBS_ID": 42, "RA_PNT": 83.0 * u.deg}))
    models = source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    return gj.sample_events(jax.random.key(3), dataset, models)


def test_table(events):
    table = events.table()
    assert isinstance(table, Table) and len(table) == len(events)
    assert table["ENERGY"].unit == "TeV" and table["RA"].unit == "deg" and table["TIME"].unit == "s"
    np.testing.assert_array_equal(table["ENERGY"], events.energy)
    assert table.meta["OBS_ID"] == 42 and table.meta["MMN00001"] == "source"
    assert table.meta["MJDREFI"] == 58000 and table.meta["MJDREFF"] == 0.25


def test_file_as_astropy_reads_it(events, tmp_path):
    path = tmp_path / "new" / "events.fits.gz"
    events.write(path)
    with fits.open(path, checksum=True) as hdus, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "EVENTS", "GTI"]
        header = hdus["EVENTS"].header
        assert header["HDUCLAS1"] == "EVENTS" and header["OBS_ID"] == 42 and header["RA_PNT"] == 83.0
        assert (header["TSTART"], header["TSTOP"], header["ONTIME"]) == (10, 2000, 1790)
        assert header["LIVETIME"] == 1700 and header["DEADC"] == pytest.approx(1700 / 1790)
        # TT is 69.184 s ahead of UTC
        assert header["DATE-OBS"] == "2017-09-04T05:59:00.816"
        hdus.verify("exception")
        np.testing.assert_array_equal(hdus["GTI"].data["STOP"], [300, 2000])
    table = Table.read(path, hdu="EVENTS")
    np.testing.assert_array_equal(table["TIME"], events.time)
    np.testing.assert_array_equal(table["EVENT_ID"], np.arange(1, len(events) + 1))


def test_round_trip(events, tmp_path):
    events.write(tmp_path / "events.fits")
    back = gj.EventList.read(tmp_path / "events.fits")
    for name in ("energy", "lon", "lat", "energy_true", "lon_true", "mc_id"):
        np.testing.assert_array_equal(getattr(back, name), getattr(events, name))
    np.testing.assert_allclose(back.time, events.time, atol=1e-6)
    assert back.meta["models"] == {0: "background", 1: "source"} and back.gti.ontime == events.gti.ontime


def test_spectra_have_no_directions(tmp_path):
    spectrum = gj.SpectrumDataset([1.0, 2, 4], background=[5.0, 6.0], gti=GTI)
    events = gj.sample_events(jax.random.key(0), spectrum)
    events.write(tmp_path / "events.fits")
    assert "RA" not in events.table().colnames
    with fits.open(tmp_path / "events.fits") as hdus:
        assert np.all(np.isnan(hdus["EVENTS"].data["RA"]))
    back = gj.EventList.read(tmp_path / "events.fits")
    assert back.lon is None and back.lat is None
    np.testing.assert_array_equal(gj.bin_events(back, spectrum).counts.sum(), len(events))


def test_existing_files_stay(events, tmp_path):
    path = tmp_path / "events.fits"
    path.write_text("mine")
    with pytest.raises(gj.InputError, match="the file exists already"):
        events.write(path)
    assert path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    events.write(path, overwrite=True)
    assert len(gj.EventList.read(path)) == len(events)


def test_bad_files(events, tmp_path):
    with pytest.raises(gj.InputError, match="events without good time intervals"):
        gj.EventList([1.0], [0.0], None).write(tmp_path / "events.fits")
    with pytest.raises(gj.InputError, match="was not found"):
        gj.EventList.read(tmp_path / "none.fits")
    table = Table({"TIME": [1.0] * u.s, "RA": [1.0] * u.deg, "DEC": [2.0] * u.deg})
    table.write(tmp_path / "cut.fits")
    hdu = fits.BinTableHDU(table, name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "cut.fits", overwrite=True)
    with pytest.raises(gj.InputError, match="the column ENERGY is missing"):
        gj.EventList.read(tmp_path / "cut.fits")


def test_observation_survives(events, tmp_path):
    cards = {"OBS_MODE": "WOBBLE", "ALT_PNT": 71.5, "AZ_PNT": 12.0, "TELESCOP": "CTAO"}
    first, second = tmp_path / "first.fits", tmp_path / "second.fits"
    gj.EventList(events.energy, events.time, GTI, meta=events.meta.updated(**cards)).write(first)
    gj.EventList.read(first).write(second)
    header = fits.getheader(second, "EVENTS")
    # 1700 s of 1790 s
    assert header["LIVETIME"] == 1700.0 and header["ONTIME"] == 1790.0
    assert header["DEADC"] == pytest.approx(1700 / 1790, rel=1e-12)
    assert {key: header[key] for key in cards} == cards


def test_events_that_cannot_be(tmp_path):
    """The constructor refuses them; of a file they are left out, with a warning."""
    with pytest.raises(gj.InputError, match=r"energy of event 1 is -2\.0, expected positive energies \(1 such"):
        gj.EventList([1.0, -2.0], [0.0, 1.0], None)
    with pytest.raises(gj.InputError, match=r"lat of event 0 is 500\.0"):
        gj.EventList([1.0], [0.0], None, lon=[1.0], lat=[500.0])
    n = 6
    events = gj.EventList([2.0] * n, np.arange(n), gj.GTI([0.0], [9.0], 55555), lon=[1.0] * n, lat=[2.0] * n)
    events.write(tmp_path / "events.fits")
    with fits.open(tmp_path / "events.fits") as hdus:
        hdus["EVENTS"].data["ENERGY"][0] = -1
        hdus["EVENTS"].data["ENERGY"][1] = np.inf
        hdus["EVENTS"].data["DEC"][2] = 500
        hdus["EVENTS"].data["RA"][3] = np.nan
        hdus["EVENTS"].data["TIME"][4] = np.nan
        hdus.writeto(tmp_path / "bad.fits", checksum=True)
    with pytest.warns(UserWarning, match="5 of 6 events are left out"):
        assert gj.EventList.read(tmp_path / "bad.fits").energy.tolist() == [2.0]
