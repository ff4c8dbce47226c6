"""Every reader of the package, with small files that it reads: what is damaged, and how it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from cases import flux_points, gadf_maps, number_files, regions

import gammajax as gj

EDGES = [1.0, 2.0, 4.0, 8.0]


@dataclass(frozen=True)
class Reader:
    """``write`` puts files into a folder, ``read`` reads them; any of them is damaged, or the one named ``target``."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    target: str = ""


def _models() -> gj.Models:
    spectrum = gj.ExpCutoffPowerLawSpectralModel(index=2, amplitude="3e-11 cm-2 s-1 TeV-1", lambda_="0.1 TeV-1")
    place = gj.GaussianSpatialModel(lon_0=83.6, lat_0=22.0, sigma=0.1)
    source = gj.SkyModel(spectrum, spatial=place, temporal=gj.LinearTemporalModel(beta=0.5, t_ref=55555), name="crab")
    source = source.replace(spectral=spectrum.replace(index=gj.Parameter(2.0, prior=gj.GaussianPrior(2.0, 0.3), min=0)))
    return gj.Models([source, gj.FoVBackgroundModel(datasets_names="run", name="run-bkg")])


def _spectrum(**fields: object) -> gj.SpectrumDataset:
    base = {"counts": [5, 3, 1], "background": [1, 1, 0.5], "exposure": [2e12] * 3, "livetime": 1800.0}
    return gj.SpectrumDataset(EDGES, **(base | fields))


def _on_off() -> gj.SpectrumDatasetOnOff:
    return gj.SpectrumDatasetOnOff(
        EDGES,
        counts=[5, 3, 1],
        counts_off=[9, 4, 2],
        acceptance=1,
        acceptance_off=5,
        exposure=[2e12] * 3,
        livetime=1800.0,
        edisp=gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2),
        gti=gj.GTI([0.0], [1800.0], 55555),
    )


def _events(folder: Path) -> None:
    gti = gj.GTI([0.0, 50.0], [20.0, 100.0], 55555)
    n = 12
    gj.EventList(
        energy=np.linspace(1, 7, n),
        time=np.linspace(1, 90, n),
        lon=np.linspace(83, 84, n),
        lat=np.full(n, 22.0),
        gti=gti,
    ).write(folder / "events.fits")


def _kernels(folder: Path) -> None:
    gadf_maps.kernel_map().write(folder / "edisp.fits", energy_true_edges=gadf_maps.TRUE, energy_edges=gadf_maps.EDGES)


def _absorption(folder: Path) -> None:
    source = Path(number_files.absorption()) / "ebl_dominguez11.fits.gz"
    with fits.open(source) as hdus:
        hdus.writeto(folder / "ebl.fits")


def _grid(folder: Path) -> None:
    """As gammapy writes it: the last axis first, one pixel."""
    energy, tilt = (a.ravel() for a in np.meshgrid([1.0, 2.0, 4.0], [1.0, 2.0]))
    bands = fits.BinTableHDU(
        Table({"CHANNEL": np.arange(6), "ENERGY_TRUE": energy * u.TeV, "TILT": tilt}), name="SKYMAP_BANDS"
    )
    values = Table({"CHANNEL": np.arange(6), "DATA": np.arange(1.0, 7.0) * u.Unit("cm-2 s-1 TeV-1")})
    image = fits.BinTableHDU(values, name="SKYMAP")
    for hdu in (bands, image):
        hdu.header.update(AXCOLS1="ENERGY_TRUE", INTERP1="log", AXCOLS2="TILT", INTERP2="lin")
    fits.HDUList([fits.PrimaryHDU(), image, bands]).writeto(folder / "grid.fits")


def _template(folder: Path) -> None:
    gj.TemplateSpatialModel(np.arange(1.0, 31.0).reshape(5, 6), gadf_maps.GEOM).write(folder / "template.fits")


def _cube(folder: Path) -> None:
    axis = gj.MapAxis(EDGES, "log", "energy_true", "TeV", "edges")
    values = np.arange(1.0, 91.0).reshape(3, 5, 6)
    gj.TemplateSpatialModel(values, gadf_maps.GEOM, axis).write(folder / "template.fits")


def _curve(folder: Path) -> None:
    gj.LightCurveTemplateTemporalModel([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], 55555).to_table().write(folder / "curve.fits")


