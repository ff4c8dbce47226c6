"""Names that gammapy's users look for in the package, and objects of gammapy, with what to write here."""

from .phrases import ARRAYS, COVARIANCE, EMPTY, ESTIMATE, LIGHT_CURVE, OBSERVE, REDUCE, Habits

NAMES: Habits = {
    # fitting
    "Fit": "gj.fit(datasets, models): the result has models, parameters, covariance and table()",
    "Covariance": COVARIANCE,
    "OptimizeResult": "gj.fit returns one gj.FitResult",
    "CovarianceResult": "gj.fit returns one gj.FitResult; result.covariance",
    "Sampler": "gj.log_density(datasets, models) is the posterior as a function of the free values, for any sampler",
    "SamplerResult": "gj.log_density(datasets, models), with the sampler of your choice",
    "select_nested_models": "fit both, gj.fit(datasets, models).stat, and compare: gj.ts_to_sigma(difference, n_dof)",
    "stat_profile_ul_scipy": "gj.upper_limit(datasets, result, name)",
    "PriorParameter": "the numbers of a prior are its fields: gj.GaussianPrior(mu=2, sigma=0.1)",
    "PriorParameters": "the numbers of a prior are its fields: gj.GaussianPrior(mu=2, sigma=0.1)",
    "Prior": "gj.GaussianPrior, gj.UniformPrior, gj.LogUniformPrior or gj.GeneralizedGaussianPrior",
    # datasets
    "create_empty_map_dataset_from_irfs": EMPTY,
    "create_map_dataset_from_observation": OBSERVE,
    "create_map_dataset_geoms": EMPTY,
    "DATASET_REGISTRY": "gj.register_dataset adds a type of dataset",
    "FermipyDatasetsReader": "read with gammapy, then gj.from_gammapy(datasets)",
    "MapDatasetEventSampler": "gj.sample_events(key, dataset, models)",
    "ObservationEventSampler": "gj.sample_events(key, dataset, models)",
    "OGIPDatasetReader": "gj.SpectrumDatasetOnOff.read(filename)",
    "OGIPDatasetWriter": "dataset.write(filename)",
    "MapDatasetMetaData": "gj.Meta",
    "apply_edisp": "gj.npred(dataset, models) folds with the energy dispersion",
    "split_dataset": "dataset.cutout(position, width), and gj.fit of all parts jointly",
    "set_and_restore_mask_fit": "dataset.with_mask_fit(energy_min=..., energy_max=...) is a new dataset",
    # models
    "create_cosmic_ray_spectral_model": "gj.PowerLawSpectralModel or gj.LogParabolaSpectralModel with its numbers",
    "DatasetModels": "gj.Models",
    "Model": "gj.SpectralModel, gj.SpatialModel and gj.TemporalModel are the bases of models",
    "ModelBase": "gj.SkyModel, gj.FoVBackgroundModel, gj.TemplateNPredModel and gj.InstrumentModel",
    "MODEL_REGISTRY": "gj.register_spectral_model, gj.register_spatial_model, gj.register_temporal_model",
    "SPATIAL_MODEL_REGISTRY": "gj.register_spatial_model",
    "SPECTRAL_MODEL_REGISTRY": "gj.register_spectral_model",
    "TEMPORAL_MODEL_REGISTRY": "gj.register_temporal_model",
    "integrate_spectrum": "spectral.integral(energy_min, energy_max)",
    "NaimaSpectralModel": "any eqx.Module that maps energy (TeV) to dN/dE: gj.SkyModel(spectral=module)",
    "read_hermes_cube": "gj.TemplateSpatialModel.read(filename) for GADF cubes",
    "scale_plot_flux": "gammajax.plots.plot_sed(result)",
    "EBL_DATA_BUILTIN": "gj.EBLAbsorptionNormSpectralModel.read(filename, redshift=...)",
    # maps
    "Geom": "gj.SkyGeom for images, gj.RegionGeom for one region",
    "WcsGeom": "gj.SkyGeom.create(...), and gj.MapAxis for energies",
    "HpxGeom": "HEALPix is not in it: reproject to a WCS map with gammapy",
    "HpxMap": "HEALPix is not in it: reproject to a WCS map with gammapy",
    "HpxNDMap": "HEALPix is not in it: reproject to a WCS map with gammapy",
    "LabelMapAxis": "gj.Datasets has names",
    "TimeMapAxis": "gj.GTI",
    "MapAxes": "energy_edges and energy_true_edges of a dataset",
    "MapCoord": "geom.center, geom.pixel_grid and astropy's SkyCoord",
    "Map": ARRAYS,
    "Maps": ARRAYS,
    "WcsMap": ARRAYS,
    "WcsNDMap": ARRAYS,
    "RegionNDMap": "spectra are plain arrays: the fields of gj.SpectrumDataset",
    "containment_radius": "psf.containment_radius(share, energy), gj.PSFMap",
    "containment_region": "psf.containment_radius(share, energy), gj.PSFMap",
    # data, responses
    **dict.fromkeys(
        (
            "DataStore", "Observation", "Observations", "ObservationFilter", "ObservationTable", "HDUIndexTable",
            "FixedPointingInfo", "PointingInfo", "PointingMode", "ObservationMetaData", "observatory_locations",
            "ObservationsEventsSampler", "get_irfs_features", "Background2D", "Background3D", "BackgroundIRF",
            "EffectiveAreaTable2D", "EnergyDependentMultiGaussPSF", "EnergyDispersion2D", "FoVAlignment", "IRF",
            "IRFMap", "IRF_REGISTRY", "load_irf_dict_from_file", "ParametricPSF", "PSF3D", "PSFKing", "RadMax2D",
        ),
        OBSERVE,
    ),
    "EventListMetaData": "gj.Meta",
    "GTIMetaData": "gj.Meta",
    # estimators, makers
    "FluxPointsEstimator": "gj.flux_points(datasets, result, 'source', energy_edges)",
    **dict.fromkeys(
        (
            "ASmoothMapEstimator", "Estimator", "ESTIMATOR_REGISTRY", "ExcessMapEstimator", "FluxProfileEstimator",
            "ImageProfile", "ImageProfileEstimator", "LightCurveEstimator", "ParameterEstimator",
            "SensitivityEstimator", "ParameterSensitivityEstimator", "TSMapEstimator",
            "EnergyDependentMorphologyEstimator",
        ),
        ESTIMATE,
    ),
    "FluxMaps": "gj.SkyMaps for maps, gj.FluxPoints for points",
    "ExcessMapEstimator": "gj.excess_map(datasets, models, radius), and gj.residual_map of what a fit leaves",
    "TSMapEstimator": "gj.ts_map(datasets, models, source)",
    "find_peaks": "maps.peaks('sqrt_ts', threshold=5) of a gj.SkyMaps",
    "find_peaks_in_flux_map": "maps.peaks('sqrt_ts', threshold=5) of a gj.SkyMaps",
    "FluxMetaData": "gj.Meta",
    **dict.fromkeys(
        (
            "AdaptiveRingBackgroundMaker", "DatasetsMaker", "FoVBackgroundMaker", "Maker", "MAKER_REGISTRY",
            "MapDatasetMaker", "PhaseBackgroundMaker", "ReflectedRegionsBackgroundMaker", "ReflectedRegionsFinder",
            "RegionsFinder", "RingBackgroundMaker", "SafeMaskMaker", "SpectrumDatasetMaker", "WobbleRegionsFinder",
        ),
        REDUCE,
    ),
    # statistics
    "cash": "gj.kernels.cash",
    "cstat": "gj.kernels.cash",
    "wstat": "gj.kernels.wstat",
    "get_wstat_mu_bkg": "gj.kernels.profile_background",
    "get_wstat_gof_terms": "gj.kernels.wstat_terms",
    "Chi2FitStatistic": "gj.FluxPointsDataset(points, stat_type='chi2')",
    "Chi2AsymmetricErrorFitStatistic": "gj.FluxPointsDataset(points, stat_type='distrib')",
    **dict.fromkeys(
        (
            "compute_fvar", "compute_fpp", "compute_flux_doubling", "compute_chisq", "structure_function",
            "discrete_correlation", "TimmerKonig_lightcurve_simulator",
        ),
        LIGHT_CURVE,
    ),
}  # fmt: skip
"""Names in gammapy's packages, asked of ``gammajax``."""

OBJECTS: Habits = {
    "Map": "its numbers: m.quantity",
    "Geom": "gj.SkyGeom.from_wcs(geom.wcs, geom.data_shape[-2:]) for pixels, geom.region for a region",
    "MapAxis": "its nodes: axis.edges",
    "GTI": "gj.GTI((gti.time_start - gti.time_ref).to('s'), (gti.time_stop - gti.time_ref).to('s'), gti.time_ref)",
    "EDispKernel": "gj.EDispKernel(edisp.pdf_matrix)",
    "Parameter": "its value: parameter.quantity",
    "IRF": "the dataset that holds it: gj.from_gammapy(dataset)",
    "IRFMap": "the dataset that holds it: gj.from_gammapy(dataset)",
    "PSFKernel": "gj.PSFKernel(kernel.psf_kernel_map.data)",
    "Prior": "gj.GaussianPrior(mu=2, sigma=0.1) and its kin",
    "Fit": "gj.fit(datasets, models)",
}
"""Objects of gammapy that `from_gammapy` does not convert, by a class that they derive from."""
