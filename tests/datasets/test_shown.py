"""What objects show of themselves: the numbers that they hold, without a program being compiled."""

import re
from html.parser import HTMLParser

import equinox as eqx
import jax
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

EDGES = [1.0, 2.0, 4.0, 8.0] * u.TeV


@pytest.fixture(scope="module")
def spectrum():
    return gj.SpectrumDatasetOnOff(
        EDGES, counts=[60, 20, 5], counts_off=[50, 20, 10], acceptance_off=5, exposure=np.full(3, 2e12), livetime=1800
    )


@pytest.fixture(scope="module")
def models():
    power_law = gj.PowerLawSpectralModel(
        index=gj.Parameter(2.3, error=0.1234567), amplitude=3e-11 / (u.TeV * u.s * u.cm**2)
    )
    point = gj.PointSpatialModel(lon_0=83.63, lat_0=22.01)
    return gj.Models([gj.SkyModel(power_law, name="crab", spatial=point), gj.FoVBackgroundModel(datasets_names="run")])


def shown(*things):
    """What things show, with an error where JAX computes anything from numbers on the host."""
    with jax.transfer_guard_host_to_device("disallow"):
        return [repr(thing) for thing in things], [
            Cells(thing._repr_html_()).cells for thing in things if hasattr(thing, "_repr_html_")
        ]


