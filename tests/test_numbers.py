"""The contract of all arguments that take numbers: each kind of number gives what the plain one does, or is refused.

`ARGUMENTS` is held against the public surface, so that an argument that is not in it fails a test.
"""

import inspect
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cases.number_arguments import ARGUMENTS
from cases.number_kinds import HIDDEN, REFUSED, SAME, Argument, booleans, kinds_of, numbers_of
from cases.number_models import model_parameters

import gammajax as gj


@cache
def fitted() -> tuple[gj.SpectrumDataset, gj.FitResult]:
    spectrum = gj.SpectrumDataset([1, 2, 4, 8], counts=[60, 30, 12], background=[5, 4, 3], exposure=np.full(3, 2e12))
    return spectrum, gj.fit(spectrum, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="s")]))


def interval(v: Any) -> tuple[float, float]:
    found = gj.confidence_interval(*fitted(), "index", v)
    return found.lower, found.upper


def spectrum(method: str, *given: Any) -> Any:
    found = getattr(fitted()[1].spectrum("s"), method)(*given)
    return tuple(found) if isinstance(found, gj.Estimate) else found


OF_FITS = [
    *(
        Argument(f"FittedSpectrum.{m}: energy", partial(spectrum, m), [1, 2], "TeV")
        for m in ("evaluate_error", "spectral_index_error", "spectral_index")
    ),
    *(
        Argument(f"FittedSpectrum.{m}: {end}", lambda v, m=m, e=ends: spectrum(m, *e(v)), [2, 3], "TeV")
        for m in ("integral_error", "energy_flux_error", "flux", "energy_flux")
        for end, ends in (("energy_min", lambda v: (v, 10)), ("energy_max", lambda v: (1, v)))
    ),
    Argument("fit: tolerance", lambda v: gj.fit(fitted()[0], fitted()[1].models, tolerance=v).stat, 1),
    Argument(
        "profile: values", lambda v: gj.profile(*fitted(), "index", v, reoptimize=False).stat, [1, 2], name="index"
    ),
    Argument("profile: sigma", lambda v: gj.profile(*fitted(), "index", n=2, sigma=v, reoptimize=False).values, 1),
    Argument("confidence_interval: sigma", interval, 1),
    Argument("contour: sigma", lambda v: gj.contour(*fitted(), "index", "amplitude", v, n=3).x, 1),
    Argument("upper_limit: confidence", lambda v: gj.upper_limit(*fitted(), "index", v).limit, 0.9),
]
ALL = [*ARGUMENTS, *model_parameters()]

NO_NUMBERS: set[str] = {
    # objects of the package and of others
    *(
        "models",
        "fit_models",
        "model",
        "model1",
        "model2",
        "sources",
        "dataset",
        "datasets",
        "result",
        "events",
        "gti",
        "gtis",
        "geom",
        "psf",
    ),
    *("spectral", "spatial", "temporal", "spectrum", "edisp", "kernel", "region", "on_region", "meta", "prior", "wcs"),
    *("header", "position", "reference_model", "table", "obj", "cls", "statistic", "other", "mesh", "lattice"),
    # names, words, switches and files
    *("name", "names", "name_substring", "datasets_names", "dataset_name", "tag", "first", "others", "link", "role"),
    *("method", "operator", "interp", "unit", "value_unit", "frame", "scale", "proj", "node_type", "format", "mode"),
    *("sed_type", "stat_type", "source_grid", "filename", "base_path", "overwrite", "lazy", "path", "suffix", "kind"),
    *(
        "frozen",
        "normalize",
        "containment_correction",
        "cumulative",
        "reoptimize",
        "per_decade",
        "per_bin",
        "progress",
        "where",
    ),
    *("precision", "starts", "what", "axis_name", "apply_irf", "data", "key", "axis", "slices", "by_name", "default"),
    *("energy_interp", "time_interp", "round_to_edge", "filename_models", "folder", "penalties", "stack"),
    *("energy_scale_of", "part", "instrument", "exclude", "correlate_off", "errors", "limits", "formatted"),
    # of a finished model, which dataclasses.replace hands over; keywords that stand in the table one by one
    *("coordinates", "scales", "middle", "rest", "timing", "fields", "changes"),
}
"""Names of arguments that are no physical numbers wherever they stand."""

