import os
import re
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml

import gammajax as gj
import gammajax.cli.main as cli
from gammajax.cli import compiled, demo, session
from gammajax.cli.main import main

pytestmark = pytest.mark.slow

PLAIN = "[\x20-\x7e\n]*"
"""Printable ASCII: no control codes, no characters that a log may not know."""


@pytest.fixture(autouse=True)
def keep_settings(monkeypatch, tmp_path_factory):
    """The command line changes settings of its process, and here that is the process of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
             "jax_persistent_cache_min_entry_size_bytes", "jax_enable_x64")  # fmt: skip
    before = {name: getattr(jax.config, name) for name in names}
    # one process must not write to the cache of another test's folder
    monkeypatch.setattr(session, "cache_folder", lambda jaxlib: None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of a small night: two runs."""
    path = tmp_path_factory.mktemp("night")
    demo.simulate_night(2)[:2].write(path / "datasets.yaml")
    demo.crab(demo.START).write(path / "models.yaml")
    return path


@pytest.fixture
def fit(folder, tmp_path, capsys):
    """Run `gammajax fit` on (changed) files; the exit code, standard output, standard error."""

    def run(*options, datasets=folder / "datasets.yaml", models=folder / "models.yaml"):
        code = main(["fit", str(datasets), str(models), "-o", str(tmp_path / "out"), *options])
        return code, *capsys.readouterr()

    return run


def edited(source, target, change):
    """A copy of a YAML file after ``change(data)``; its data files are still found."""
    data = yaml.safe_load(source.read_text())
    data.pop("checksum", None)
    change(data)
    for entry in data.get("datasets", ()):
        entry["filename"] = str(source.parent / entry["filename"])
    target.write_text(yaml.safe_dump(data, sort_keys=False))
    return target


def test_fit_writes_results_and_reports(fit, tmp_path, folder):
    code, out, err = fit()
    assert (code, err) == (0, "")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"result.yaml", "result_covariance.dat", "result.fits", "parameters.ecsv", "sed-crab.png",
                     "counts-run-1.png", "counts-run-2.png"}  # fmt: skip
    datasets, models = gj.Datasets.read(folder / "datasets.yaml"), gj.Models.read(folder / "models.yaml")
    direct = gj.fit(datasets, models)
    again = gj.Models.read(tmp_path / "out" / "result.yaml")
    for name, p in direct.parameters.items():
        np.testing.assert_allclose(float(again.parameters[name].value), float(p.value), rtol=1e-6)
        np.testing.assert_allclose(float(again.parameters[name].error), float(p.error), rtol=1e-5)
    assert re.search(r"crab.spectral.alpha +2\.\d+ ", out)
    assert re.search(r"crab.spectral.reference +1 TeV +frozen", out)
    assert re.search(rf"run-1 +\d+ +{int(np.sum(datasets['run-1'].counts[datasets['run-1'].mask]))} ", out)
    assert f"Statistic {direct.stat:.3f} for {direct.n_bins} bins and 3 free parameters. Of counts it is no chi2" in out
    assert "Converged in" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines()[:-3])) <= 100


def test_second_run_needs_overwrite(fit, tmp_path):
    assert fit("--no-plots", "--quiet")[0] == 0
    before = (tmp_path / "out" / "result.yaml").read_bytes()
    code, _, err = fit("--no-plots")
    assert code == 2
    assert "results are there already (result.yaml" in err
    assert "--overwrite" in err
    assert fit("--no-plots", "--overwrite", "--quiet")[0] == 0
    assert (tmp_path / "out" / "result.yaml").read_bytes() == before


def test_quiet_prints_nothing(fit, tmp_path):
    assert fit("--quiet", "--no-plots") == (0, "", "")
    assert not list((tmp_path / "out").glob("*.png"))


def test_minuit_ends_at_the_same_place(fit, tmp_path):
    pytest.importorskip("iminuit")
    code, out, _ = fit("--method", "minuit", "--no-plots")
    assert code == 0
    assert "(minuit" in out


