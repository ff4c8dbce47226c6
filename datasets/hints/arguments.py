"""Attributes that gammapy's users set and arguments that they give, by class of gammajax, with what to write here."""

from collections.abc import Mapping

from .phrases import COVARIANCE, FIXED, INTERNAL, MODELS_GIVEN, Habits

ASSIGNMENTS: Mapping[str, Habits] = {
    "Dataset": {
        "models": MODELS_GIVEN,
        "mask_fit": "dataset = dataset.with_mask_fit(mask), or with_mask_fit(energy_min=..., energy_max=...)",
        "mask_safe": "dataset = dataset.with_mask_safe(mask)",
        "name": "names are the keys: gj.Datasets({'name': dataset})",
    },
    "Datasets": {"models": MODELS_GIVEN},
    "Models": {
        "parameters": "models = models.with_values({'name': value})",
        "covariance": COVARIANCE,
    },
    "Parameter": {
        "value": "models = models.with_parameter('name', value=3), or spectral.replace(index=3)",
        "quantity": "models = models.with_parameter('name', value=3 * unit)",
        "error": "models = models.with_parameter('name', error=0.1)",
        "frozen": "models = models.freeze('name') or models.unfreeze('name')",
        "min": "models = models.with_parameter('name', min=0)",
        "max": "models = models.with_parameter('name', max=5)",
        "prior": "models = models.with_parameter('name', prior=gj.GaussianPrior(mu=2, sigma=0.1))",
        "unit": "give the value as a Quantity, it is converted: models.with_parameter('name', value=3 * unit)",
    },
}
"""Attributes that gammapy's users set, by class."""

ARGUMENTS: Mapping[str, Habits] = {
    "ModelBase": {
        "spectral_model": "spectral=...",
        "spatial_model": "spatial=...",
        "temporal_model": "temporal=...",
        "dataset_name": "datasets_names='name'",
        "map": "counts=... and energies are those of the dataset",
        "covariance_data": COVARIANCE,
        "copy_data": FIXED,
    },
    "Dataset": {
        "models": MODELS_GIVEN,
        "name": "names are the keys: gj.Datasets({'name': dataset})",
        "meta_table": "meta=gj.Meta(...)",
    },
    "Datasets": {"models": MODELS_GIVEN},
    "Models": {"covariance": COVARIANCE, "covariance_data": COVARIANCE},
    "Parameter": {
        "name": "names are those of the fields of a model",
        "factor": "value=...",
        "scale_method": INTERNAL,
        "interp": INTERNAL,
    },
    "GTI": {"time_ref": "reference=...", "reference_time": "reference=...", "table": "gj.GTI(start, stop, reference)"},
    "FluxPoints": {
        "sed_type": "gj.FluxPoints.from_table(table, sed_type)",
        "reference_spectral_model": "reference_model=...",
    },
}
"""Keyword arguments of constructors, by class."""

CALLS: Mapping[str, Habits] = {
    "fit": {
        "backend": "method='scoring', 'minuit' or an optax optimiser",
        "optimize_opts": "tolerance=..., max_iterations=..., starts=...",
        "covariance_opts": "the covariance is that of the exact second derivatives",
        "confidence_opts": "gj.confidence_interval(datasets, result, name)",
        "store_trace": "progress=function, which is called as progress(iterations, stat, edm)",
    },
    "read": {"name": "names are the keys: gj.Datasets({'name': dataset})", "checksum": "checksums are always checked"},
    "write": {"checksum": "checksums are always written", "full_output": INTERNAL, "overwrite_templates": INTERNAL},
    "fake": {"random_state": "key=jax.random.key(seed)", "fake_mode": "gj.fake, or gj.asimov for 'asimov'"},
    "create": {"name": "names are the keys: gj.Datasets({'name': dataset})", "energy_axis": "energy_edges=axis.edges"},
    "slice_by_energy": {"name": "names are the keys: gj.Datasets({'name': dataset})"},
    "slice_by_idx": {"name": "names are the keys: gj.Datasets({'name': dataset})"},
    "downsample": {"weights": INTERNAL, "name": "names are the keys: gj.Datasets({'name': dataset})"},
    "cutout": {"name": "names are the keys: gj.Datasets({'name': dataset})"},
    "stack": {"nan_to_num": "bins that are NaN and not in mask_safe are 0"},
    "confidence_interval": {"parameter": "name='source.spectral.index'"},
    "profile": {"parameter": "name='source.spectral.index'"},
}
"""Keyword arguments of functions and methods, by the name of these."""
