"""``gammajax simulate`` on the command line."""

import jax
import numpy as np
import pytest

import gammajax as gj
from gammajax.cli.main import main
from gammajax.cli.simulate import event_files

EDGES = np.geomspace(1, 10, 4)


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("command_line")]


@pytest.fixture
def files(tmp_path):
    """A spectrum with off counts, a small map, and a model of the spectrum."""
    gti = gj.GTI([0.0], [1000.0])
    fields = {"exposure": np.full(3, 3e12), "livetime": 1000.0, "gti": gti}
    run = gj.SpectrumDatasetOnOff(EDGES, counts=[0, 0, 0], counts_off=[50, 20, 5], acceptance_off=5, **fields)
    image = gj.MapDataset(
        gj.SkyGeom.create((83.6, 22.0), 0.1, npix=4),
        EDGES,
        background=np.full((3, 4, 4), 2.0),
        exposure=np.full((3, 4, 4), 3e12),
        gti=gti,
    )
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=2e-11), name="source", datasets_names="run")])
    gj.Datasets({"run": run, "sky map": image}).write(tmp_path / "in" / "datasets.yaml")
    models.write(tmp_path / "in" / "models.yaml")
    return str(tmp_path / "in" / "datasets.yaml"), str(tmp_path / "in" / "models.yaml")


def test_counts(files, tmp_path, capsys):
    assert main(["simulate", *files, "-o", str(tmp_path / "out"), "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    assert "sky map" in shown and "datasets.yaml and the files that it names, models.yaml" in shown
    datasets, drawn = gj.Datasets.read(files[0]), gj.Datasets.read(tmp_path / "out" / "datasets.yaml")
    models = gj.Models.read(tmp_path / "out" / "models.yaml")
    assert drawn.names == ("run", "sky map") and models.names == ("source",)
    for i, (name, dataset) in enumerate(datasets.items()):
        own = jax.random.fold_in(jax.random.key(3), i)
        expected = gj.fake(own, dataset, models, name)
        np.testing.assert_array_equal(drawn[name].counts, expected.counts)
        if name == "run":
            np.testing.assert_array_equal(drawn[name].counts_off, expected.counts_off)


def test_events(files, tmp_path, capsys):
    options = ["simulate", *files, "-o", str(tmp_path / "out"), "--events"]
    assert main(options) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "events in 2 files NAME_events.fits (events outside the safe and fit bins are in the files" in printed
    drawn = gj.Datasets.read(tmp_path / "out" / "datasets.yaml")
    for name, file in (("run", "run_events.fits"), ("sky map", "sky_map_events.fits")):
        events = gj.EventList.read(tmp_path / "out" / file)
        assert len(events) > 20
        np.testing.assert_array_equal(gj.bin_events(events, drawn[name]).counts, drawn[name].counts)
    assert main(options) == 2
    assert "results are there already" in capsys.readouterr().err
    assert main([*options, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_bad_input_is_one_line(files, tmp_path, capsys):
    datasets = gj.Datasets.read(files[0])
    gj.Datasets({"run": datasets["run"].replace(gti=None)}).write(tmp_path / "bare.yaml")
    assert main(["simulate", str(tmp_path / "bare.yaml"), files[1], "-o", str(tmp_path / "out"), "--events"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gammajax: error: dataset 'run': sample_events: the dataset has no good time intervals")
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()
    assert main(["simulate", files[0], str(tmp_path / "none.yaml"), "-o", str(tmp_path / "out")]) == 2
    assert "was not found" in capsys.readouterr().err


def test_names_of_files():
    assert event_files(["a b", "a_b", "A B"]) == {
        "a b": "a_b_events.fits",
        "a_b": "a_b-2_events.fits",
        "A B": "A_B-3_events.fits",
    }