def test_number_of_starts(fit):
    code, _, err = fit("--starts", "2", "--no-plots", "--quiet")
    assert (code, err) == (0, "")
    code, _, err = fit("--starts", "99", "--no-plots", "--quiet", "--overwrite")
    assert code == 2 and "starts must be 'auto' or a number from 1 to 16" in err


def test_float32(fit):
    code, _, err = fit("--precision", "float32", "--no-plots", "--quiet")
    assert (code, err) == (0, "")


def test_energy_range_narrows_the_ranges_of_the_index(fit, folder, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, out, err = fit("--energy-min", "2TeV", "--energy-max", "20", "--no-plots")
    assert code == 0
    assert "2 TeV is inside the bin from 1.99526 to 2.51189 TeV" in err
    wanted = sum(int(np.sum(d.mask & d.energy_mask(2, 20))) for d in gj.Datasets.read(folder / "datasets.yaml"))
    assert f"for {wanted} bins" in out


def test_a_single_spectrum(fit, folder, tmp_path):
    code, out, _ = fit("--no-plots", datasets=folder / "pha_obsrun-1.fits")
    assert code == 0
    assert "pha_obsrun-1" in out


def test_fit_that_does_not_converge(fit, tmp_path):
    code, out, _ = fit("--max-iterations", "1", "--no-plots")
    assert code == 1
    assert "NOT CONVERGED (max_iterations)" in out
    assert "Raise max_iterations" in out
    assert (tmp_path / "out" / "result.yaml").exists()
    code, out, err = fit("--max-iterations", "1", "--no-plots", "--quiet", "--overwrite")
    assert (code, out) == (1, "")
    assert "gammajax: warning: The fit did not converge" in err


@pytest.mark.filterwarnings("ignore:flux_points. the upper limits")
def test_unconstrained_parameters(fit, folder, tmp_path):
    def twice(data):
        for p in data["components"][0]["spectral"]["parameters"][1:]:
            p["frozen"] = True
        data["components"].append({**data["components"][0], "name": "twin"})

    models = edited(folder / "models.yaml", tmp_path / "models.yaml", twice)
    code, out, _ = fit(models=models)
    assert code == 1
    assert "The data do not constrain: " in out
    assert "not constrained" in out


def bad_unit(data):
    data["components"][0]["spectral"]["parameters"][0]["unit"] = "m"


def bad_tag(data):
    data["components"][0]["spectral"]["type"] = "LogParabolSpectralModel"


def no_dataset(data):
    data["components"][0]["datasets_names"] = ["run-9"]


def all_frozen(data):
    for p in data["components"][0]["spectral"]["parameters"]:
        p["frozen"] = True


def bad_start(data):
    data["components"][0]["spectral"]["parameters"][0]["value"] = 1e300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bad_unit, "model 'crab'.* unit"),
        (bad_tag, "unknown spectral model type 'LogParabolSpectralModel'"),
        (no_dataset, "selects no dataset: it names run-9"),
        (all_frozen, "All 4 parameters are frozen"),
        (bad_start, "infinite or undefined at the start values"),
    ],
)
def test_bad_models(fit, folder, tmp_path, change, message):
    assert_bad(fit(models=edited(folder / "models.yaml", tmp_path / "m.yaml", change)), message, tmp_path)


def missing_file(data):
    data["datasets"][0]["filename"] = "nothing.fits"


def bad_range(data):
    data["datasets"][0]["mask_fit"] = {"energy_min": "90 TeV", "energy_max": "91 TeV"}


def bad_energy(data):
    data["datasets"][0]["mask_fit"] = {"energy_min": "3 apples"}


def bad_type(data):
    data["datasets"][0]["type"] = "CubeDataset"


