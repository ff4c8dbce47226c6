"""The isotropic background of the Fermi-LAT as a source model."""

import numpy as np
from astropy import units as u

from ..errors import InputError
from ..hints.calls import hinted
from ..io.paths import Filename, as_path
from .sky_model import Names, SkyModel
from .spatial.builtin import ConstantSpatialModel
from .spectral.compound import CompoundSpectralModel
from .spectral.norms import PowerLawNormSpectralModel
from .spectral.template import TemplateSpectralModel


@hinted
def create_fermi_isotropic_diffuse_model(
    filename: Filename, datasets_names: Names = None, name: str | None = None
) -> SkyModel:
    """The isotropic emission in one of the LAT's ``iso_....txt`` files, times a `PowerLawNormSpectralModel`.

    The columns are energy (MeV) and intensity (MeV-1 s-1 cm-2 sr-1). Neither PSF nor energy dispersion act on it. By
    default the name is that of gammapy: ``isotropic_<dataset>`` for one dataset, else ``fermi-diffuse-iso``. Raises
    `InputError` for a file that is no such table.
    """
    path = as_path(filename)
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no table of energies and intensities can be read ({error}).") from error
    if table.shape[0] < 2 or table.shape[1] < 2:
        raise InputError(f"{path}: found a table of shape {table.shape}, expected columns of energy and intensity.")
    spectrum = TemplateSpectralModel(u.Quantity(table[:, 0], "MeV"), u.Quantity(table[:, 1], "MeV-1 s-1 cm-2"))
    switches = {"exposure": True, "psf": False, "edisp": False}
    source = SkyModel(
        CompoundSpectralModel(spectrum, PowerLawNormSpectralModel(), "mul"),
        "fermi-diffuse-iso" if name is None else name,
        datasets_names,
        switches,
        ConstantSpatialModel(),
    )
    known = source.datasets_names
    return source.replace(name=f"isotropic_{known[0]}") if name is None and known and len(known) == 1 else source
