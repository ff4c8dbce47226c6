"""Small map datasets with all that a file can keep, and ways to change their files, for the tests of map files."""

import numpy as np
from astropy import units as u
from astropy.io import fits

from gammajax.datasets import GTI, Meta
from gammajax.datasets.irf import EDispKernelMap, EDispMap, PSFMap
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.sky import SkyGeom

EDGES, TRUE = np.geomspace(0.5, 30, 4), np.geomspace(0.3, 40, 6)
GEOM = SkyGeom.create((83.6, 22.0), binsz=0.1, npix=(6, 5))
COARSE = SkyGeom.create((83.6, 22.0), binsz=0.3, npix=(3, 2))
MIGRA, RAD = np.linspace(0.2, 3, 9), np.linspace(0, 0.5, 8)
SHAPE, TRUE_SHAPE, IRF_SHAPE = (3, 5, 6), (5, 5, 6), (5, 2, 3)
FIELDS = ("counts", "background", "counts_off", "acceptance", "acceptance_off", "exposure", "mask_safe", "mask_fit")


def rng(seed=0):
    return np.random.default_rng(seed)


def psf_map(kind=PSFMap, geom=COARSE, energy=None, rad=None, exposure=True):
    edges = TRUE if kind is PSFMap else EDGES
    energy = np.sqrt(edges[1:] * edges[:-1]) if energy is None else energy
    rad, rad_edges = ((RAD[1:] + RAD[:-1]) / 2, RAD) if rad is None else (rad, None)
    pixels = (1, 1) if geom is None else geom.shape
    values = rng(1).uniform(1, 50, (energy.size, rad.size, *pixels))
    return kind(
        geom, energy, rad, rad_edges, values, rng(2).uniform(1e9, 1e12, (energy.size, *pixels)) if exposure else None
    )


def kernel_map(geom=COARSE):
    pixels = (1, 1) if geom is None else geom.shape
    return EDispKernelMap(geom, rng(3).uniform(0, 0.3, (5, 3, *pixels)), rng(4).uniform(1e9, 1e12, (5, *pixels)))


def migra_map(geom=COARSE):
    pixels = (1, 1) if geom is None else geom.shape
    return EDispMap(geom, TRUE, MIGRA, rng(5).uniform(0, 0.3, (5, 8, *pixels)), rng(6).uniform(1e9, 1e12, (5, *pixels)))


def common():
    return {
        "geom": GEOM,
        "energy_edges": EDGES,
        "energy_true_edges": TRUE,
        "counts": rng(7).poisson(3, SHAPE),
        "exposure": rng(8).uniform(1e10, 1e13, TRUE_SHAPE),
        "psf": psf_map(),
        "edisp": kernel_map(),
        "mask_safe": rng(9).uniform(size=SHAPE) > 0.3,
        "mask_fit": rng(10).uniform(size=SHAPE) > 0.2,
        "livetime": 1581.7367,
        "gti": GTI([0.0, 700.5], [600.25, 1400.0], 55000.25),
        "meta": Meta({"name": "run 1", "OBS_ID": 23523, "TELESCOP": "HESS", "RA_PNT": 83.5 * u.deg, "MUONEFF": 0.1}),
    }


def known(**changes):
    return MapDataset(**(common() | {"background": rng(11).uniform(0, 2, SHAPE)} | changes))


def on_off(**changes):
    off = {
        "counts_off": rng(12).poisson(30, SHAPE),
        "acceptance": rng(13).uniform(0.5, 1, SHAPE),
        "acceptance_off": rng(14).uniform(5, 10, SHAPE),
    }
    return MapDatasetOnOff(**(common() | off | changes))