def _curve_text(folder: Path) -> None:
    gj.LightCurveTemplateTemporalModel([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], 55555).to_table().write(
        folder / "curve.ecsv", format="ascii.ecsv"
    )


def _phase(folder: Path) -> None:
    Table({"PHASE": [0.0, 0.5, 1.0], "NORM": [1.0, 2.0, 1.0]}).write(folder / "phase.fits")


def _collection(folder: Path) -> None:
    gj.Datasets({"run": _spectrum(), "on-off": _on_off()}).write(folder / "datasets.yaml")


@cache
def _fitted() -> gj.FitResult:
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="crab")])
    run = gj.fake(jax.random.key(0), _spectrum(counts=None), models)
    return gj.fit({"run": run}, models, starts=1)


def _result(folder: Path) -> None:
    _fitted().write(folder / "result.yaml")


def _of(make: Callable[[], object], name: str) -> Callable[[Path], object]:
    return lambda folder: make().write(folder / name)  # type: ignore[attr-defined]


def _reads(read: Callable[[Path], object], name: str) -> Callable[[Path], object]:
    return lambda folder: read(folder / name)


READERS = (
    Reader("ogip", _of(_on_off, "pha.fits"), _reads(gj.SpectrumDatasetOnOff.read, "pha.fits")),
    Reader("spectrum", _of(_spectrum, "run.fits"), _reads(gj.SpectrumDataset.read, "run.fits")),
    Reader("map", _of(gadf_maps.known, "map.fits"), _reads(gj.MapDataset.read, "map.fits")),
    Reader("map-on-off", _of(gadf_maps.on_off, "map.fits"), _reads(gj.MapDatasetOnOff.read, "map.fits")),
    Reader("region", _of(regions.dataset, "region.fits"), _reads(gj.RegionMapDataset.read, "region.fits")),
    Reader("psf-map", _of(gadf_maps.psf_map, "psf.fits"), _reads(gj.PSFMap.read, "psf.fits")),
    Reader("edisp-map", _of(gadf_maps.migra_map, "edisp.fits"), _reads(gj.EDispMap.read, "edisp.fits")),
    Reader("edisp-kernels", _kernels, _reads(gj.EDispKernelMap.read, "edisp.fits")),
    Reader(
        "rmf",
        lambda folder: gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2).write(folder / "rmf.fits"),
        _reads(gj.EDispKernel.read, "rmf.fits"),
    ),
    Reader(
        "arf",
        lambda folder: gj.write_arf(folder / "arf.fits", EDGES, [1e9, 2e9, 3e9]),
        _reads(gj.read_arf, "arf.fits"),
    ),
    Reader("events", _events, _reads(gj.EventList.read, "events.fits")),
    Reader("points", _of(flux_points.points, "points.fits"), _reads(gj.FluxPoints.read, "points.fits")),
    Reader("points-text", _of(flux_points.points, "points.ecsv"), _reads(gj.FluxPoints.read, "points.ecsv")),
    Reader("points-data", _of(flux_points.dataset, "points.fits"), _reads(gj.FluxPointsDataset.read, "points.fits")),
    Reader("absorption", _absorption, _reads(gj.EBLAbsorptionNormSpectralModel.read, "ebl.fits")),
    Reader("grid", _grid, _reads(gj.TemplateNDSpectralModel.read, "grid.fits")),
    Reader("template", _template, _reads(gj.TemplateSpatialModel.read, "template.fits")),
    Reader("cube", _cube, _reads(gj.TemplateSpatialModel.read, "template.fits")),
    Reader("curve", _curve, _reads(gj.LightCurveTemplateTemporalModel.read, "curve.fits")),
    Reader("curve-text", _curve_text, _reads(gj.LightCurveTemplateTemporalModel.read, "curve.ecsv")),
    Reader("phase", _phase, _reads(gj.TemplatePhaseCurveTemporalModel.read, "phase.fits")),
    Reader("models", _of(_models, "models.yaml"), _reads(gj.Models.read, "models.yaml")),
    Reader("index", _collection, _reads(gj.Datasets.read, "datasets.yaml"), target="datasets.yaml"),
    Reader("collection", _collection, _reads(gj.Datasets.read, "datasets.yaml")),
    Reader("result", _result, _reads(gj.FitResult.read, "result.yaml")),
)
