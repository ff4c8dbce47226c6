"""Fits of models to datasets, their results, profiles and contours."""

from .compare import Comparison as Comparison
from .compare import compare as compare
from .compare import component_ts as component_ts
from .covariance import curvature as curvature
from .density import LogDensity as LogDensity
from .density import log_density as log_density
from .density import stat_sum as stat_sum
from .fit import fit as fit
from .likelihood import Likelihood as Likelihood
from .likelihood import LikelihoodFit as LikelihoodFit
from .likelihood import likelihood as likelihood
from .predictions import Prediction as Prediction
from .predictions import predictions as predictions
from .pseudo_experiments import PseudoExperiments as PseudoExperiments
from .pseudo_experiments import pseudo_experiments as pseudo_experiments
from .result import FitResult as FitResult
from .result import Minima as Minima
from .result_files import result_contents as result_contents
from .sampling import SamplingDensity as SamplingDensity
from .spectra import Estimate as Estimate
from .spectra import FittedSpectrum as FittedSpectrum
from .status import Status as Status
