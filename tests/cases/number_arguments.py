"""The public arguments that take numbers, each with a call that uses it, for the contract test."""

from functools import cache, partial
from typing import Any

import astropy.units as u
import jax
import numpy as np

import gammajax as gj
from cases.number_estimators import estimators, light_curves
from cases.number_files import files
from cases.number_kinds import Argument
from cases.number_maps import sky_maps
from cases.number_models import DNDE, GEOM, GTI, SOURCE, collections, components, penalties, places
from cases.number_points import POINTS, flux_points

EXPOSURE = "cm2 s"
EDGES = [1, 2, 4, 8]
COUNTS, OFF = [60, 30, 12], [50, 20, 10]
LARGE = np.full(3, 2e12)
CUBE = np.arange(12).reshape(3, 2, 2) + 1
ONES = np.ones((3, 2, 2))
SPECTRUM = gj.SpectrumDataset(EDGES, counts=COUNTS, background=[5, 4, 3], exposure=LARGE, gti=GTI)
ONOFF = gj.SpectrumDatasetOnOff(EDGES, counts=COUNTS, counts_off=OFF, acceptance_off=5, exposure=LARGE)
MAP = gj.MapDataset(GEOM, EDGES, counts=CUBE, background=ONES)
PSF = gj.PSFMap.from_gauss([1, 10], 0.1)
KERNEL = gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2)
MIGRATION = gj.EDispMap.from_gauss(EDGES, np.linspace(0.2, 3, 20), 0.2)
KERNELS = gj.EDispKernelMap.from_kernel(KERNEL)
AXIS = gj.MapAxis(EDGES, "log", "energy", "TeV")
VECTORS = [[1, 0, 0], [0, 1, 0]]
CASH, WSTAT = gj.CashCountsStatistic([30, 20], 5), gj.WStatCountsStatistic([30, 20], [40, 30], 0.2)
MODELS = gj.Models([SOURCE]).freeze("index")
DENSITY, LIKE = gj.log_density(SPECTRUM, MODELS), gj.likelihood(SPECTRUM, MODELS)
TOYS = cache(lambda: gj.pseudo_experiments(KEY, SPECTRUM, MODELS, 8))
KEY = jax.random.key(0)
EVENTS = {"energy": [1, 2, 3], "time": [1, 2, 3], "gti": GTI}
FIELDS = (
    "counts",
    "background",
    "counts_off",
    "acceptance",
    "acceptance_off",
    "exposure",
    "weights",
    "mask_safe",
    "mask_fit",
)


def _of_likelihood(method: str, theta: Any) -> Any:
    found = getattr(LIKE, method)(theta)
    return found["dataset-0"] if method == "npred" else found.theta if method == "fit" else found


def fields_of(dataset: Any) -> tuple[Any, ...]:
    """All numbers of a dataset, for which a mask that is not there is one."""
    found = [getattr(dataset, name, None) for name in FIELDS]
    axes = (dataset.energy_edges, dataset.energy_true_edges)
    livetime = np.nan_to_num(dataset.livetime)
    return (*axes, livetime, *(np.ones(dataset.data_shape) if f is None else f for f in found))


def _dataset(cls: Any, *place: Any, **given: Any) -> Any:
    base = {"energy_edges": EDGES, "counts": COUNTS, "exposure": LARGE}
    if cls is gj.MapDataset or cls is gj.MapDatasetOnOff:
        base |= {"geom": GEOM, "counts": CUBE, "exposure": ONES}
    if cls is gj.RegionMapDataset:
        base |= {"region": REGION}
    return lambda field: lambda v: fields_of(cls(*place, **(base | given | {field: v})))


def _region(**given: Any) -> Any:
    import regions
    from astropy.coordinates import SkyCoord

    return gj.RegionGeom.create(
        regions.CircleSkyRegion(SkyCoord(0, 0, unit="deg"), 1 * u.deg), **({"step": 0.5, "reach": 0.5} | given)
    )


REGION = _region()


