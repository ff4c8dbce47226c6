"""The fit statistics by their ``stat_type``, open to statistics of your own."""

from ..errors import InputError, warn
from ..hints.calls import hinted
from .base import Statistic
from .cash import CashStatistic, WeightedCashStatistic
from .chi2 import Chi2Statistic
from .distrib import DistribStatistic
from .profile import ProfileStatistic
from .wstat import WStatistic

STATISTICS: dict[str, Statistic] = {
    s.stat_type: s
    for s in (
        CashStatistic(),
        WeightedCashStatistic(),
        WStatistic(),
        Chi2Statistic(),
        DistribStatistic(),
        ProfileStatistic(),
    )
}


def known_stat_type(name: object, where: str, default: str) -> str:
    """The ``stat_type`` that a file names, ``default`` where it names none; a warning, and the default, for one that
    nobody has registered."""
    if name is None or name in STATISTICS:
        return default if name is None else str(name)
    warn(
        f"{where}: the statistic {name!r} is not known here, and the dataset has {default!r}. Register it before "
        "reading: gj.register_statistic(...)."
    )
    return default


_BUILT_IN = frozenset(STATISTICS)


@hinted
def register_statistic(statistic: Statistic) -> Statistic:
    """Let datasets name this statistic by its ``stat_type``.

    A statistic may be registered again, which replaces it, but not in place of one of the package's.

    Raises
    ------
    InputError
        for what is no `Statistic`, and for the ``stat_type`` of one of the package's.
    """
    if not isinstance(statistic, Statistic):
        raise InputError(
            f"register_statistic: found {statistic!r}, expected an instance of a class derived from gammajax.Statistic."
        )
    stat_type = getattr(statistic, "stat_type", None)
    if not isinstance(stat_type, str) or not stat_type:
        raise InputError(
            f"register_statistic: {type(statistic).__name__} needs a stat_type, a word; found {stat_type!r}."
        )
    names = getattr(statistic, "names", None)
    if not isinstance(names, tuple) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"register_statistic: {type(statistic).__name__} needs names, a tuple of the arrays that it reads, such as "
            f"('counts',); found {names!r}."
        )
    if stat_type in _BUILT_IN:
        raise InputError(f"register_statistic: {stat_type!r} is one of the package's. Choose another stat_type.")
    STATISTICS[stat_type] = statistic
    return statistic