WHOLE: set[str] = {
    *("order", "nbin", "nodes", "n", "steps", "max_iterations", "batch_size", "factor", "n_radial", "n_angular"),
    *("shape", "y_slice", "x_slice", "chosen", "stride", "band"),
}
"""Numbers of things, which must be integers of Python or NumPy."""

OTHER_THINGS = {
    # results, the name of a model, and what goes on to gj.fit
    *("compare: result_a", "compare: result_b", "component_ts: component", "component_ts: options"),
    # a MapAxis, the names of parameters, parameters
    *("TemplateSpatialModel: energy", "contour: x", "contour: y", "Parameters: parameters"),
    *("TemplateNDSpatialModel: axes", "TemplateNDSpatialModel: energy", "GaussianPriorPenalty.stat_sum: parameters"),
    # a module of somebody's own
    "ModuleSpatialModel: module",
    # extents that the package hands itself; a name
    *(
        "Models.with_image_margins: rungs",
        "SkyModel.with_room: rungs",
        "flux_points: source",
        "light_curve: source",
        "sensitivity: source",
        "ts_map: source",
    ),
    # a switch; numbers of rows
    *("Likelihood.fit: covariance", "PseudoExperiments.datasets: index", "LightCurve.at: place"),
    # flux points, and rows of them
    *("LightCurve: points", "FluxProfile: points", "PointRows.at: place"),
    *("PointRows.points_of: rows", "PointRows.points_of: bands"),
    # regions and places of the sky
    *("flux_profile: regions", "rectangles_along: start", "rectangles_along: stop", "rings_around: center"),
    # a model; what a dataset has made
    *(f"{kind}.source_scores: {name}" for kind in ("Dataset", "MapBase") for name in ("source", "signal", "like")),
    # a mapping of arrays by name, each of which is converted as a field of a dataset is
    "SkyMaps: maps",
    # names of parameters
    "PopulationModel: members",
    *(
        f"GaussianPriorPenalty{method}: parameters"
        for method in ("", ".L2_penalty", ".SmoothnessPenalty", ".from_diagonal", ".from_precision")
    ),
    # names of published tables and spectra
    *("EBLAbsorptionNormSpectralModel.read_builtin: reference", "create_crab_spectral_model: reference"),
    # of models that do not depend on it; for the others TemplateSpatialModel stands
    "PositionedModel.evaluate: energy",
    # of models without a size, and of maps, which take no notice of it
    *(
        f"{name}.to_region: size_factor"
        for name in ("SpatialModel", "PointSpatialModel", "TemplateSpatialModel", "TemplateNDSpatialModel")
    ),
}
"""Arguments by function that are no numbers there."""

INTERNAL: set[str] = {
    # what datasets and models do for each other, with arrays that they made
    *(
        "prepare",
        "moved",
        "draw",
        "rise",
        "signal",
        "spectrum",
        "predict",
        "expected",
        "expected_background",
        "as_mask",
    ),
    *(
        "background_of",
        "prediction_of",
        "background_sums",
        "stacked_background",
        "stacked_response",
        "check_background",
        "info_sums",
    ),
    *("check_matrix", "per_energy", "pixel_index", "response_mask", "require_stackable", "source_counts", "crop"),
    *("from_arrays", "with_numbers", "with_sizes", "tree_unflatten", "from_extra", "fitted", "from_wcs", "from_header"),
    *("offset_bins", "merged_bins", "updated", "npred", "from_dict", "acting_on", "from_position", "parameters"),
    *("require_alpha", "warn_of_unreached", "trials"),
    # what fits and profiles return
    *("FitResult", "Profile", "Contour", "Interval", "UpperLimit", "Minima", "LogDensity", "Status", "Comparison"),
    *("Likelihood", "LikelihoodFit", "PseudoExperiments", "with_places"),
    *("FittedSpectrum", "Estimate"),
    # made by their own constructors: from_wcs, create
    *("SkyGeom", "RegionGeom"),
    # of anything; each field of it is in the table by the constructor
    *("replace", "read", "Meta", "get", "parameter"),
    # take no notice of them
    *("ConstantTemporalModel.mean", "EDispKernelMap.matrix_at"),
    # the protocol of datasets and statistics of somebody's own
    *("Dataset.deviance_bins", "Dataset.scoring_bins", "Dataset.stat_bins", "Statistic.stat_bins"),
    *("Statistic.deviance_bins", "Statistic.scoring_bins", "Statistic.background_bins"),
}
"""Functions whose arrays come from the package itself."""