def datasets() -> list[Argument]:
    """Constructor arguments of all types of counts."""
    found = []
    mask = [1, 0, 1]
    for cls, measured, cube in (
        (gj.SpectrumDataset, False, False),
        (gj.SpectrumDatasetOnOff, True, False),
        (gj.RegionMapDataset, False, False),
        (gj.MapDataset, False, True),
        (gj.MapDatasetOnOff, True, True),
    ):
        make, name = _dataset(cls), cls.__name__
        background = ("counts_off", "acceptance", "acceptance_off") if measured else ("background",)
        for field in ("counts", *background):
            plain = CUBE.tolist() if cube else OFF
            found.append(Argument(f"{name}: {field}", make(field), plain, other="ct", masked=True))
        if not measured:
            weighted = _dataset(cls, stat_type="cash_weighted")
            plain = CUBE.tolist() if cube else OFF
            found.append(Argument(f"{name}: weights", weighted("weights"), plain, other="ct", masked=True))
        exposure = CUBE.tolist() if cube else OFF
        masks = ONES.tolist() if cube else mask
        found += [
            Argument(f"{name}: energy_edges", make("energy_edges"), EDGES, "TeV"),
            Argument(f"{name}: energy_true_edges", make("energy_true_edges"), EDGES, "TeV"),
            Argument(f"{name}: exposure", make("exposure"), exposure, EXPOSURE),
            Argument(f"{name}: livetime", make("livetime"), 100, "s"),
            Argument(f"{name}: mask_safe", make("mask_safe"), masks, mask=True, masked=True),
            Argument(f"{name}: mask_fit", make("mask_fit"), masks, mask=True, masked=True),
        ]
    for name, dataset in (("SpectrumBase", gj.SpectrumDataset), ("MapBase", gj.MapDataset)):
        place = (GEOM,) if name == "MapBase" else ()

        def created(v: Any, field: str = "energy_edges", place: Any = place, dataset: Any = dataset) -> Any:
            return fields_of(dataset.create(*place, **({"energy_edges": EDGES} | {field: v})))

        found.append(Argument(f"{name}.create: energy_edges", created, EDGES, "TeV"))
        found.append(
            Argument(f"{name}.create: energy_true_edges", lambda v, c=created: c(v, "energy_true_edges"), EDGES, "TeV")
        )
    return found


