"""Reduced gamma-ray data (DL4) on JAX: predicted counts, likelihoods and joint fits as pure, differentiable functions.

Importing gammajax changes no global JAX setting. Fits need float64: say ``jax.config.update("jax_enable_x64", True)``.
"""

from importlib.metadata import version
from typing import Any

from gammajax.datasets.container import Datasets
from gammajax.datasets.counts_statistic import (
    CashCountsStatistic,
    WStatCountsStatistic,
    counts_statistic,
    sigma_to_ts,
    ts_to_sigma,
)
from gammajax.datasets.dataset import Dataset, dnde
from gammajax.datasets.dataset_registry import register_dataset
from gammajax.datasets.ebl import EBLAbsorptionNormSpectralModel
from gammajax.datasets.edisp import EDispKernel
from gammajax.datasets.edisp_map import EDispKernelMap, EDispMap
from gammajax.datasets.errors import InputError
from gammajax.datasets.events import EventList, bin_events, sample_events
from gammajax.datasets.flux_points import FluxPoints
from gammajax.datasets.flux_points_dataset import FluxPointsDataset
from gammajax.datasets.gti import GTI
from gammajax.datasets.info import info_dict, info_table
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.map_axis import MapAxis
from gammajax.datasets.meta import Meta
from gammajax.datasets.models import Models, Parameters
from gammajax.datasets.npred import npred, npred_background, npred_signal, stat_array
from gammajax.datasets.parameter import Parameter
from gammajax.datasets.prior import GaussianPrior, GeneralizedGaussianPrior, LogUniformPrior, UniformPrior
from gammajax.datasets.psf import PSFKernel, PSFMap, RecoPSFMap
from gammajax.datasets.region_geom import RegionGeom
from gammajax.datasets.region_map import RegionMapDataset
from gammajax.datasets.residuals import residuals
from gammajax.datasets.simulate import asimov, fake
from gammajax.datasets.sky_geometry import SkyGeom
from gammajax.datasets.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from gammajax.datasets.spatial_base import SpatialModel
from gammajax.datasets.spatial_models import (
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    PointSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
)
from gammajax.datasets.spatial_template import TemplateSpatialModel
from gammajax.datasets.spectral_base import SpectralModel
from gammajax.datasets.spectral_models import (
    BrokenPowerLawSpectralModel,
    CompoundSpectralModel,
    ConstantSpectralModel,
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawNormSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    LogParabola2SpectralModel,
    LogParabolaNormSpectralModel,
    LogParabolaSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
    SmoothBrokenPowerLawSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
)
from gammajax.datasets.spectral_template import TemplateNDSpectralModel, TemplateSpectralModel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff
from gammajax.datasets.stack import stack
from gammajax.datasets.temporal_base import TemporalModel
from gammajax.datasets.temporal_models import (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    GeneralizedGaussianTemporalModel,
    LinearTemporalModel,
    PowerLawTemporalModel,
    SineTemporalModel,
)
from gammajax.datasets.temporal_tables import LightCurveTemplateTemporalModel, TemplatePhaseCurveTemporalModel
from gammajax.fit.contour import Contour, contour
from gammajax.fit.density import LogDensity, log_density, stat_sum
from gammajax.fit.profile import Interval, Profile, UpperLimit, confidence_interval, profile, upper_limit
from gammajax.fit.result import FitResult
from gammajax.fit.run import fit

__version__ = version("gammajax")


def __getattr__(name: str) -> Any:
    """The bridge to gammapy and the pictures are loaded when they are used."""
    if name == "plots":
        from importlib import import_module

        return import_module("gammajax.plots")
    if name in ("from_gammapy", "to_gammapy"):
        from gammajax import interop

        return getattr(interop, name)
    raise AttributeError(f"module 'gammajax' has no attribute {name!r}")


__all__ = [
    "GTI",
    "BrokenPowerLawSpectralModel",
    "CashCountsStatistic",
    "CompoundSpectralModel",
    "ConstantFluxSpatialModel",
    "ConstantSpatialModel",
    "ConstantSpectralModel",
    "ConstantTemporalModel",
    "Contour",
    "Dataset",
    "Datasets",
    "DiskSpatialModel",
    "EBLAbsorptionNormSpectralModel",
    "EDispKernel",
    "EDispKernelMap",
    "EDispMap",
    "EventList",
    "ExpCutoffPowerLaw3FGLSpectralModel",
    "ExpCutoffPowerLawNormSpectralModel",
    "ExpCutoffPowerLawSpectralModel",
    "ExpDecayTemporalModel",
    "FitResult",
    "FluxPoints",
    "FluxPointsDataset",
    "FoVBackgroundModel",
    "GaussianPrior",
    "GaussianSpatialModel",
    "GaussianSpectralModel",
    "GaussianTemporalModel",
    "GeneralizedGaussianPrior",
    "GeneralizedGaussianSpatialModel",
    "GeneralizedGaussianTemporalModel",
    "InputError",
    "Interval",
    "LightCurveTemplateTemporalModel",
    "LinearTemporalModel",
    "LogDensity",
    "LogParabola2SpectralModel",
    "LogParabolaNormSpectralModel",
    "LogParabolaSpectralModel",
    "LogUniformPrior",
    "MapAxis",
    "MapDataset",
    "MapDatasetOnOff",
    "Meta",
    "Models",
    "PSFKernel",
    "PSFMap",
    "Parameter",
    "Parameters",
    "PiecewiseNormSpectralModel",
    "PointSpatialModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
    "PowerLawTemporalModel",
    "Profile",
    "RecoPSFMap",
    "RegionGeom",
    "RegionMapDataset",
    "ScaleSpectralModel",
    "Shell2SpatialModel",
    "ShellSpatialModel",
    "SineTemporalModel",
    "SkyGeom",
    "SkyModel",
    "SmoothBrokenPowerLawSpectralModel",
    "SpatialModel",
    "SpectralModel",
    "SpectrumDataset",
    "SpectrumDatasetOnOff",
    "SuperExpCutoffPowerLaw3FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel",
    "SuperExpCutoffPowerLaw4FGLSpectralModel",
    "TemplateNDSpectralModel",
    "TemplateNPredModel",
    "TemplatePhaseCurveTemporalModel",
    "TemplateSpatialModel",
    "TemplateSpectralModel",
    "TemporalModel",
    "UniformPrior",
    "UpperLimit",
    "WStatCountsStatistic",
    "asimov",
    "bin_events",
    "confidence_interval",
    "contour",
    "counts_statistic",
    "dnde",
    "fake",
    "fit",
    "from_gammapy",
    "info_dict",
    "info_table",
    "log_density",
    "npred",
    "npred_background",
    "npred_signal",
    "profile",
    "register_dataset",
    "residuals",
    "sample_events",
    "sigma_to_ts",
    "stack",
    "stat_array",
    "stat_sum",
    "to_gammapy",
    "ts_to_sigma",
    "upper_limit",
]