def outcome(argument: Argument, given: Any) -> list[np.ndarray] | gj.InputError:
    try:
        return numbers_of(argument.call(given))
    except gj.InputError as error:
        return error


def check(argument: Argument, label: str, given: Any, wanted: str, plain: list[np.ndarray]) -> int:
    """Make the call, or two with other hidden numbers; how many were made."""
    calls = [outcome(argument, g) for g in (given if wanted == HIDDEN or label in HIDING else (given,))]
    what = f"{argument.where} as {label}"
    for found in calls:
        if isinstance(found, gj.InputError):
            assert wanted != SAME, f"{what}: {found}"
            assert argument.named in str(found), f"{what} does not name it: {found}"
            continue
        assert wanted != REFUSED, f"{what} was accepted: {found}"
        exact = "float32" in label or "f4" in label
        expected = calls[0] if wanted == HIDDEN else plain
        assert len(found) == len(expected), what
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6 if exact else 1e-12, atol=1e-300, err_msg=what)
    return len(calls)


HIDING = {
    *("masked array", "MaskedColumn", "Masked", "list with a masked entry", "MaskedColumn with unit"),
    "Masked Quantity",
}


@pytest.mark.parametrize(
    "argument", [*ALL, *(pytest.param(a, marks=pytest.mark.slow) for a in OF_FITS)], ids=lambda a: a.where
)
def test_every_kind_of_number(argument):
    given = argument.plain if argument.bare else u.Quantity(argument.plain, argument.unit)
    plain = numbers_of(argument.call(given))
    assert all(np.all(np.isfinite(p)) for p in plain), argument.where
    for label, given, wanted in kinds_of(argument):
        if given is not None:
            check(argument, label, given, wanted, plain)
    ones = outcome(argument, np.ones(np.shape(argument.plain)))
    if argument.bare and not isinstance(ones, gj.InputError):
        for label, given, wanted in booleans(argument):
            check(argument, label, given, wanted, ones)


def test_number_of_calls():
    """What the table covers, without making the calls."""
    calls = sum(
        1 + sum(2 if label in HIDING else 1 for label, given, _ in kinds_of(a) if given is not None)
        for a in (*ALL, *OF_FITS)
    )
    print(f"{len(ALL)} arguments, {calls} calls")
    assert len(ALL) > 560
    assert calls > 39000


def surface() -> Iterator[tuple[str, str, Any]]:
    """Public callables by the class that defines them, their arguments, and the function."""
    for name in gj.__all__:
        content = getattr(gj, name)
        if inspect.isfunction(content):
            yield from ((name, argument, content) for argument in inspect.signature(content).parameters)
        if not inspect.isclass(content) or issubclass(content, Exception):
            continue
        yield from ((name, argument, content) for argument in inspect.signature(content).parameters)
        for member in dir(content):
            found = inspect.getattr_static(content, member)
            found = getattr(found, "__func__", found)
            public = not member.startswith("_") or member == "__call__"
            if public and inspect.isfunction(found) and found.__module__.startswith("gammajax"):
                arguments = [a for a in inspect.signature(found).parameters if a not in ("self", "cls")]
                yield from ((found.__qualname__, argument, found) for argument in arguments)


def is_formula(where: str, function: Any) -> bool:
    """Wrapped by its class so that its arguments are converted; the rows of three classes stand for all."""
    kind, _, method = where.rpartition(".")
    return hasattr(function, "__wrapped__") and method in getattr(getattr(gj, kind, None), "formulas", {})


def test_no_public_argument_is_forgotten():
    known = {a.where for a in (*ALL, *OF_FITS)}
    forgotten = {
        f"{where}: {argument}"
        for where, argument, function in surface()
        if f"{where}: {argument}" not in known
        and argument not in NO_NUMBERS | WHOLE
        and where not in INTERNAL
        and where.rpartition(".")[2] not in INTERNAL
        and f"{where}: {argument}" not in OTHER_THINGS
        and not is_formula(where, function)
        and not getattr(function, "__isabstractmethod__", False)
    }
    assert not forgotten, sorted(forgotten)


def test_what_the_table_names_exists():
    there = {f"{where}: {argument}" for where, argument, _ in surface()}
    plain = {a.where for a in (*ARGUMENTS, *OF_FITS) if "=" not in a.where and "[" not in a.where}
    assert plain <= there, sorted(plain - there)