def assert_equal(a, b):
    """Every number is the same, to the last digit but one where centres are computed from edges."""
    assert type(a) is type(b)
    assert a.geom.is_same(b.geom)
    np.testing.assert_array_equal(a.energy_edges, b.energy_edges)
    np.testing.assert_array_equal(a.energy_true_edges, b.energy_true_edges)
    np.testing.assert_array_equal(a.livetime, b.livetime)
    for field in FIELDS:
        one, two = getattr(a, field, None), getattr(b, field, None)
        assert (one is None) == (two is None), field
        if one is not None:
            np.testing.assert_array_equal(one, two, err_msg=field)
            assert two.dtype == (bool if field.startswith("mask") else float)
            # the background of an on/off dataset is computed
            assert not (two.flags.writeable and field in b.__dataclass_fields__)
    for name in ("psf", "edisp"):
        one, two = getattr(a, name), getattr(b, name)
        assert type(one) is type(two)
        if one is None:
            continue
        assert (one.geom is None) == (two.geom is None) and (one.geom is None or one.geom.is_same(two.geom))
        np.testing.assert_array_equal(one.values, two.values)
        assert (one.exposure is None) == (two.exposure is None)
        if one.exposure is not None:
            np.testing.assert_array_equal(one.exposure, two.exposure)
        for axis in ("energy", "rad", "rad_edges", "energy_true_edges", "migra_edges"):
            if getattr(one, axis, None) is not None:
                np.testing.assert_allclose(getattr(one, axis), getattr(two, axis), rtol=4e-16, atol=1e-17)
    assert (a.gti is None) == (b.gti is None)
    if a.gti is not None:
        for part in ("start", "stop", "reference"):
            np.testing.assert_array_equal(getattr(a.gti, part), getattr(b.gti, part))


def round_trip(dataset, path):
    dataset.write(path)
    return type(dataset).read(path)


def edit(path, change):
    """Apply ``change`` to the HDUs of a file."""
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus:
            for key in ("CHECKSUM", "DATASUM"):
                hdu.header.remove(key, ignore_missing=True)
        change(hdus)
        hdus.writeto(path, overwrite=True, output_verify="silentfix+ignore")


def rename_axis(hdus, name, old, new):
    """Call the axis ``old`` of a quantity ``new``, as other writers do."""
    table = hdus[f"{name}_BANDS"]
    for column in table.columns.names:
        if column == old or column.startswith(f"{old}_") or (old == "ENERGY" and column in ("E_MIN", "E_MAX")):
            table.columns.change_name(column, column.replace(old, new))
    for hdu in (hdus[name], table):
        for i in (1, 2):
            if f"AXCOLS{i}" in hdu.header:
                hdu.header[f"AXCOLS{i}"] = ",".join(
                    c.replace(old, new) if c.startswith(old) else c for c in hdu.header[f"AXCOLS{i}"].split(",")
                )


def scale_column(hdus, hdu, stem, factor, unit):
    table = hdus[hdu]
    for name in table.columns.names:
        if name.startswith(stem):
            table.data[name] = table.data[name] * factor
            table.columns[name].unit = unit


def set_cards(hdus, name, **cards):
    for key, value in cards.items():
        if value is None:
            hdus[name].header.remove(key, ignore_missing=True)
        else:
            hdus[name].header[key] = value


def data(name, place, value, dtype=None):
    def change(hdus):
        array = hdus[name].data.astype(dtype or hdus[name].data.dtype)
        array[place] = value
        hdus[name].data = array

    return change


def cards(name, **values):
    return lambda hdus: set_cards(hdus, name, **values)


def column(name, stem, value):
    def change(hdus):
        hdus[name].data[stem] = value

    return change


def remove(name):
    def change(hdus):
        del hdus[name]

    return change


def twice(name):
    return lambda hdus: hdus.append(hdus[name].copy())


def reshape(name, array):
    def change(hdus):
        hdus[name].data = array

    return change


def backwards(hdus):
    table = hdus["COUNTS_BANDS"]
    table.data = table.data[::-1].copy()


def no_data(hdus):
    """A table without the column DATA, as HEALPix maps are."""
    hdus[1] = hdus["META_TABLE"].copy()
    hdus[1].name = "COUNTS"