def responses() -> list[Argument]:
    at, tall = np.array([1.0, 0.0, 0.0]), [[[1]], [[2]]]
    tables = [[[[1]], [[2]]], [[[3]], [[1]]]]
    psf = {"geom": None, "energy": [1, 10], "rad": [1, 2], "rad_edges": None, "values": tables, "exposure": tall}
    # of which no row is above 1
    kernel = {"geom": None, "values": [[[[1]], [[0]]], [[[0]], [[1]]]], "exposure": tall}
    migration = {"geom": None, "energy_true_edges": [1, 2, 4], "migra_edges": [0, 1, 2]} | kernel

    def response(cls: Any, given: dict[str, Any], field: str, *read: str) -> Any:
        return lambda v: tuple(getattr(cls(**(given | {field: v})), name) for name in (read or (field,)))

    found = [
        Argument("EDispKernel: matrix", lambda v: gj.EDispKernel(v).matrix, [[1, 0], [0, 1]]),
        Argument("PSFKernel: values", lambda v: gj.PSFKernel(v).values, [[[1, 1, 1], [1, 2, 1], [1, 1, 1]]]),
    ]
    for cls in (gj.PSFMap, gj.RecoPSFMap):
        units = {"energy": "TeV", "rad": "deg", "rad_edges": "deg", "values": "sr-1", "exposure": EXPOSURE}
        plain = psf | {"rad_edges": [0, 1, 3]}
        plain |= {"energy_edges": [0.5, 2, 20]}
        units |= {"energy_edges": "TeV"}
        found += [Argument(f"{cls.__name__}: {f}", response(cls, psf, f), plain[f], unit) for f, unit in units.items()]
    for cls, given in ((gj.EDispKernelMap, kernel), (gj.EDispMap, migration)):
        units = {"values": "", "exposure": EXPOSURE, "energy_true_edges": "TeV", "migra_edges": ""}
        found += [
            Argument(f"{cls.__name__}: {f}", response(cls, given, f), given[f], unit)
            for f, unit in units.items()
            if f in given
        ]
    for cls in (gj.EDispKernel, gj.EDispKernelMap):
        name = cls.__name__

        def gauss(field: str, cls: Any = cls) -> Any:
            base = {"energy_true_edges": EDGES, "energy_edges": EDGES, "sigma": 0.2}
            return lambda v: jax.tree.leaves(cls.from_gauss(**(base | {field: v})))[0]

        def perfect(field: str, cls: Any = cls) -> Any:
            base = {"energy_true_edges": EDGES, "energy_edges": EDGES}
            return lambda v: jax.tree.leaves(cls.from_diagonal_response(**(base | {field: v})))[0]

        whole = {"matrix": np.eye(3)} if cls is gj.EDispKernel else {"geom": None, "values": np.eye(3)[..., None, None]}
        for field in ("energy_true_edges", "energy_edges"):
            found.append(Argument(f"{name}: {field}", response(cls, whole, field), EDGES, "TeV"))
            found.append(Argument(f"{name}.from_gauss: {field}", gauss(field), EDGES, "TeV"))
            found.append(Argument(f"{name}.from_diagonal_response: {field}", perfect(field), EDGES, "TeV"))
        found.append(Argument(f"{name}.from_gauss: sigma", gauss("sigma"), 1))
        found.append(Argument(f"{name}.from_gauss: bias", gauss("bias"), 1))

    def moments(method: str, field: str) -> Any:
        base = {"energy_true_edges": EDGES, "energy_edges": EDGES}
        return lambda v: getattr(KERNEL, method)(**(base | {field: v}))

    def perfect_map(field: str) -> Any:
        base = {"energy_true_edges": EDGES, "migra_edges": [0.5, 1, 3]}
        return lambda v: (
            (made := gj.EDispMap.from_diagonal_response(**(base | {field: v}))).energy_true_edges,
            made.values,
        )

    def migrated(field: str) -> Any:
        base = {"energy_true_edges": EDGES, "migra_edges": [0, 1, 2, 3], "sigma": 1}
        return lambda v: gj.EDispMap.from_gauss(**(base | {field: v})).values

    def matrix(edisp: Any, field: str) -> Any:
        base = {"vector": at, "energy_true_edges": np.array(EDGES, float), "energy_edges": np.array(EDGES, float)}
        return lambda v: edisp.matrix_at(**(base | {field: v}))

    def psf_gauss(field: str) -> Any:
        return lambda v: (
            gj.PSFMap.from_gauss(**({"energy": [1, 10], "sigma": 1, "rad": [0, 1, 2, 3]} | {field: v})).values
        )

    def kernels(field: str) -> Any:
        base = {"geom": GEOM, "energy_true_edges": EDGES, "sigma": 1, "max_radius": 2}
        return lambda v: gj.PSFKernel.from_gauss(**(base | {field: v})).values

    return [
        *found,
        *(
            Argument(f"EDispKernel.{method}: {field}", moments(method, field), EDGES, "TeV")
            for method in ("get_bias", "get_resolution")
            for field in ("energy_true_edges", "energy_edges")
        ),
        Argument("EDispMap.from_diagonal_response: energy_true_edges", perfect_map("energy_true_edges"), EDGES, "TeV"),
        Argument("EDispMap.from_diagonal_response: migra_edges", perfect_map("migra_edges"), [0, 1, 2, 3]),
        Argument("EDispMap.from_gauss: energy_true_edges", migrated("energy_true_edges"), EDGES, "TeV"),
        Argument("EDispMap.from_gauss: migra_edges", migrated("migra_edges"), [0, 1, 2, 3]),
        Argument("EDispMap.from_gauss: sigma", migrated("sigma"), [1, 2, 3]),
        Argument("EDispMap.from_gauss: bias", migrated("bias"), 1),
        Argument("EDispMap.matrix_at: vector", matrix(MIGRATION, "vector"), [1, 0, 0]),
        Argument("EDispMap.matrix_at: energy_true_edges", matrix(MIGRATION, "energy_true_edges"), EDGES, "TeV"),
        Argument("EDispMap.matrix_at: energy_edges", matrix(MIGRATION, "energy_edges"), EDGES, "TeV"),
        Argument("EDispMap.to_kernel_map: energy_edges", lambda v: MIGRATION.to_kernel_map(v).values, EDGES, "TeV"),
        Argument("PSFMap.from_gauss: energy", psf_gauss("energy"), [1, 10], "TeV"),
        Argument("PSFMap.from_gauss: sigma", psf_gauss("sigma"), [1, 2], "deg"),
        Argument("PSFMap.from_gauss: rad", psf_gauss("rad"), [0, 1, 2, 3], "deg"),
        Argument("PSFMap.containment: rad", lambda v: PSF.containment(v, [1, 2]), [1, 2], "deg"),
        Argument("PSFMap.containment: energy", lambda v: PSF.containment(0.1, v), [1, 2], "TeV"),
        Argument("PSFMap.containment_at: vector", lambda v: PSF.containment_at(v, 0.1, [1, 2]), [1, 0, 0]),
        Argument("PSFMap.containment_at: rad", lambda v: PSF.containment_at(at, v, [1, 2]), [1, 2], "deg"),
        Argument("PSFMap.containment_at: energy", lambda v: PSF.containment_at(at, 0.1, v), [1, 2], "TeV"),
        Argument("PSFMap.containment_radius: energy", lambda v: PSF.containment_radius(0.5, v), [1, 2], "TeV"),
        Argument("PSFMap.containment_radius: share", lambda v: PSF.containment_radius(v, [1, 2]), 0.5),
        Argument("PSFMap.profile_at: energy", lambda v: PSF.profile_at(at, v), [1, 2], "TeV"),
        Argument("PSFMap.profile_at: vector", lambda v: PSF.profile_at(v, np.array([2.0])), [1, 0, 0]),
        Argument("PSFKernel.from_gauss: energy_true_edges", kernels("energy_true_edges"), EDGES, "TeV"),
        Argument("PSFKernel.from_gauss: sigma", kernels("sigma"), [1, 1, 2], "deg"),
        Argument("PSFKernel.from_gauss: max_radius", kernels("max_radius"), 2, "deg"),
    ]


