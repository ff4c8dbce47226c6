"""The arguments of models that take numbers, each with a call that uses it, for the contract test."""

import dataclasses
import inspect
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np

import gammajax as gj
from cases.number_kinds import Argument
from gammajax.datasets.models.component import ModelComponent
from gammajax.datasets.models.parameter import Declaration

DNDE, FLUX, EFLUX = "TeV-1 s-1 cm-2", "s-1 cm-2", "TeV s-1 cm-2"
GEOM = gj.SkyGeom.create((0, 0), 1.0, npix=2)
PL = gj.PowerLawSpectralModel(index=2, amplitude=3e-11)
NORM = gj.PowerLawNormSpectralModel(tilt=1)
SOURCE = gj.SkyModel(PL, name="s")
MODELS = gj.Models([SOURCE])
GTI = gj.GTI([0], [100], 55555)
GAUSS = gj.GaussianSpatialModel(sigma=1)
DISK = gj.DiskSpatialModel(r_0=1)
CURVE = gj.LinearTemporalModel(beta=0.5, t_ref=55555)
LIGHT = gj.LightCurveTemplateTemporalModel([0, 1], [[1, 2], [3, 4]], 55555, energy=[1, 10])
IMAGE = [[1, 2], [3, 4]]
EBL = {"energy": [1, 10], "param": [1, 2], "data": [[1, 1], [1, 1]]}
GRID = {"energy": [1, 10], "axes": {"tilt": [1, 2]}, "values": [[1, 2], [3, 4]]}
ENERGIES = [1, 2, 5]

NEEDED: dict[Any, dict[str, Any]] = {
    gj.CompoundSpectralModel: {"model1": PL, "model2": NORM, "operator": "mul"},
    gj.ScaleSpectralModel: {"model": PL},
    gj.EBLAbsorptionNormSpectralModel: EBL,
    gj.PiecewiseNormSpectralModel: {"energy": [1, 10]},
    gj.TemplateSpectralModel: {"energy": [1, 10], "values": [1, 2]},
    gj.TemplateNDSpectralModel: GRID,
    gj.TemplateSpatialModel: {"values": IMAGE, "geom": GEOM},
    gj.LightCurveTemplateTemporalModel: {"time": [0, 1], "norm": [1, 2]},
    gj.TemplatePhaseCurveTemporalModel: {"phase": [0, 1], "norm": [1, 2]},
}
"""Arguments without which a model cannot be made."""


def made_with(cls: Any, field: str, *read: str) -> Any:
    """Numbers of a model that is given a field."""
    return lambda v: tuple(getattr(cls(**(NEEDED.get(cls, {}) | {field: v})), name) for name in (read or (field,)))


def model_parameters() -> list[Argument]:
    """Every parameter of every model class, as its constructor and as ``replace`` take it."""
    found = []
    for name in gj.__all__:
        cls = getattr(gj, name)
        if not (inspect.isclass(cls) and issubclass(cls, ModelComponent)) or inspect.isabstract(cls):
            continue
        for field in dataclasses.fields(cls):
            declaration = field.metadata.get("converter")
            if not isinstance(declaration, Declaration):
                continue
            unit, argument, times = str(field.metadata["unit"]), field.name, declaration.role == "time"

            def value(model: Any, field: str = argument, unit: str = unit) -> Any:
                return model.parameters[field].quantity.to_value(unit)

            def constructed(v: Any, cls: Any = cls, field: str = argument, value: Any = value) -> Any:
                return value(cls(**(NEEDED.get(cls, {}) | {field: v})))

            def replaced(v: Any, cls: Any = cls, field: str = argument, value: Any = value) -> Any:
                return value(cls(**NEEDED.get(cls, {})).replace(**{field: v}))

            found.append(Argument(f"{name}: {argument}", constructed, 1, unit, times=times))
            found.append(Argument(f"{name}.replace: {argument}=", replaced, 1, unit, name=argument, times=times))
    return found


