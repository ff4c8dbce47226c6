"""Reduced gamma-ray data (DL4) on JAX: predicted counts, likelihoods and joint fits as pure, differentiable functions.

Importing gammajax changes no global JAX setting. Fits need float64: say ``jax.config.update("jax_enable_x64", True)``.
"""

from importlib.metadata import version
from types import ModuleType
from typing import Any

from gammajax.datasets import (
    GTI,
    Dataset,
    InputError,
    Meta,
)
from gammajax.datasets.collection import (
    Datasets,
    info_dict,
    info_table,
    register_dataset,
    stack,
)
from gammajax.datasets.compile import (
    clear_programs,
)
from gammajax.datasets.counts import (
    CashCountsStatistic,
    WStatCountsStatistic,
    asimov,
    counts_statistic,
    fake,
    npred,
    npred_background,
    npred_signal,
    residuals,
    sigma_to_ts,
    stat_array,
    ts_to_sigma,
)
from gammajax.datasets.events import (
    EventList,
    bin_events,
    sample_events,
)
from gammajax.datasets.flux_points import (
    FluxPoints,
    FluxPointsDataset,
    FluxProfile,
    LightCurve,
)
from gammajax.datasets.hints.modules import no_name
from gammajax.datasets.io import (
    read_arf,
    write_arf,
)
from gammajax.datasets.irf import (
    EDispKernel,
    EDispKernelMap,
    EDispMap,
    PSFKernel,
    PSFMap,
    RecoPSFMap,
)
from gammajax.datasets.map import (
    MapDataset,
    MapDatasetOnOff,
)
from gammajax.datasets.models import (
    FoVBackgroundModel,
    GaussianPrior,
    GaussianPriorPenalty,
    GeneralizedGaussianPrior,
    InstrumentModel,
    LogUniformPrior,
    Models,
    Parameter,
    Parameters,
    PopulationModel,
    SkyModel,
    TemplateNPredModel,
    UniformPrior,
    create_fermi_isotropic_diffuse_model,
    dnde,
    parameter,
)
from gammajax.datasets.models.spatial import (
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    ModuleSpatialModel,
    PiecewiseNormSpatialModel,
    PointSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
    SpatialModel,
    TemplateNDSpatialModel,
    TemplateSpatialModel,
    register_spatial_model,
)
from gammajax.datasets.models.spectral import (
    BrokenPowerLawSpectralModel,
    CompoundSpectralModel,
    ConstantSpectralModel,
    EBLAbsorptionNormSpectralModel,
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawNormSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    LogParabola2SpectralModel,
    LogParabolaNormSpectralModel,
    LogParabolaSpectralModel,
    MeyerCrabSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
    SmoothBrokenPowerLawSpectralModel,
    SpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    SuperExpCutoffPowerLaw4FGLDR3SpectralModel,
    SuperExpCutoffPowerLaw4FGLSpectralModel,
    TemplateNDSpectralModel,
    TemplateSpectralModel,
    create_crab_spectral_model,
    register_spectral_model,
)
from gammajax.datasets.models.temporal import (
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    GaussianTemporalModel,
    GeneralizedGaussianTemporalModel,
    LightCurveTemplateTemporalModel,
    LinearTemporalModel,
    PowerLawTemporalModel,
    SineTemporalModel,
    TemplatePhaseCurveTemporalModel,
    TemporalModel,
    register_temporal_model,
)
from gammajax.datasets.region import (
    RegionGeom,
    RegionMapDataset,
)
from gammajax.datasets.sky import (
    MapAxis,
    SkyGeom,
    rectangles_along,
    rings_around,
)
from gammajax.datasets.spectrum import (
    SpectrumDataset,
    SpectrumDatasetOnOff,
)
from gammajax.datasets.statistics import (
    Statistic,
    register_statistic,
)
from gammajax.fit import (
    Comparison,
    Estimate,
    FitResult,
    FittedSpectrum,
    Likelihood,
    LikelihoodFit,
    LogDensity,
    Minima,
    PseudoExperiments,
    Status,
    compare,
    component_ts,
    fit,
    likelihood,
    log_density,
    pseudo_experiments,
    stat_sum,
)
from gammajax.fit.estimators import (
    SkyMaps,
    excess_map,
    flux_points,
    flux_profile,
    light_curve,
    residual_map,
    sensitivity,
    ts_map,
)
from gammajax.fit.scans import (
    Contour,
    Interval,
    Profile,
    UpperLimit,
    confidence_interval,
    contour,
    profile,
    upper_limit,
)

