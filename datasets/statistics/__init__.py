"""Fit statistics: -2 ln L of bins, each in its file, found by ``stat_type``."""

from .base import Statistic as Statistic
from .cash import CashStatistic as CashStatistic
from .cash import WeightedCashStatistic as WeightedCashStatistic
from .chi2 import Chi2Statistic as Chi2Statistic
from .distrib import DistribStatistic as DistribStatistic
from .profile import ProfileStatistic as ProfileStatistic
from .registry import STATISTICS as STATISTICS
from .registry import register_statistic as register_statistic
from .wstat import WStatistic as WStatistic
from .wstat import alpha_of as alpha_of