def components() -> list[Argument]:
    """Constructors of tables, and what formulas are asked by."""
    compound = gj.CompoundSpectralModel(PL, NORM, "mul")
    surface = "TeV-1 s-1 cm-2 sr-1"
    vectors = [[1, 0, 0], [0, 1, 0]]
    at = np.array([[1.0, 0, 0]])

    def template(cls: Any, unit: str, **given: Any) -> Any:
        def call(v: Any) -> Any:
            found = cls(**(given | {"values": v}))
            # a template has any unit, and keeps it: sources and products look at it
            if found.value_unit != unit:
                raise gj.InputError(f"values are in {found.value_unit}")
            return found.values

        return call

    def axis(v: Any) -> Any:
        found = gj.TemplateNDSpectralModel(**(GRID | {"axes": {"tilt": v}})).parameters["tilt"]
        # an axis has any unit, and keeps it
        if not u.Unit(found.unit).is_equivalent(""):
            raise gj.InputError(f"axes: tilt is in {found.unit}")
        return tuple(u.Quantity(n, found.unit).to("").value for n in (found.value, found.min, found.max))

    def tilt(v: Any) -> Any:
        return gj.TemplateNDSpectralModel(**GRID, tilt=v).parameters["tilt"].quantity

    def norms(v: Any) -> Any:
        model = gj.PiecewiseNormSpectralModel([1, 10, 100], v)
        return tuple(p.quantity.to("").value for p in model.parameters.values())

    def log10(cls: Any, field: str) -> Any:
        base = {"reference": 1, "alpha": 2, "beta": 1, ("norm" if "Norm" in cls.__name__ else "amplitude"): 1}
        base |= {"escale": 1} if cls is gj.LogParabola2SpectralModel else {}

        def call(v: Any) -> Any:
            return cls.from_log10(**(base | {field: v})).parameters[field].quantity.decompose()

        return call

    found = [
        Argument(f"{n}: {f}", made_with(getattr(gj, n), f), plain, unit)
        for n, f, plain, unit in (
            ("EBLAbsorptionNormSpectralModel", "energy", [1, 10], "TeV"),
            ("EBLAbsorptionNormSpectralModel", "param", [1, 2], ""),
            ("EBLAbsorptionNormSpectralModel", "data", [[1, 1], [1, 1]], ""),
            ("PiecewiseNormSpectralModel", "energy", [1, 10], "TeV"),
            ("TemplateSpectralModel", "energy", [1, 10], "TeV"),
            ("TemplateNDSpectralModel", "energy", [1, 10], "TeV"),
            ("LightCurveTemplateTemporalModel", "time", [0, 1], "d"),
            ("LightCurveTemplateTemporalModel", "norm", [1, 2], ""),
            ("TemplatePhaseCurveTemporalModel", "phase", [0, 1], ""),
            ("TemplatePhaseCurveTemporalModel", "norm", [1, 2], ""),
        )
    ]
    for cls in (gj.LogParabolaSpectralModel, gj.LogParabola2SpectralModel, gj.LogParabolaNormSpectralModel):
        norm = "Norm" in cls.__name__
        units = {"reference": "TeV", "alpha": "", "beta": ""} | ({"norm": ""} if norm else {"amplitude": DNDE})
        units |= {"escale": "TeV"} if cls is gj.LogParabola2SpectralModel else {}
        found += [Argument(f"{cls.__name__}.from_log10: {f}", log10(cls, f), 1, unit) for f, unit in units.items()]
    for model in (PL, compound):
        for method in ("evaluate", "times_energy"):
            where = f"{type(model).__name__}.{method}[formula]: energy"
            found.append(Argument(where, getattr(model, method), ENERGIES, "TeV"))
        for method in ("integrate_bins", "integrate_energy_bins"):
            where = f"{type(model).__name__}.{method}[formula]: edges"
            found.append(Argument(where, partial(getattr(model, method), order=5), ENERGIES, "TeV"))
    return [
        *found,
        Argument("PiecewiseNormSpectralModel: norms", norms, [1, 2, 3]),
        *(
            Argument(f"{cls.__name__}: values{label}", template(cls, unit, **given), plain, unit, name="values")
            for cls, plain, base in (
                (gj.TemplateSpectralModel, [1, 2], {"energy": [1, 10]}),
                (gj.TemplateNDSpectralModel, IMAGE, {k: v for k, v in GRID.items() if k != "values"}),
            )
            for label, unit, given in (("", DNDE, base), ("[norms]", "", base | {"value_unit": ""}))
        ),
        Argument("TemplateNDSpectralModel: axes", axis, [1, 2], name="axes: tilt", other="%"),
        Argument("TemplateNDSpectralModel: parameters", tilt, 1, name="tilt"),
        Argument("SpectralModel.spectral_index: energy", lambda v: PL.spectral_index(v), ENERGIES, "TeV"),
        Argument("SpectralModel.__call__: energy", lambda v: PL(v), ENERGIES, "TeV"),
        *(
            Argument(f"SpectralModel.{method}: {end}", lambda v, f=f, o=o: f(*o(v)), [2, 3], "TeV")
            for method, f in (("integral", PL.integral), ("energy_flux", PL.energy_flux))
            for end, o in (("energy_min", lambda v: (v, 10)), ("energy_max", lambda v: (1, v)))
        ),
        *(
            Argument(f"SpectralModel.{n}[operator]: other", _operated(f), 3, unit, name="number", text=False)
            for n, f, unit in (
                ("__add__", lambda v: PL + v, DNDE),
                ("__radd__", lambda v: v + PL, DNDE),
                ("__sub__", lambda v: PL - v, DNDE),
                ("__rsub__", lambda v: v - PL, DNDE),
                ("__mul__", lambda v: PL * v, ""),
                ("__rmul__", lambda v: v * PL, ""),
                ("__truediv__", lambda v: PL / v, ""),
                ("__rtruediv__", lambda v: v / PL, ""),
            )
        ),
        Argument("SpatialModel.__call__: lon", lambda v: GAUSS(v, 1), [1, 2], "deg"),
        Argument("SpatialModel.__call__: lat", lambda v: GAUSS(1, v), [1, 2], "deg"),
        Argument("SpatialModel.__call__: energy", lambda v: _cube()(0, 0, v), [2, 3], "TeV"),
        Argument("PositionedModel.evaluate: vectors", lambda v: GAUSS.evaluate(v), vectors),
        Argument("TemplateSpatialModel.evaluate: energy", lambda v: _cube().evaluate(at, v), [2, 3], "TeV"),
        Argument("GaussianSpatialModel.profile: x", lambda v: GAUSS.profile(v, np.ones(2)), [1, 2], "deg"),
        Argument("GaussianSpatialModel.profile: y", lambda v: GAUSS.profile(np.ones(2), v), [1, 2], "deg"),
        Argument("GaussianSpatialModel.blurred_profile: x", _blurred("x"), [1, 2], "deg"),
        Argument("GaussianSpatialModel.blurred_profile: y", _blurred("y"), [1, 2], "deg"),
        Argument("GaussianSpatialModel.blurred_profile: blur", _blurred("blur"), 1, "deg"),
        *(
            Argument(
                f"{type(model).__name__}.node_counts: spacing", lambda v, m=model: _flat(m.node_counts(v)), 1, "deg"
            )
            for model in (DISK, gj.GeneralizedGaussianSpatialModel(), gj.ShellSpatialModel(), gj.Shell2SpatialModel())
        ),
        Argument(
            "TemplateSpatialModel: values",
            lambda v: gj.TemplateSpatialModel(v, GEOM, normalize=False).values,
            IMAGE,
            "sr-1",
            masked=True,
        ),
        Argument(
            "TemplateSpatialModel: values[flux]",
            lambda v: gj.TemplateSpatialModel(u_of(v, surface), GEOM, normalize=False).values,
            IMAGE,
            surface,
            name="values",
            masked=True,
        ),
        Argument("TemplateSpatialModel: lon_0", lambda v: _placed(lon_0=v), 1, "deg"),
        Argument("TemplateSpatialModel: lat_0", lambda v: _placed(lat_0=v), 1, "deg"),
        Argument("TemporalModel.evaluate: time", lambda v: CURVE.evaluate(v), [55556, 55557], "d", times=True),
        Argument("TemporalModel.evaluate: energy", lambda v: LIGHT.evaluate([55555.5], v), [1, 2], "TeV"),
        Argument("TemporalModel.days_after: seconds", lambda v: CURVE.days_after(v, 55555.0), [1, 2], "s"),
        Argument("TemporalModel.days_after: reference", lambda v: CURVE.days_after(np.ones(1), v), 55555, "d"),
        Argument("TemporalModel.mean: energy", lambda v: LIGHT.mean(GTI, v), [1, 2], "TeV"),
        Argument("LinearTemporalModel.value: days", lambda v: CURVE.value(v), [1, 2], "d"),
        Argument("LinearTemporalModel.value_mean: low", lambda v: CURVE.value_mean(v, np.full(2, 3.0)), [1, 2], "d"),
        Argument("LinearTemporalModel.value_mean: high", lambda v: CURVE.value_mean(np.zeros(2), v), [1, 2], "d"),
        Argument("LightCurveTemplateTemporalModel: energy", _light("energy", "energy"), [1, 10], "TeV"),
        Argument("LightCurveTemplateTemporalModel: norm[energy]", _light("norm", "norm"), IMAGE, name="norm"),
    ]


