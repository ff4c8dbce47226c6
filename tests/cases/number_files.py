"""The arguments of functions that read and write files, each with a call that uses it, for the contract test."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

import gammajax as gj
from cases.number_kinds import Argument
from cases.number_models import GEOM

EDGES = [1, 2, 4, 8]


def written(write: Callable[[Path], Any], read: Callable[[Path], Any]) -> Any:
    """What is read of a file after it has been written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.fits"
        write(path)
        return read(path)


@cache
def absorption() -> str:
    """A folder with a table of absorption; its life ends with the program's."""
    folder = tempfile.TemporaryDirectory()
    nodes = fits.BinTableHDU(Table({"VALUE": [[0.1, 1.0, 2.0]]}), name="PARAMETERS")
    energies = fits.BinTableHDU(Table({"ENERG_LO": [1e8, 1e9], "ENERG_HI": [1e9, 1e10]}), name="ENERGIES")
    spectra = fits.BinTableHDU(
        Table({"PARAMVAL": [0.1, 1.0, 2.0], "INTPSPEC": [[1.0, 0.9], [0.9, 0.5], [0.8, 0.2]]}), name="SPECTRA"
    )
    fits.HDUList([fits.PrimaryHDU(), nodes, energies, spectra]).writeto(Path(folder.name) / "ebl_dominguez11.fits.gz")
    # kept, as the folder goes with the object
    KEPT.append(folder)
    return folder.name


KEPT: list[tempfile.TemporaryDirectory[str]] = []


def files() -> list[Argument]:
    kernel = gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2)
    bare = gj.EDispKernel(kernel.matrix)
    psf = gj.PSFKernel(np.ones((3, 3, 3)))

    def dispersion(given: Any, field: str) -> Callable[[Any], Any]:
        base = {"energy_true_edges": EDGES, "energy_edges": EDGES}

        def call(v: Any) -> Any:
            read = written(lambda path: given.write(path, **(base | {field: v})), type(given).read)
            return read.energy_true_edges, read.energy_edges

        return call

    def planes(path: Path) -> Any:
        table = Table.read(path, "SKYMAP_BANDS")
        return tuple(table[name].quantity.to_value("TeV") for name in ("ENERGY_TRUE_MIN", "ENERGY_TRUE_MAX"))

    def area(field: str) -> Callable[[Any], Any]:
        base = {"energy_true_edges": EDGES, "area": [1, 2, 3]}
        return lambda v: tuple(written(lambda path: gj.write_arf(path, **(base | {field: v})), gj.read_arf))

    def absorbed(field: str) -> Callable[[Any], Any]:
        read = gj.EBLAbsorptionNormSpectralModel.read_builtin
        return lambda v: getattr(read(**{field: v}, folder=absorption()), field).quantity.to_value("")

    return [
        *(
            Argument(f"{type(given).__name__}.write: {field}", dispersion(given, field), EDGES, "TeV")
            for given in (bare, gj.EDispKernelMap.from_kernel(bare))
            for field in ("energy_true_edges", "energy_edges")
        ),
        Argument(
            "PSFKernel.write: energy_true_edges",
            lambda v: written(lambda path: psf.write(path, GEOM, v), planes),
            EDGES,
            "TeV",
        ),
        Argument("write_arf: energy_true_edges", area("energy_true_edges"), EDGES, "TeV"),
        Argument("write_arf: area", area("area"), [1, 2, 3], "cm2", other="m2"),
        *(
            Argument(f"EBLAbsorptionNormSpectralModel.read_builtin: {field}", absorbed(field), 1)
            for field in ("redshift", "alpha_norm")
        ),
    ]
