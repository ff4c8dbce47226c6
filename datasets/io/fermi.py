"""Files of the Fermi-LAT tools: point spread functions (gtpsf), energy dispersions (gtdrm) and counts cubes (gtbin).

Energies are in MeV in tables that do not say otherwise, and in keV in EBOUNDS.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..arrays import Array
from ..errors import InputError
from ..sky.geom import SkyGeom
from .bins import usable_bins
from .fits import Fields, FitsFile, FitsTable, Hdu, bin_edges, naming, readable_cards, set_cards, table_hdu, to_bytes
from .rmf import matrix_rows

EBOUNDS = "EBOUNDS"


def read_gtpsf(file: FitsFile) -> Fields:
    """Arguments of the constructor of a `PSFMap`: one profile everywhere, from the tables PSF and THETA."""
    table, theta = file.table("PSF"), file.table("THETA")
    psf = table.column("Psf".upper())
    rad = _in_unit(theta, "THETA", "deg", u.deg)
    if psf.ndim != 2 or psf.shape[1] != rad.size:
        raise InputError(
            f"{table.where}: Psf has shape {psf.shape}, expected one profile per energy with {rad.size} values, as "
            "THETA says."
        )
    exposure = usable_bins(_in_unit(table, "EXPOSURE", "cm2 s", u.Unit("cm2 s")), f"{table.where}: Exposure")
    return {
        "geom": None,
        "energy": _in_unit(table, "ENERGY", "TeV", u.MeV),
        "rad": rad,
        "rad_edges": None,
        "values": usable_bins(psf, f"{table.where}: Psf")[..., None, None],
        # gammapy writes each as a list of one
        "exposure": exposure.reshape(len(psf), 1, 1) if exposure.size == len(psf) else exposure,
    }


def gtpsf_contents(psf: Mapping[str, Any]) -> bytes:
    """The file of a profile that is the same everywhere; ``psf`` are the fields of a `PSFMap`."""
    if psf["geom"] is not None:
        raise InputError(
            "the point spread function depends on the position, and the gtpsf form has one profile. Use format='gadf'."
        )
    if psf["exposure"] is None:
        raise InputError("the point spread function has no exposure, which the gtpsf form needs. Use format='gadf'.")
    profiles = np.asarray(psf["values"])[..., 0, 0]
    energy = np.asarray(psf["energy"]) * u.TeV.to("MeV")
    columns = [
        ("Energy", "D", energy, "MeV"),
        ("Exposure", "D", np.asarray(psf["exposure"])[:, 0, 0], "cm2 s"),
        ("Psf", f"{profiles.shape[1]}D", profiles, "sr-1"),
    ]
    return to_bytes(
        [table_hdu("PSF", columns, {}), table_hdu("THETA", [("Theta", "D", np.asarray(psf["rad"]), "deg")], {})]
    )


def read_gtdrm(file: FitsFile) -> Fields:
    """Matrix (n_true, n_reco) and edges in TeV, from the table DRM.

    The reconstructed energies are those of EBOUNDS; in a file without, the middle ones of the true energies.
    """
    table = file.table("DRM")
    low, high = (_in_unit(table, name, "TeV", u.MeV) for name in ("ENERG_LO", "ENERG_HI"))
    true = np.append(low, high[-1])
    channels = int(table.number("DETCHANS"))
    if EBOUNDS in file:
        edges = ebounds(file)
    else:
        margin = (true.size - 1 - channels) // 2
        edges = true[margin : true.size - margin]
    if edges.size != channels + 1:
        raise InputError(
            f"{table.where}: DETCHANS is {channels}, but there are energies of {edges.size - 1} channels. The file is "
            "damaged."
        )
    rows = table.raw("MATRIX")
    if rows.dtype.hasobject or rows.shape != (true.size - 1, channels):
        matrix = matrix_rows(table, np.arange(1, channels + 1))
    else:
        # whole rows, whatever the groups are said to start with
        matrix = usable_bins(rows.astype(float), f"{table.where}: MATRIX")
    return {"matrix": matrix, "energy_true_edges": true, "energy_edges": edges}


def is_counts_cube(file: FitsFile) -> bool:
    """Whether the first HDU is a cube whose energies are in EBOUNDS."""
    return EBOUNDS in file and np.ndim(file.hdus[0].data) == 3


def read_counts_cube(file: FitsFile) -> tuple[SkyGeom, np.ndarray, np.ndarray]:
    """Geometry, energy edges in TeV, and counts (n_reco, ny, nx) of a counts cube (ccube)."""
    where = f"{file}[PRIMARY]"
    counts, edges = np.asarray(file.hdus[0].data, float), ebounds(file)
    if len(counts) != edges.size - 1:
        raise InputError(
            f"{where}: found {len(counts)} images, but EBOUNDS has {edges.size - 1} energy bins. The file is damaged."
        )
    cards = readable_cards(file.hdus[0].header, where)
    with naming(where):
        return SkyGeom.from_header(cards, counts.shape[1:], where), edges, usable_bins(counts, where)


def counts_cube_contents(geom: SkyGeom, energy_edges: Array, counts: Array) -> bytes:
    """The file of a counts cube."""
    edges = np.asarray(energy_edges) * u.TeV.to("keV")
    numbers = np.asarray(counts)
    whole = np.array_equal(numbers, np.rint(numbers)) and numbers.max(initial=0) < 2**31
    image = fits.PrimaryHDU(numbers.astype(np.int32) if whole else numbers)
    set_cards(image.header, geom.header | {"BUNIT": ""})
    channels = np.arange(1, edges.size)
    columns = [("CHANNEL", "J", channels, None), ("E_MIN", "D", edges[:-1], "keV"), ("E_MAX", "D", edges[1:], "keV")]
    hdus: list[Hdu] = [
        image,
        table_hdu(EBOUNDS, columns, {"HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": EBOUNDS}),
    ]
    return to_bytes(hdus)


def ebounds(file: FitsFile) -> np.ndarray:
    """Energy edges in TeV of the table EBOUNDS; in keV where it does not say."""
    table = file.table(EBOUNDS)
    if table.unit("E_MIN") != u.dimensionless_unscaled:
        return bin_edges(table, "E_MIN", "E_MAX")
    low, high = (table.column(name) * u.keV.to("TeV") for name in ("E_MIN", "E_MAX"))
    return np.append(low, high[-1])


def _in_unit(table: FitsTable, name: str, unit: str, missing: u.UnitBase) -> np.ndarray:
    """A column in ``unit``; in ``missing`` where the file does not say."""
    if name in table and table.unit(name) != u.dimensionless_unscaled:
        return table.column(name, unit)
    return table.column(name) * missing.to(unit)
