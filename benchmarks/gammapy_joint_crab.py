"""What a gammapy user writes for the joint Crab fit: read ten OGIP spectra, fit, write tables and pictures.

    python benchmarks/gammapy_joint_crab.py FOLDER [--no-plots]

The counterpart of `gammajax fit` in cold_start.py.
"""

import argparse
from pathlib import Path

import astropy.units as u
from gammapy.datasets import Datasets, SpectrumDatasetOnOff
from gammapy.modeling import Fit
from gammapy.modeling.models import LogParabolaSpectralModel, Models, SkyModel
from measure import MODEL_START, fit_range, joint_crab_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--no-plots", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)

    datasets = Datasets()
    for name, path in joint_crab_files().items():
        dataset = SpectrumDatasetOnOff.read(path, name=name)
        low, high = fit_range(name)
        dataset.mask_fit = dataset.counts.geom.energy_mask(low * u.TeV, high * u.TeV)
        datasets.append(dataset)

    spectrum = LogParabolaSpectralModel(
        amplitude=f"{MODEL_START['amplitude']} cm-2 s-1 TeV-1",
        reference="1 TeV",
        alpha=MODEL_START["alpha"],
        beta=MODEL_START["beta"],
    )
    spectrum.amplitude.error, spectrum.alpha.error, spectrum.beta.error = 1e-12, 0.03, 0.01
    datasets.models = models = Models([SkyModel(spectrum, name="crab")])
    result = Fit().run(datasets)

    table = models.to_parameters_table()
    print(result)
    print(table)
    models.write(args.folder / "models.yaml", overwrite=True, write_covariance=True)
    table.write(args.folder / "parameters.ecsv", overwrite=True)
    if not args.no_plots:
        draw(datasets, args.folder)


def draw(datasets: Datasets, folder: Path) -> None:
    """Counts with prediction and residuals per dataset, and the spectrum with its error band."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for dataset in datasets:
        figure = plt.figure(figsize=(6.4, 5.6))
        dataset.plot_fit()
        figure.savefig(folder / f"counts-{dataset.name}.png")
        plt.close(figure)
    figure, axes = plt.subplots()
    spectrum = datasets.models["crab"].spectral_model
    bounds = [0.03, 30] * u.TeV
    spectrum.plot(bounds, ax=axes, sed_type="e2dnde")
    spectrum.plot_error(bounds, ax=axes, sed_type="e2dnde")
    figure.savefig(folder / "sed-crab.png")


if __name__ == "__main__":
    main()
