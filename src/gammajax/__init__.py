"""Reduced gamma-ray data (DL4) on JAX: predicted counts, likelihoods and joint fits as pure, differentiable functions.

Importing gammajax changes no global JAX setting. Fits need float64: say ``jax.config.update("jax_enable_x64", True)``.
"""

from importlib.metadata import PackageNotFoundError, version

from gammajax.datasets.container import Datasets
from gammajax.datasets.edisp import EDispKernel
from gammajax.datasets.errors import InputError
from gammajax.datasets.gti import GTI
from gammajax.datasets.meta import Meta
from gammajax.datasets.models import Models, Parameters
from gammajax.datasets.npred import npred, npred_background, npred_signal, stat_array
from gammajax.datasets.parameter import Parameter
from gammajax.datasets.prior import GaussianPrior, GeneralizedGaussianPrior, LogUniformPrior, UniformPrior
from gammajax.datasets.simulate import asimov, fake
from gammajax.datasets.sky_model import FoVBackgroundModel, SkyModel
from gammajax.datasets.spectral_models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
)
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff
from gammajax.fit.density import LogDensity, log_density, stat_sum
from gammajax.fit.result import FitResult
from gammajax.fit.run import fit
