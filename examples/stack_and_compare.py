"""The sum of several runs, its significance, flux points fitted beside it, and events drawn from the fitted model."""

import astropy.units as u
import jax
import numpy as np

import gammajax as gj
from gammajax.cli.demo import simulate_night

jax.config.update("jax_enable_x64", True)


def main():
    night = simulate_night(seed=1)
    total = night.stack_reduce()
    print(gj.info_table(night, cumulative=True)["name", "counts", "counts_off", "sqrt_ts"])
    print(f"{float(gj.counts_statistic(total.to_image()).sqrt_ts[0]):.1f} sigma")

    # flux points of another instrument, here of the Crab nebula's spectrum with errors of 8 %
    energy = np.array([0.02, 0.05, 0.1, 0.2]) * u.TeV
    dnde = 3.8e-11 * (energy.value) ** (-2.5 - 0.1 * np.log(energy.value)) / (u.TeV * u.s * u.cm**2)
    points = gj.FluxPoints.from_table({"e_ref": energy, "dnde": dnde, "dnde_err": 0.08 * dnde}, sed_type="dnde")

    spectrum = gj.LogParabolaSpectralModel(amplitude=1e-11, reference=1.0, alpha=2.0, beta=0.0)
    models = gj.Models([gj.SkyModel(spectrum, name="crab")])
    alone = gj.fit(night, models)
    together = gj.fit(night + gj.Datasets({"points": gj.FluxPointsDataset(points)}), models)
    for result in (alone, together):
        beta = result.parameters["crab.spectral.beta"]
        print(f"beta = {float(beta.value):.3f} +- {float(beta.error):.3f}")

    events = gj.sample_events(jax.random.key(1), night["run-1"], together.models, name="run-1")
    print(events.table()[:5])
    return total, alone, together, events


if __name__ == "__main__":
    main()
