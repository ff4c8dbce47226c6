"""A fit of a map: simulate a nebula, then fit its position, width and spectrum, and the level of the background."""

import jax
import numpy as np

import gammajax as gj

jax.config.update("jax_enable_x64", True)

TRUTH = {"lon_0": 83.63, "lat_0": 22.02, "sigma": 0.12, "index": 2.4, "amplitude": 4e-11}


def observation():
    """Five hours with a telescope that blurs by 0.08 deg and mistakes energies by 15 %; no counts yet."""
    geom = gj.SkyGeom.create(skydir=(83.63, 22.01), binsz=0.05, width=(3.0, 2.0))
    true, reco = np.geomspace(0.3, 50, 21), np.geomspace(0.5, 30, 11)
    center, low = np.sqrt(true[:-1] * true[1:]), reco[:-1]
    area = 3e9 * center / (1 + center)  # cm2
    livetime = 5 * 3600.0
    return gj.MapDataset(
        geom,
        reco,
        true,
        exposure=np.broadcast_to((area * livetime)[:, None, None], (20, *geom.shape)),
        background=np.broadcast_to((1.5 * low**-1.8)[:, None, None], (10, *geom.shape)),
        psf=gj.PSFMap.from_gauss(center, 0.08),
        edisp=gj.EDispKernel.from_gauss(true, reco, 0.15),
        livetime=livetime,
    )


def nebula(lon_0, lat_0, sigma, index, amplitude):
    spectrum = gj.PowerLawSpectralModel(index=index, amplitude=amplitude, reference=1.0)
    shape = gj.GaussianSpatialModel(lon_0=lon_0, lat_0=lat_0, sigma=sigma)
    return gj.Models([gj.SkyModel(spectrum, name="nebula", spatial=shape), gj.FoVBackgroundModel(name="background")])


def main():
    dataset = gj.fake(jax.random.key(0), observation(), nebula(**TRUTH))
    print(gj.info_table({"map": dataset}))

    start = nebula(lon_0=83.55, lat_0=22.1, sigma=0.15, index=2.0, amplitude=1e-11)
    result = gj.fit(dataset, start)
    print(result.table()["name", "value", "error", "unit"])
    for name in result.free_names[:-1]:
        p = result.parameters[name]
        print(f"{name}: {(float(p.value) - TRUTH[name.rsplit('.', 1)[-1]]) / float(p.error):+.1f} sigma from the truth")
    return result


if __name__ == "__main__":
    main()