def twin_names(data):
    data["datasets"][1]["name"] = data["datasets"][0]["name"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (missing_file, r"nothing\.fits: the file was not found"),
        (bad_range, "Dataset 'run-1': the mask excludes every bin"),
        (bad_energy, "energy_min is '3 apples'"),
        (bad_type, "the type 'CubeDataset' cannot be read"),
        (twin_names, "the name 'run-1' is there twice"),
    ],
)
def test_bad_datasets(fit, folder, tmp_path, change, message):
    assert_bad(fit(datasets=edited(folder / "datasets.yaml", tmp_path / "d.yaml", change)), message, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--energy-min", "2 apples"], "--energy-min: found '2 apples', expected an energy such as"),
        (["--energy-max=-1TeV"], "--energy-max: found '-1TeV'"),
        (["--energy-max", "nan TeV"], "--energy-max: found 'nan TeV'"),
        (["--energy-min", "5s"], "--energy-min: found '5s'"),
        (["--energy-min", "100TeV"], "the mask excludes every bin"),
    ],
)
def test_bad_options(fit, tmp_path, options, message):
    assert_bad(fit(*options), message, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "was not found"),
        ("", "the file is empty"),
        ("components: [", "cannot be parsed"),
        ("a: !!python/object/apply:os.system ['true']", "the tag .* is not allowed"),
        ("datasets: 3", "expected"),
    ],
)
@pytest.mark.parametrize("which", ["datasets", "models"])
def test_bad_yaml(fit, tmp_path, which, content, message):
    path = tmp_path / "bad.yaml"
    if content is not None:
        path.write_text(content)
    if content == "datasets: 3" and which == "models":
        message = "datasets"
    assert_bad(fit(**{which: path}), message, tmp_path)


def test_truncated_fits(fit, folder, tmp_path):
    (tmp_path / "cut.fits").write_bytes((folder / "pha_obsrun-1.fits").read_bytes()[:4000])
    assert_bad(fit(datasets=tmp_path / "cut.fits"), r"cut\.fits: the file is cut off or damaged", tmp_path)