def places() -> list[Argument]:
    """Norms and grids of images, and outlines."""
    from astropy.coordinates import SkyCoord
    from regions import CircleSkyRegion

    base = {"lon": [0, 1, 0, 1], "lat": [0, 0, 1, 2]}
    circle = CircleSkyRegion(SkyCoord(0, 0, unit="deg"), 1 * u.deg)

    def norms(v: Any) -> Any:
        return tuple(p.value for p in gj.PiecewiseNormSpatialModel(**base, norms=v).parameters.values())

    def at(field: str) -> Any:
        return lambda v: getattr(gj.PiecewiseNormSpatialModel(**(base | {field: v})), field)

    def grid(v: Any, **given: Any) -> gj.TemplateNDSpatialModel:
        axis = gj.MapAxis([1, 2], "lin", "tilt", node_type="center")
        return gj.TemplateNDSpatialModel(v, GEOM, [axis], **given)

    def size(model: Any) -> Any:
        def call(v: Any) -> Any:
            found = model.to_region(v)
            sizes = ("inner_radius", "outer_radius") if hasattr(found, "inner_radius") else ("width", "height")
            return tuple(getattr(found, s).to_value("deg") for s in sizes)

        return call

    cubes = [IMAGE, [[2, 3], [4, 5]]]
    sized = (GAUSS, DISK, gj.GeneralizedGaussianSpatialModel(), gj.ShellSpatialModel(), gj.Shell2SpatialModel())
    return [
        *(Argument(f"PiecewiseNormSpatialModel: {f}", at(f), plain, "deg") for f, plain in base.items()),
        Argument("PiecewiseNormSpatialModel: norms", norms, [1, 2, 3, 4]),
        Argument("TemplateNDSpatialModel: values", lambda v: grid(v).values, cubes, "sr-1", masked=True),
        Argument(
            "TemplateNDSpatialModel: parameters", lambda v: grid(cubes, tilt=v).parameters["tilt"].value, 1, name="tilt"
        ),
        *(Argument(f"{type(m).__name__}.to_region: size_factor", size(m), 2) for m in sized),
        Argument(
            "DiskSpatialModel.from_region: parameters",
            lambda v: gj.DiskSpatialModel.from_region(circle, r_0=v).r_0.internal,
            2,
            "deg",
            name="r_0",
        ),
    ]