__version__ = version("gammajax")


def __getattr__(name: str) -> Any:
    """The bridge to gammapy and the pictures are loaded when they are used."""
    if name == "plots":
        from importlib import import_module

        return import_module("gammajax.plots")
    if name in ("from_gammapy", "to_gammapy"):
        from gammajax import interop

        return getattr(interop, name)
    raise no_name(name)


def __dir__() -> list[str]:
    """All public names, those that are loaded when they are used included."""
    modules = {name for name, content in globals().items() if isinstance(content, ModuleType)}
    dunder = {name for name in globals() if name.startswith("__")}
    return sorted({*__all__, *modules, *dunder, "plots"})


__all__ = [
    "GTI",
    "BrokenPowerLawSpectralModel",
    "CashCountsStatistic",
    "Comparison",
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
    "Estimate",
    "EventList",
    "ExpCutoffPowerLaw3FGLSpectralModel",
    "ExpCutoffPowerLawNormSpectralModel",
    "ExpCutoffPowerLawSpectralModel",
    "ExpDecayTemporalModel",
    "FitResult",
    "FittedSpectrum",
    "FluxPoints",
    "FluxPointsDataset",
    "FluxProfile",
    "FoVBackgroundModel",
    "GaussianPrior",
    "GaussianPriorPenalty",
    "GaussianSpatialModel",
    "GaussianSpectralModel",
    "GaussianTemporalModel",
    "GeneralizedGaussianPrior",
    "GeneralizedGaussianSpatialModel",
    "GeneralizedGaussianTemporalModel",
    "InputError",
    "InstrumentModel",
    "Interval",
    "LightCurve",
    "LightCurveTemplateTemporalModel",
    "Likelihood",
    "LikelihoodFit",
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
    "MeyerCrabSpectralModel",
    "Minima",
    "Models",
    "ModuleSpatialModel",
    "PSFKernel",
    "PSFMap",
    "Parameter",
    "Parameters",
    "PiecewiseNormSpatialModel",
    "PiecewiseNormSpectralModel",
    "PointSpatialModel",
    "PopulationModel",
    "PowerLaw2SpectralModel",
    "PowerLawNormSpectralModel",
    "PowerLawSpectralModel",
    "PowerLawTemporalModel",
    "Profile",
    "PseudoExperiments",
    "RecoPSFMap",
    "RegionGeom",
    "RegionMapDataset",
    "ScaleSpectralModel",
    "Shell2SpatialModel",
    "ShellSpatialModel",
    "SineTemporalModel",
    "SkyGeom",
    "SkyMaps",
    "SkyModel",
    "SmoothBrokenPowerLawSpectralModel",
    "SpatialModel",
    "SpectralModel",
    "SpectrumDataset",
    "SpectrumDatasetOnOff",
    "Statistic",
    "Status",
    "SuperExpCutoffPowerLaw3FGLSpectralModel",
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel",
    "SuperExpCutoffPowerLaw4FGLSpectralModel",
    "TemplateNDSpatialModel",
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
    "clear_programs",
    "compare",
    "component_ts",
    "confidence_interval",
    "contour",
    "counts_statistic",
    "create_crab_spectral_model",
    "create_fermi_isotropic_diffuse_model",
    "dnde",
    "excess_map",
    "fake",
    "fit",
    "flux_points",
    "flux_profile",
    "from_gammapy",
    "info_dict",
    "info_table",
    "light_curve",
    "likelihood",
    "log_density",
    "npred",
    "npred_background",
    "npred_signal",
    "parameter",
    "profile",
    "pseudo_experiments",
    "read_arf",
    "rectangles_along",
    "register_dataset",
    "register_spatial_model",
    "register_spectral_model",
    "register_statistic",
    "register_temporal_model",
    "residual_map",
    "residuals",
    "rings_around",
    "sample_events",
    "sensitivity",
    "sigma_to_ts",
    "stack",
    "stat_array",
    "stat_sum",
    "to_gammapy",
    "ts_map",
    "ts_to_sigma",
    "upper_limit",
    "write_arf",
]