def test_output_that_cannot_be_written(fit, folder, tmp_path):
    (tmp_path / "out").write_text("a file")
    code, out, err = fit()
    assert (code, out) == (2, "")
    assert "is a file. Choose another folder" in err
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_output_without_permission(fit, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    assert "may not be changed" in fit()[2]


def assert_bad(solution, message, tmp_path):
    """One clear line on standard error, nothing else said, nothing written."""
    code, out, err = solution
    assert (code, out) == (2, "")
    assert re.search(message, err), err
    assert re.fullmatch(r"(gammajax: warning: .*\n)*gammajax: error: [^\n]*\n", err), err
    assert not (tmp_path / "out").exists()


def test_errors_of_the_system_are_one_line(monkeypatch, capsys):
    def fail(args):
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(cli, "_info", fail)
    assert main(["info", "x"]) == 2
    assert capsys.readouterr().err == "gammajax: error: /some/file: Permission denied.\n"


def test_interrupt(monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_info", stop)
    assert main(["info", "x"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_warnings_are_one_line(fit, folder, tmp_path, capsys):
    text = (folder / "datasets.yaml").read_text().replace("name: run-1", "name: run-one")
    for file in folder.glob("*.fits"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "datasets.yaml").write_text(text)
    code, _, err = fit("--quiet", "--no-plots", datasets=tmp_path / "datasets.yaml")
    assert code == 0
    assert re.fullmatch(r"gammajax: warning: .*the checksum does not match.*\n", err)


@pytest.mark.parametrize(
    "arguments",
    [[], ["fitt"], ["fit"], ["fit", "a", "b", "--method", "magic"], ["demo", "--seed", "x"],
     ["fit", "a", "b", "--max-iterations", "0"], ["fit", "a", "b", "--starts", "few"]],
)  # fmt: skip
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: gammajax" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, text in (
        (["--help"], "exit codes"),
        (["fit", "--help"], "--overwrite"),
        (["--version"], gj.__version__),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        assert text in capsys.readouterr().out


def test_info(folder, tmp_path, capsys):
    demo.crab(demo.TRUTH).freeze("beta").with_parameter("alpha", min=1, max=4).write(tmp_path / "m.yaml")
    assert (
        main(["info", str(folder / "datasets.yaml"), str(tmp_path / "m.yaml"), str(folder / "pha_obsrun-2.fits")]) == 0
    )
    out, err = capsys.readouterr()
    assert err == ""
    night = gj.Datasets.read(folder / "datasets.yaml")
    for name, dataset in night.items():
        info = gj.info_dict(dataset, name)
        assert re.search(rf"{name} +{info['counts']} +{info['counts_off']} .* {info['sqrt_ts']:.1f} ", out)
    assert "pha_obsrun-2" in out
    assert re.search(r"crab +LogParabola +amplitude +3.85 . 10\S+ cm-2 s-1 TeV-1", out)
    assert re.search(r"alpha +2.5 +1 \.\.\. 4", out)
    assert re.search(r"beta +0.1 +frozen", out)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.yaml", "neither: nor", "neither an index of datasets nor models"),
        ("x.fits", "no FITS", "not a FITS file"),
        ("x.yaml", None, "was not found"),
    ],
)
def test_info_of_bad_files_prints_nothing_else(folder, tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["info", str(folder / "datasets.yaml"), str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_demo(tmp_path, capsys):
    where = tmp_path / "demo"
    assert main(["demo", "-o", str(where), "--no-plots", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert f"gammajax fit {where}/datasets.yaml {where}/models.yaml -o {where}/results" in out
    assert "Pull" in out
    assert (where / "results" / "result.yaml").exists()
    points = gj.FluxPoints.read(where / "results" / "flux-points-crab.ecsv")
    measured = np.flatnonzero(~np.asarray(points.is_ul))
    assert "Flux points, all runs jointly" in out and len(measured) > 5
    shown = re.findall(r"^ *[\d.]+ to [\d.]+ .* -?\d+\.\d *$", out, re.M)
    assert len(shown) == int(np.sum(np.isfinite(points.norm)))
    rows = re.findall(r"crab\.spectral\.(\w+) +([\d.]+).* ([+-]\d\.\d\d) *$", out, re.M)
    assert [(name, float(value)) for name, value, _ in rows] == [("amplitude", 3.85), ("alpha", 2.5), ("beta", 0.1)]
    assert main(["demo", "-o", str(where), "--quiet"]) == 2
    assert "results are there already" in capsys.readouterr().err


def test_many_datasets_get_few_pictures(monkeypatch, fit, tmp_path):
    for module in ("fit", "pictures"):
        monkeypatch.setattr(f"gammajax.cli.{module}.MOST_PICTURES", 1)
    code, out, _ = fit()
    assert code == 0
    assert len(list((tmp_path / "out").glob("counts-*.png"))) == 1
    assert "pictures of the first 1 of 2 datasets" in out


def test_pictures_that_find_no_room_do_not_cost_the_results(fit, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gammajax.cli.fit.picture_files", full)
    code, out, err = fit()
    assert code == 2 and err == "gammajax: error: No space left on device.\n"
    assert "Converged" in out and gj.FitResult.read(tmp_path / "out" / "result.yaml").success


def test_pictures_of_strange_names():
    from gammajax.cli.pictures import picture_names

    run = gj.SpectrumDataset(counts=[1.0], energy_edges=[1, 2])
    night = gj.Datasets(dict.fromkeys(["a/b", "a_b", "A_B", "../x"], run))
    names = list(picture_names(night, []).values())
    assert len({n.lower() for n in names}) == 4
    assert all(Path(n).name == n for n in names)


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled.cache_folder("1.2.3")
    assert folder.is_dir()
    assert folder.parent == tmp_path / "gammajax"
    assert folder.name.startswith("1.2.3-")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled.cache_folder("1.2.3") is None
    for i in range(5):
        (folder / f"{i}-cache").write_bytes(zlib.compress(b"program"))
        os.utime(folder / f"{i}-cache", (i, i))
    monkeypatch.setattr(compiled, "MOST_CACHED", 2)
    compiled.prune(folder)
    assert sorted(p.name for p in folder.glob("*-cache")) == ["3-cache", "4-cache"]


def test_every_core_is_a_device():
    """In a process of its own, in which JAX has not run; a number of devices that is given holds."""
    code = (
        "import jax; from gammajax.cli.session import n_cores, set_up_jax; set_up_jax(cache=False); "
        "print(jax.local_device_count(), n_cores())"
    )
    for flags in ("", "--xla_force_host_platform_device_count=3"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"XLA_FLAGS": flags}
        )
        devices, cores = map(int, done.stdout.split())
        assert devices == (3 if flags else cores) and 1 <= cores <= os.cpu_count(), done.stderr


def test_importing_changes_no_setting():
    code = "import gammajax, gammajax.cli, jax; print(jax.config.jax_enable_x64, jax.config.jax_compilation_cache_dir)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False None\n"


def test_whole_process_in_an_ascii_log_with_a_cache_that_changes_nothing(folder, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "XDG_CACHE_HOME": str(tmp_path / "cache"), "XLA_FLAGS": ""}
    texts, results = [], []
    for name, options in (("plain", ["--no-cache"]), ("first", []), ("second", [])):
        command = [sys.executable, "-W", "error", "-m", "gammajax", "fit", str(folder / "datasets.yaml"),
                   str(folder / "models.yaml"), "-o", name, "--no-plots", *options]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
        assert run.stderr == ""
        texts.append(run.stdout)
        results.append([(tmp_path / name / file).read_bytes() for file in ("result.yaml", "result_covariance.dat")])
        assert (tmp_path / "cache").exists() == (name != "plain")
    assert results[0] == results[1] == results[2]
    for text in texts:
        assert re.fullmatch(PLAIN, text)
        assert re.search(r"amplitude +\(3\.\d+ \+- 0\.\d+\) x 10\^-11 cm-2 s-1 TeV-1", text)


def test_an_error_while_programs_compile_ends_as_an_error(folder, tmp_path):
    """Threads that still compile must not take the process down: in-process tests cannot see that."""
    models = gj.Models.read(folder / "models.yaml").with_parameter("amplitude", value=1e300)
    models.write(tmp_path / "huge.yaml")
    command = [sys.executable, "-m", "gammajax", "fit", str(folder / "datasets.yaml"), str(tmp_path / "huge.yaml")]
    run = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "--no-cache", "--no-plots"], capture_output=True, text=True
    )
    assert run.returncode == cli.BAD_INPUT
    assert run.stderr.startswith("gammajax: error: ") and "terminate" not in run.stderr


def test_plot_draws_results_and_models(fit, folder, tmp_path, capsys):
    """Everything there is of the result of a fit; of models what needs no errors."""
    assert fit("--no-plots", "--quiet")[0] == 0
    files, out = [str(folder / "datasets.yaml"), str(tmp_path / "out" / "result.yaml")], tmp_path / "drawn"
    assert main(["plot", *files, "-o", str(out)]) == 0
    runs = ("run-1", "run-2")
    drawn = {f"{kind}-{run}.png" for kind in ("counts", "peek") for run in runs}
    drawn |= {"sed-crab.png", "corner-parameters.png"}
    assert {p.name for p in out.iterdir()} == drawn
    assert f"Wrote {out}/: counts-run-1.png" in capsys.readouterr().out
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in out.iterdir())
    assert main(["plot", *files, "-o", str(out), "--only", "counts"]) == 2
    assert "results are there already" in capsys.readouterr().err
    files[1] = str(folder / "models.yaml")
    assert main(["plot", *files, "-o", str(tmp_path / "models"), "--only", "counts", "--quiet"]) == 0
    assert {p.name for p in (tmp_path / "models").iterdir()} == {"counts-run-1.png", "counts-run-2.png"}
    assert main(["plot", *files, "-o", str(out), "--only", "sed"]) == 2
    assert "sed takes the errors of a fit. Give result.yaml" in capsys.readouterr().err
    assert main(["plot", *files, "-o", str(out), "--only", "sky"]) == 2
    assert "there is nothing to draw of sky" in capsys.readouterr().err
