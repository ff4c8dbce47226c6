"""From a folder of reduced maps, as gammapy writes them, to flux points, a light curve and a map of residuals.

`simulate` makes such a folder; `analyse` is what one writes.
"""

from pathlib import Path

import astropy.units as u
import jax
import numpy as np

import gammajax as gj
from gammajax import plots

jax.config.update("jax_enable_x64", True)


def simulate(folder):
    """Three runs of 28 minutes on a point source, one after the other, with an index."""
    edges, true = np.geomspace(1, 30, 5), np.geomspace(0.7, 40, 7)
    centres = np.sqrt(true[1:] * true[:-1])
    geom = gj.SkyGeom.create((83.63, 22.01), 0.05, npix=30)
    runs = {}
    for k in range(3):
        empty = gj.MapDataset(
            geom,
            edges,
            true,
            exposure=np.full((6, 30, 30), 4e12),
            background=np.full((4, 30, 30), 0.3) * np.array([8.0, 4.0, 1.0, 0.3])[:, None, None],
            psf=gj.PSFMap.from_gauss(centres, 0.07),
            edisp=gj.EDispKernel.from_gauss(true, edges, 0.12),
            gti=gj.GTI([1800.0 * k], [1800.0 * k + 1700.0], 55000.0),
            livetime=1700.0,
        )
        source = gj.SkyModel(
            gj.PowerLawSpectralModel(amplitude=3e-11, index=2.4),
            "crab",
            spatial=gj.PointSpatialModel(lon_0=83.63, lat_0=22.01),
        )
        runs[f"run-{k}"] = gj.fake(jax.random.key(k), empty, [source])
    gj.Datasets(runs).write(Path(folder) / "datasets.yaml")


def analyse(folder):
    folder = Path(folder)
    datasets = gj.Datasets.read(folder / "datasets.yaml")

    spectrum = gj.PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1", index=2.0)
    position = gj.PointSpatialModel(lon_0=83.65 * u.deg, lat_0=22.0 * u.deg)
    source = gj.SkyModel(spectrum, "crab", spatial=position)
    backgrounds = [gj.FoVBackgroundModel(datasets_names=name) for name in datasets.names]
    result = gj.fit(datasets, gj.Models([source, *backgrounds]))
    print(result)

    points = gj.flux_points(datasets, result, "crab", [1, 2, 5, 10, 30] * u.TeV)
    points.write(folder / "flux-points.fits")
    print(points.to_table("e2dnde", formatted=True)["e_ref", "e2dnde", "e2dnde_err", "e2dnde_ul", "sqrt_ts"])
    plots.plot_sed(result, "crab", points=points).figure.savefig(folder / "sed.png")

    curve = gj.light_curve(datasets, result, "crab", "run-wise", [1, 30] * u.TeV)
    curve.write(folder / "light-curve.fits")
    print(curve.constancy())
    plots.plot_light_curve(curve).figure.savefig(folder / "light-curve.png")

    residual = gj.residual_map(datasets, result, 0.12 * u.deg)
    residual.write(folder / "residual.fits")
    ax = plots.plot_map(residual, "residual", models=result.models)
    ax.figure.savefig(folder / "residual.png")
    plots.plot_significance(residual).figure.savefig(folder / "significance.png")
    return result, points, curve, residual


if __name__ == "__main__":
    simulate("night")
    analyse("night")
