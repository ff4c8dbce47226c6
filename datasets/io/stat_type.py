"""The fit statistic of a dataset in the header of its file: one keyword, where it is not that of the type."""

from collections.abc import Mapping
from typing import Any

from astropy.io.fits.verify import VerifyError

from ..errors import InputError
from ..statistics.registry import known_stat_type

STAT_TYPE = "STATTYPE"
"""A keyword that gammapy does not know."""


def stat_type_cards(dataset: Any) -> dict[str, str]:
    """The card of a dataset whose statistic was chosen."""
    return {} if dataset.stat_type == type(dataset).stat_type else {STAT_TYPE: dataset.stat_type}


def stat_type_of(header: Mapping[str, Any], where: str, default: str) -> dict[str, str]:
    """The argument of the constructor, if the file names a statistic; see `known_stat_type`."""
    try:
        name = header.get(STAT_TYPE)
    except (ValueError, VerifyError) as error:  # astropy parses cards when they are asked for
        raise InputError(f"{where}: {STAT_TYPE} cannot be read ({error}). Correct the header.") from error
    return {} if name is None else {"stat_type": known_stat_type(str(name).strip(), where, default)}