def sky() -> list[Argument]:
    """Axes, images of the sky, regions and times."""
    from astropy.coordinates import SkyCoord

    middle = SkyCoord(0, 0, unit="deg")
    wide = gj.SkyGeom.create((0, 0), 1.0, npix=6)
    at = np.array([[1.0, 0.0, 0.0]])

    def created(field: str) -> Any:
        base = {"skydir": (1, 2), "binsz": 1, "width": 3}
        drop = {"npix": "width"}.get(field)
        return lambda v: _geom(gj.SkyGeom.create(**({k: x for k, x in base.items() if k != drop} | {field: v})))

    def bounds(field: str) -> Any:
        return lambda v: gj.MapAxis.from_bounds(**({"low": 1, "high": 9, "nbin": 3, "unit": "TeV"} | {field: v})).edges

    def energies(field: str) -> Any:
        base = {"energy_min": 1 * u.TeV, "energy_max": 9 * u.TeV, "nbin": 3}

        return lambda v: gj.MapAxis.from_energy_bounds(**(base | {field: v})).edges.to("TeV")

    def event(field: str) -> Any:
        given = {"lon": [1, 2, 3], "lat": [1, 2, 3]}
        return lambda v: getattr(gj.EventList(**(EVENTS | given | {field: v})), field)

    def times(field: str) -> Any:
        return lambda v: getattr(gj.GTI(**({"start": [0], "stop": [9], "reference": 55555} | {field: v})), field)

    events = {"energy": "TeV", "time": "s", "lon": "deg", "lat": "deg", "energy_true": "TeV", "lon_true": "deg"}
    return [
        Argument("MapAxis: nodes", lambda v: gj.MapAxis(v, unit="TeV").nodes, EDGES, "TeV"),
        Argument(
            "MapAxis.from_edges: edges",
            lambda v: gj.MapAxis.from_edges(v, unit="TeV").nodes,
            EDGES,
            "TeV",
            name="nodes",
        ),
        Argument("MapAxis.from_nodes: nodes", partial(_axis, gj.MapAxis.from_nodes), EDGES, "TeV"),
        Argument("MapAxis.from_bounds: low", bounds("low"), 1, "TeV"),
        Argument("MapAxis.from_bounds: high", bounds("high"), 9, "TeV"),
        Argument("MapAxis.from_energy_bounds: energy_min", energies("energy_min"), 1, "TeV", name="energ", bare=False),
        Argument("MapAxis.from_energy_bounds: energy_max", energies("energy_max"), 9, "TeV", name="energ", bare=False),
        Argument("MapAxis.pix_to_coord: pix", lambda v: AXIS.pix_to_coord(v), [0, 1]),
        Argument("MapAxis.coord_to_pix: coord", lambda v: AXIS.coord_to_pix(v), [1, 3], "TeV"),
        Argument("SkyGeom.create: skydir", created("skydir"), [1, 2], "deg"),
        Argument("SkyGeom.create: binsz", created("binsz"), 1, "deg"),
        Argument("SkyGeom.create: width", created("width"), [3, 2], "deg"),
        Argument("SkyGeom.create: npix", created("npix"), [3, 2]),
        Argument("SkyGeom.cutout: width", lambda v: _geom(wide.cutout(middle, v)), 2, "deg"),
        Argument("SkyGeom.pad: width", lambda v: _geom(GEOM.pad(v)), [1, 2]),
        Argument("SkyGeom.pixel_to_vector: x", lambda v: GEOM.pixel_to_vector(v, np.zeros(2)), [0, 1]),
        Argument("SkyGeom.pixel_to_vector: y", lambda v: GEOM.pixel_to_vector(np.zeros(2), v), [0, 1]),
        Argument("SkyGeom.shown_vectors: x", lambda v: GEOM.shown_vectors(v, np.zeros(2)), [0, 1]),
        Argument("SkyGeom.shown_vectors: y", lambda v: GEOM.shown_vectors(np.zeros(2), v), [0, 1]),
        Argument("SkyGeom.cell_solid_angle: x", lambda v: GEOM.cell_solid_angle(v, np.zeros(2)), [0, 1]),
        Argument("SkyGeom.cell_solid_angle: y", lambda v: GEOM.cell_solid_angle(np.zeros(2), v), [0, 1]),
        Argument("SkyGeom.cell_solid_angle: size", lambda v: GEOM.cell_solid_angle(np.zeros(2), np.zeros(2), v), 1),
        Argument("SkyGeom.vector_to_pixel: vectors", lambda v: GEOM.vector_to_pixel(v), [[1, 0, 0], [4, 1, 0]]),
        Argument(
            "SkyGeom.vector_to_pixel_or_far: vectors", lambda v: GEOM.vector_to_pixel_or_far(v), [[1, 0, 0], [4, 1, 0]]
        ),
        Argument("RegionGeom.create: step", lambda v: _geom(_region(step=v).lattice), 0.25, "deg"),
        Argument("RegionGeom.create: reach", lambda v: _region(reach=v).reach, 2, "deg"),
        Argument("RegionGeom.contains: vectors", lambda v: REGION.contains(v), at.astype(int).tolist()),
        *(
            Argument(f"EventList: {f}", event(f), [1, 2, 3], unit, masked="true" in f)
            for f, unit in (events | {"lat_true": "deg"}).items()
        ),
        Argument("EventList: mc_id", event("mc_id"), [1, 2, 3]),
        Argument("GTI: start", times("start"), [1], "s", times=True),
        Argument("GTI: stop", times("stop"), [8], "s", times=True),
        Argument("GTI: reference", times("reference"), 55555, "d", times=True),
    ]


