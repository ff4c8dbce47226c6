"""What all datasets of counts share: predictions, statistics, stacking, reshaping, simulation."""

from .create import coarse as coarse
from .npred import counts_statistic as counts_statistic
from .npred import npred as npred
from .npred import npred_background as npred_background
from .npred import npred_signal as npred_signal
from .npred import residuals as residuals
from .npred import stat_array as stat_array
from .reshape_energy import check_factor as check_factor
from .reshape_energy import slice_bounds as slice_bounds
from .reshape_mask import masked_edisp as masked_edisp
from .significance import CashCountsStatistic as CashCountsStatistic
from .significance import WStatCountsStatistic as WStatCountsStatistic
from .significance import sigma_to_ts as sigma_to_ts
from .significance import ts_to_sigma as ts_to_sigma
from .simulate import asimov as asimov
from .simulate import fake as fake
from .stack_meta import join_meta as join_meta
from .sums import bin_sums as bin_sums
from .sums import stored as stored
