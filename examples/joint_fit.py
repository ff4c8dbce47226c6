"""A joint fit of several runs: simulate a night, fit it, look at the errors and at a picture."""

import jax

import gammajax as gj
from gammajax.cli.demo import simulate_night
from gammajax.plots import flux_band, plot_sed

jax.config.update("jax_enable_x64", True)


def main(output=None):
    night = simulate_night(seed=1)  # or gj.Datasets.read("datasets.yaml")
    spectrum = gj.LogParabolaSpectralModel(amplitude=1e-11, reference=1.0, alpha=2.0, beta=0.0)
    models = gj.Models([gj.SkyModel(spectrum, name="crab")])

    result = gj.fit(night, models)
    print(result)
    print(result.correlation.round(2))

    dnde, error = flux_band(result, "crab", [1.0, 10.0])
    print(f"dN/dE at 10 TeV: {dnde[1]:.2e} +- {error[1]:.1e} cm-2 s-1 TeV-1")
    if output is not None:
        plot_sed(result, "crab", (0.6, 40.0)).figure.savefig(output)
    return result


if __name__ == "__main__":
    main("sed.png")