class Cells(HTMLParser):
    """The texts of the cells of a table."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag in ("td", "th", "caption")

    def handle_data(self, data):
        if self.inside:
            self.cells.append(data)


def test_datasets(spectrum):
    (text,), (cells,) = shown(spectrum)
    assert {"85", "1800 s"} <= set(cells)
    assert text == (
        "SpectrumDatasetOnOff(counts 85, counts_off 80, background 16, energy 1 to 8 TeV, bins 3, all fitted, "
        "livetime 1800 s, statistic wstat)"
    )
    assert "2 fitted" in repr(spectrum.with_mask_fit(energy_min=2 * u.TeV))
    assert "counts none" in repr(spectrum.replace(counts=None))
    datasets = gj.Datasets({"run <1>": spectrum})
    (listed,), (cells,) = shown(datasets)
    assert f"run <1>: {text}" in listed
    assert {"run <1>", "85", "80", "1 to 8 TeV", "1800 s"} <= set(cells) and "<1>" not in datasets._repr_html_()


def test_datasets_of_jax_arrays_and_inside_a_transformation(spectrum):
    on_device = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf) if np.ndim(leaf) else leaf, spectrum)
    assert repr(on_device) == repr(spectrum)
    seen = []
    jax.jit(lambda d, m: seen.append((repr(d), repr(m))) or d.counts)(spectrum, gj.PowerLawSpectralModel())
    assert "counts traced" in seen[0][0] and "index=traced" in seen[0][1]


def test_maps_and_flux_points():
    geom = gj.SkyGeom.create(npix=5, binsz=0.1)
    run = gj.MapDataset(geom, EDGES, counts=np.ones((3, 5, 5)), background=np.full((3, 5, 5), 0.5))
    points = gj.FluxPoints([1.0, 2.0], [1.0, 2.0], [1e-12, 1e-13], norm_err=[0.1, 0.2])
    dataset = gj.FluxPointsDataset(points)
    (of_run, of_points, of_dataset), (_, cells, _) = shown(run, points, dataset)
    assert "counts 75, background 37.5, energy 1 to 8 TeV, bins 3 x 5 x 5, all fitted" in of_run
    assert "points 2, upper limits 0, energy 1 to 2 TeV" in of_points
    assert "fitted 2, statistic chi2" in of_dataset
    assert {"1e-12", "2e-13"} <= set(cells)


def test_models(models):
    spectral = models["crab"].spectral
    text = "PowerLawSpectralModel(index=2.3 +- 0.123, amplitude=3e-11 TeV-1 s-1 cm-2, reference=1 TeV frozen)"
    assert repr(spectral) == text
    assert repr(spectral.index) == "Parameter(2.3 +- 0.123)"
    assert repr(models["crab"]) == f"SkyModel 'crab'\n  spectral: {text}\n  spatial: {models['crab'].spatial!r}"
    assert "lon_0=83.63 deg" in repr(models["crab"].spatial)
    assert repr(models[1]).startswith("FoVBackgroundModel 'run-bkg' on run\n")
    assert "2.3 +- 0.123" in repr(models)
    assert repr(spectral + spectral).startswith(f"CompoundSpectralModel({text}")
    for cells in shown(spectral, models, models["crab"], models.parameters)[1]:
        assert {"2.3", "0.123", "3e-11", "TeV-1 s-1 cm-2"} <= set(cells)
    template = gj.TemplateNPredModel([1.0, 2.0, 3.0])
    assert "counts: [1, 2, 3]" in repr(template)
    assert "lambda" in repr(gj.SkyModel(lambda energy: energy))


def test_statistics():
    rng = np.random.default_rng(3)
    n_on, n_off, mu = rng.poisson(5, 40), rng.poisson(20, 40), rng.uniform(0.1, 9, 40)
    n_on[:3] = 0
    n_off[2:5] = 0
    known = [gj.CashCountsStatistic(n, m) for n, m in zip(n_on, mu, strict=True)]
    measured = [
        gj.WStatCountsStatistic(n, m, 0.3, s) for n, m, s in zip(n_on, n_off, rng.choice([0, 1.5], 40), strict=True)
    ]
    texts, _ = shown(*known, *measured)
    for text, statistic in zip(texts, (*known, *measured), strict=True):
        (figure,) = re.findall(r"sqrt_ts (\S+)\)", text)
        assert float(figure) == pytest.approx(float(statistic.sqrt_ts), rel=5e-4, abs=1e-6)
        assert f"n_on {int(statistic.n_on)}," in text
    assert "sqrt_ts [" in repr(gj.CashCountsStatistic([1, 2], 1)) and "(40 values)" in repr(
        gj.CashCountsStatistic(mu, 1)
    )


def test_results(spectrum, models):
    power_law = gj.Models(gj.SkyModel(models["crab"].spectral, name="a-long-name-of-a-source"))
    result = gj.fit({"run": spectrum}, power_law)
    lines = result.table().pformat(max_width=80)
    name = "a-long-name-of-a-source.spectral.index"
    (row,) = [line for line in lines if name in line]
    index = result.parameters["index"]
    _, value, error, *_ = row.split()
    assert all(len(line) <= 80 for line in lines)
    assert float(value) == pytest.approx(float(index.value), rel=1e-7)
    assert float(error) == pytest.approx(float(index.error), rel=1e-2)
    assert result.table()["value"][0] == float(result.parameters[result.table()["name"][0]].value)
    cells = Cells(result._repr_html_()).cells
    assert {f"{float(index.value):.6g}", f"{float(index.error):.3g}"} <= set(cells) and "converged" in cells[0]


def test_tables_written_as_ecsv_keep_all_digits(spectrum, models, tmp_path):
    from astropy.table import Table

    table = gj.Models(models["crab"]).with_values({"index": 1 / 3}).parameters.to_table()
    table.write(tmp_path / "parameters.ecsv")
    assert Table.read(tmp_path / "parameters.ecsv")["value"][0] == 1 / 3


@pytest.mark.parametrize("which", ["spectrum", "models", "model", "spectral", "parameter", "datasets", "gti", "counts"])
def test_trees_that_hold_other_things_are_shown(which, spectrum, models):
    """JAX and equinox put None, shapes and batches in place of numbers, and show the result in their errors."""
    made = {
        "spectrum": spectrum, "models": models, "model": models[0], "spectral": models[0].spectral,
        "parameter": models[0].spectral.index, "datasets": gj.Datasets([spectrum]), "gti": gj.GTI([0.0], [1.0]),
        "counts": gj.WStatCountsStatistic(3, 4, 0.5),
    }  # fmt: skip
    whole = made[which]
    others = [
        eqx.partition(whole, eqx.is_array)[1],
        jax.eval_shape(lambda: whole),
        jax.tree.map(lambda x: None, whole),
        jax.vmap(lambda _: whole)(np.ones(4)),
        object.__new__(type(whole)),
    ]
    for tree in others:
        assert type(whole).__name__ in repr(tree) or which in ("models", "model")
        assert repr(tree) and isinstance(getattr(tree, "_repr_html_", str)(), str)


def test_fields_cannot_be_deleted(spectrum):
    with pytest.raises(gj.InputError, match="immutable"):
        del spectrum.counts
    assert spectrum.counts is not None
