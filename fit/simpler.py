"""Parameters of a fit that are near the value at which they have no effect: a simpler model may do."""

from collections.abc import Iterable

from ..datasets.models.collection import Models
from ..datasets.models.parameter import Parameter
from ..datasets.models.sky_model import SkyModel
from ..datasets.models.spectral.builtin import LogParabola2SpectralModel, LogParabolaSpectralModel

NEAR = 2.0
"""Errors from that value up to which a parameter is named."""

NOTHING = {
    "rate": "0, where there is no cutoff",
    "coefficient": "0, where there is no cutoff",
    "cutoff": "infinity (0 for its inverse), where there is no cutoff",
    "width": "0, where the source is a point",
    "radius": "0, where the source is a point",
    "eccentricity": "0, where the source is round",
}
"""Where parameters of a role have no effect."""

CURVED = (LogParabolaSpectralModel, LogParabola2SpectralModel)


def simpler(models: Models, names: Iterable[str]) -> list[str]:
    """Sentences on those of the parameters ``names`` of sources that are within two errors of having no effect.

    Cutoffs, curvatures, sizes and eccentricities. Parameters without a finite error are left out.
    """
    found, known = [], set(names)
    for model in models:
        if not isinstance(model, SkyModel):
            continue
        for name, parameter in Models([model]).parameters.items():
            where = _nothing(model, name, parameter) if name in known else ""
            if where and _is_near(parameter):
                found.append(
                    f"{name} is within {NEAR:g} sigma of {where}. A simpler model may do: gj.compare both fits."
                )
    return found


def _nothing(model: SkyModel, name: str, parameter: Parameter) -> str:
    """The value at which a parameter has no effect, in words; empty for those that have none."""
    kind, _, last = name.removeprefix(f"{model.name}.").partition(".")
    if kind == "spectral":
        if isinstance(model.spectral, CURVED) and last == "beta":
            return "0, where there is no curvature"
        # the width of a line is not one of these
        return NOTHING[parameter.role] if parameter.role in ("rate", "coefficient", "cutoff") else ""
    shapes = ("width", "radius", "eccentricity")
    return NOTHING[parameter.role] if kind == "spatial" and parameter.role in shapes else ""


def _is_near(parameter: Parameter) -> bool:
    """Whether 0 is near. Of an energy of a cutoff it is the inverse, which has the same relative error."""
    value, error = float(parameter.value), float(parameter.error)
    return 0 < error < float("inf") and abs(value) < NEAR * error