def penalties() -> list[Argument]:
    """Priors on several parameters."""
    cls, names = gj.GaussianPriorPenalty, ["a", "b"]
    matrix = [[2, 1], [1, 2]]
    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "": (cls, {"covariance": matrix}),
        ".from_precision": (cls.from_precision, {"precision": matrix}),
        ".from_diagonal": (cls.from_diagonal, {"sigma": [1, 2]}),
        ".L2_penalty": (cls.L2_penalty, {}),
        ".SmoothnessPenalty": (cls.SmoothnessPenalty, {}),
    }

    def made(make: Any, given: dict[str, Any], field: str) -> Any:
        return lambda v: make(names, **(given | {field: v})).terms

    of_array = Argument("GaussianPriorPenalty.smooth_array: lambda_", lambda v: cls.smooth_array("a", (2,), v).terms, 2)
    return [of_array] + [
        Argument(f"GaussianPriorPenalty{way}: {field}", made(make, given, field), plain)
        for way, (make, given) in ways.items()
        for field, plain in (given | {"mean": [1, 2], "lambda_": 2}).items()
    ]


def _operated(formula: Any) -> Any:
    def call(v: Any) -> Any:
        try:
            return formula(v).evaluate(1.0)
        except TypeError as error:
            # Python's answer to what is no operand, before a model is asked
            raise gj.InputError(f"number: {error}") from error

    return call


def u_of(given: Any, unit: str) -> Any:
    """Plain numbers with a unit that the argument does not take them to be in, where they have none."""
    bare = isinstance(given, list) and all(isinstance(v, list) for v in given)
    return u.Quantity(given, unit) if bare else given


def _cube() -> gj.TemplateSpatialModel:
    cube = np.arange(8).reshape(2, 2, 2) + 1
    return gj.TemplateSpatialModel(cube, GEOM, gj.MapAxis([1, 10], "log", "energy_true", "TeV", "center"))


def _blurred(field: str) -> Any:
    base = {"x": np.ones(2), "y": np.ones(2), "blur": 0.1}
    return lambda v: GAUSS.blurred_profile(**(base | {field: v}))


def _placed(**given: Any) -> Any:
    return gj.TemplateSpatialModel(IMAGE, GEOM, **given).parameters[next(iter(given))].quantity.to("deg").value


def _light(field: str, read: str) -> Any:
    base = {"time": [0, 1], "norm": IMAGE, "energy": [1, 10]}
    return lambda v: getattr(gj.LightCurveTemplateTemporalModel(**(base | {field: v})), read)


def _flat(counts: Any) -> Any:
    radial, angular = counts
    return np.array([*radial, angular])


