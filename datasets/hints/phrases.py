"""Sentences that several habits share."""

from collections.abc import Mapping

Habits = Mapping[str, str]
"""What to write, by the name that gammapy has."""

MODELS_GIVEN = (
    "a dataset holds no models, they are given where they are needed: gj.fit(datasets, models), "
    "gj.npred(dataset, models)"
)
FIXED = "nothing changes in place; no copy is needed"
ESTIMATE = (
    "estimators are functions: gj.flux_points, gj.light_curve, gj.sensitivity, gj.excess_map, gj.residual_map and "
    "gj.ts_map; gj.profile, gj.confidence_interval and gj.upper_limit scan any parameter of a fit"
)
REDUCE = "data reduction is gammapy's: reduce there, then gj.from_gammapy(dataset) or gj.Datasets.read(filename)"
OBSERVE = "events and full-enclosure responses are gammapy's: reduce them there, then gj.from_gammapy(dataset)"
ARRAYS = (
    "maps are plain arrays (energy, y, x): the fields of gj.MapDataset, with gj.SkyGeom and gj.MapAxis for the axes"
)
OWN_NAME = "use the name of the datum itself: the field is an array"
YAML = "gj.Models.read(filename) and models.write(filename), or gj.Models.from_dict and models.to_dict()"
PART_DICT = "gj.Models([gj.SkyModel(spectral, name='s')]).to_dict(), and gj.Models.from_dict to read it"
INTERNAL = "it belongs to gammapy's inner workings and has no counterpart"
COVARIANCE = "the covariance belongs to the fit: result.covariance, in the order of result.free_names"
SAMPLES = (
    "draw values from np.random.default_rng().multivariate_normal(mean, result.covariance), and set them with "
    "models.with_values(...)"
)
EMPTY = "gj.MapDataset.create(geom, energy_edges, ...), or gj.SpectrumDataset.create(energy_edges, ...)"
LIGHT_CURVE = "gammapy.stats has these, for arrays: curve.flux.value of a gj.LightCurve"