def _axis(make: Any, nodes: Any) -> Any:
    return make(nodes, unit="TeV").nodes


def _geom(geom: gj.SkyGeom) -> Any:
    return (np.array(geom.shape), geom.crpix, geom.cd, geom.rotation)


def methods() -> list[Argument]:
    """Methods of datasets, and functions of datasets and models."""

    def mask_of(dataset: Any, field: str) -> Any:
        return lambda v: dataset.with_mask_fit(**{field: v}).mask_fit

    def sliced(field: str) -> Any:
        return lambda v: SPECTRUM.slice_by_energy(**{field: v}).energy_edges

    def statistic(cls: Any, field: str) -> Any:
        base = {"n_on": 30, "mu_bkg": 5} if cls is gj.CashCountsStatistic else {"n_on": 30, "n_off": 40, "alpha": 0.5}
        read = {"mu_bkg": "n_bkg"}.get(field, field)
        return lambda v: getattr(cls(**(base | {field: v})), read)

    def simulated(function: Any) -> Any:
        return lambda v: tuple(getattr(function(ONOFF, npred_background=v), f) for f in ("counts", "counts_off"))

    points = gj.FluxPointsDataset(gj.FluxPoints(**POINTS, norm_err=[1, 1, 1]))
    found = []
    for name, dataset in (("CountsDataset", SPECTRUM), ("MapBase", MAP), ("FluxPointsDataset", points)):
        plain = ONES.tolist() if dataset is MAP else [1, 0, 1]
        owner = "CountsDataset" if dataset is MAP else name
        for field in ("energy_min", "energy_max"):
            found.append(Argument(f"{name}.with_mask_fit: {field}", mask_of(dataset, field), 2, "TeV"))
            owner_of_energies = "CountsBase" if name != "FluxPointsDataset" else name
            call = lambda v, d=dataset, f=field: d.energy_mask(**{f: v})  # noqa: E731
            found.append(Argument(f"{owner_of_energies}.energy_mask: {field}", call, 2, "TeV"))
        found.append(Argument(f"{name}.with_mask_fit: mask", mask_of(dataset, "mask"), plain, mask=True, masked=True))
        call = lambda v, d=dataset: d.with_mask_safe(v).mask_safe  # noqa: E731
        found.append(Argument(f"{owner}.with_mask_safe: mask", call, plain, mask=True, masked=True))
    for cls in (gj.CashCountsStatistic, gj.WStatCountsStatistic):
        name, fields = cls.__name__, {"n_on": 30, "mu_bkg": 5}
        if cls is gj.WStatCountsStatistic:
            fields = {"n_on": 30, "n_off": 40, "alpha": 1, "mu_sig": 2}
        found += [Argument(f"{name}: {f}", statistic(cls, f), [v, v], other="ct") for f, v in fields.items()]
        made = CASH if cls is gj.CashCountsStatistic else WSTAT
        for method in ("compute_errn", "compute_errp", "compute_upper_limit"):
            found.append(Argument(f"{name}.{method}: n_sigma", lambda v, m=made, n=method: getattr(m, n)(v), 2))
        found.append(
            Argument(
                f"{name}.n_sig_matching_significance: significance",
                lambda v, m=made: m.n_sig_matching_significance(v),
                2,
            )
        )
    return [
        *found,
        Argument(
            "MapBase.with_mask_fit: region",
            lambda v: MAP.with_mask_fit(region=v).mask_fit,
            [[1, 0], [1, 1]],
            mask=True,
            masked=True,
        ),
        Argument("Datasets.slice_by_energy: energy_min", _all_sliced("energy_min"), 2, "TeV"),
        Argument("Datasets.slice_by_energy: energy_max", _all_sliced("energy_max"), 4, "TeV"),
        Argument("CountsDataset.slice_by_energy: energy_min", sliced("energy_min"), 2, "TeV"),
        Argument("CountsDataset.slice_by_energy: energy_max", sliced("energy_max"), 4, "TeV"),
        Argument(
            "CountsDataset.resample_energy_axis: energy_edges",
            lambda v: SPECTRUM.resample_energy_axis(v).counts,
            [1, 4, 8],
            "TeV",
        ),
        Argument("MapBase.cutout: width", lambda v: MAP.cutout(GEOM.center, v).counts, 1, "deg"),
        Argument("MapBase.pad: pad_width", lambda v: MAP.pad(v).counts, 1, name="width", text=False),
        Argument("SpectrumBase.apply_response: npred_true", lambda v: SPECTRUM.apply_response(v), COUNTS, other="ct"),
        Argument("CountsBase.stat_bins: prediction", lambda v: SPECTRUM.stat_bins(v), COUNTS),
        Argument("MeasuredBackground.stat_bins: prediction", lambda v: ONOFF.stat_bins(v), COUNTS),
        Argument("CountsBase.deviance_bins: prediction", lambda v: SPECTRUM.deviance_bins(v), COUNTS),
        Argument("CountsBase.scoring_bins: prediction", lambda v: SPECTRUM.scoring_bins(v), COUNTS),
        Argument("FluxPointsDataset.stat_bins: prediction", lambda v: points.stat_bins(v), [7, 8, 9], DNDE),
        Argument("FluxPointsDataset.scoring_bins: prediction", lambda v: points.scoring_bins(v), [7, 8, 9], DNDE),
        Argument(
            "SpectrumDataset.replace: counts=",
            lambda v: fields_of(SPECTRUM.replace(counts=v)),
            COUNTS,
            other="ct",
            name="counts",
            masked=True,
        ),
        Argument("fake: npred_background", simulated(partial(gj.fake, KEY)), COUNTS, other="ct"),
        Argument("asimov: npred_background", simulated(gj.asimov), COUNTS, other="ct"),
        Argument(
            "sample_events: npred_background",
            lambda v: gj.sample_events(KEY, ONOFF.replace(gti=GTI), npred_background=v).energy,
            COUNTS,
            other="ct",
        ),
        Argument("sigma_to_ts: n_sigma", lambda v: gj.sigma_to_ts(v), [1, 2]),
        Argument("sigma_to_ts: df", lambda v: gj.sigma_to_ts(2, v), [1, 2]),
        Argument("ts_to_sigma: ts", lambda v: gj.ts_to_sigma(v), [1, 2]),
        Argument("ts_to_sigma: df", lambda v: gj.ts_to_sigma(2, v), [1, 2]),
        Argument("LogDensity.__call__: vector", lambda v: DENSITY(v), [1]),
        *(
            Argument(f"Likelihood.{method}: theta", lambda v, m=method: _of_likelihood(m, v), [1])
            for method in ("stat", "log_prob", "npred", "covariance", "fit")
        ),
        Argument(
            "Likelihood.with_counts: counts",
            lambda v: LIKE.with_counts({"dataset-0": v}).stat([1]),
            COUNTS,
            other="ct",
        ),
        Argument(
            "Likelihood.with_held: values",
            lambda v: LIKE.with_held({LIKE.names[0]: v}).fit().theta,
            2,
            "TeV-1 s-1 cm-2",
            name="with_held",
        ),
        Argument(
            "pseudo_experiments: npred_background",
            lambda v: gj.pseudo_experiments(KEY, ONOFF, MODELS, 2, npred_background={"dataset-0": v}).stat,
            OFF,
            other="ct",
        ),
        Argument("Likelihood.fit: tolerance", lambda v: LIKE.fit(tolerance=v).theta, 1),
        Argument(
            "pseudo_experiments: tolerance",
            lambda v: gj.pseudo_experiments(KEY, SPECTRUM, MODELS, 2, tolerance=v).parameters,
            1,
        ),
        *estimators(SPECTRUM, MODELS, SOURCE.name),
        *sky_maps(),
        Argument("PseudoExperiments.coverage: sigma", lambda v: TOYS().coverage(v), [1, 2]),
        Argument("PseudoExperiments.p_value: stat", lambda v: TOYS().p_value(v), 3),
    ]


def _all_sliced(field: str) -> Any:
    return lambda v: gj.Datasets({"a": SPECTRUM}).slice_by_energy(**{field: v})["a"].energy_edges


ARGUMENTS: list[Argument] = [
    *datasets(),
    *responses(),
    *sky(),
    *methods(),
    *files(),
    *flux_points(),
    *light_curves(),
    *components(),
    *collections(),
    *places(),
    *penalties(),
]