def collections() -> list[Argument]:
    """Parameters by themselves and by the names of models, priors, sky models and backgrounds."""
    field, instrument = gj.FoVBackgroundModel(NORM), gj.InstrumentModel(exposure=NORM)
    template = gj.TemplateNPredModel([1, 2], NORM)

    def parameter(name: str, unit: str = "TeV") -> Any:
        return lambda v: getattr(gj.Parameter(**({"value": 1, "unit": unit} | {name: v})), name)

    def replaced(name: str) -> Any:
        return lambda v: getattr(gj.Parameter(1, "TeV").replace(**{name: v}), name)

    def amplitude(models: Any, read: str = "value") -> Any:
        found = models.parameters["s.spectral.amplitude"]
        return getattr(found, read)

    known = {"value": [5], "error": [1], "min": [1], "max": [9]}
    priors = {
        gj.GaussianPrior: ("mu", "sigma", "weight"),
        gj.UniformPrior: ("max", "weight"),
        gj.LogUniformPrior: ("min", "max", "weight"),
        gj.GeneralizedGaussianPrior: ("mu", "sigma", "eta", "weight"),
    }
    return [
        # which has any unit until it stands in a model
        Argument(
            "Parameter: value",
            lambda v: gj.PowerLawNormSpectralModel(norm=gj.Parameter(v)).norm.internal,
            2,
            name="found",
        ),
        *(Argument(f"Parameter: {n}", parameter(n), 1, "TeV") for n in ("error", "min", "max")),
        *(Argument(f"Parameter.replace: {n}=", replaced(n), 1, "TeV", name=n) for n in known if n != "value"),
        Argument("Parameter.replace: value=", replaced("value"), 1, "TeV", name="Parameter"),
        Argument(
            "Models.with_values: values",
            lambda v: amplitude(MODELS.with_values({"amplitude": v})),
            3,
            DNDE,
            name="amplitude",
        ),
        Argument(
            "Models.with_values: errors",
            lambda v: amplitude(MODELS.with_values({}, {"amplitude": v}), "error"),
            3,
            DNDE,
            name="amplitude",
        ),
        *(
            Argument(
                f"Models.with_parameter: {n}=",
                lambda v, n=n: amplitude(MODELS.with_parameter("amplitude", **{n: v}), n),
                0 if n == "min" else 3,
                DNDE,
                name="amplitude",
            )
            for n in known
        ),
        *(
            Argument(
                f"{cls.__name__}: {n}",
                lambda v, cls=cls, n=n: getattr(cls(**(_above(cls, n) | {n: v})), n),
                1,
            )
            for cls, names in priors.items()
            for n in names
        ),
        Argument("UniformPrior: min", lambda v: gj.UniformPrior(v, 9).min, 1),
        *(Argument(f"{cls.__name__}.__call__: value", cls(**_above(cls, "")), [1, 2]) for cls in priors),
        Argument("dnde: energy", lambda v: gj.dnde(MODELS, v), ENERGIES, "TeV"),
        Argument("SkyModel.integrate_bins: edges", lambda v: SOURCE.integrate_bins(v, 5), ENERGIES, "TeV"),
        Argument("SkyModel.mean_flux: edges", lambda v: SOURCE.mean_flux(v, 5, None), ENERGIES, "TeV"),
        Argument("FoVBackgroundModel.evaluate: energy", lambda v: field.evaluate(v), ENERGIES, "TeV"),
        *(
            Argument(
                f"InstrumentModel: {part}",
                lambda v, part=part: getattr(gj.InstrumentModel(**{part: v}), part).norm.internal,
                1,
            )
            for part in gj.InstrumentModel.parts
        ),
        Argument("InstrumentModel.evaluate: energy", lambda v: instrument.evaluate("exposure", v), ENERGIES, "TeV"),
        Argument(
            "PopulationModel: mean",
            lambda v: gj.PopulationModel("norm", v, gj.Parameter(1.0)).distribution.mean.value,
            1,
        ),
        Argument("PopulationModel: width", lambda v: gj.PopulationModel("norm", width=v).distribution.width.value, 1),
        Argument("TemplateNPredModel.evaluate: energy", lambda v: template.evaluate(v), ENERGIES, "TeV"),
        Argument("TemplateNPredModel: counts", lambda v: gj.TemplateNPredModel(v).counts, [1, 2], other="ct"),
    ]


def _above(cls: Any, name: str) -> dict[str, float]:
    """A range around 1 and 2 for priors that have one."""
    both = {"min": 0.5, "max": 9.0} if cls in (gj.UniformPrior, gj.LogUniformPrior) else {}
    return {k: v for k, v in both.items() if k != name}
