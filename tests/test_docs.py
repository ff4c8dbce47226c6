"""The documentation knows every public name, and its programs run. Sphinx is not needed for this."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import astropy.units as u
import numpy as np
import pytest
from test_architecture import ORDER

import gammajax as gj
from gammajax.cli.demo import TRUTH, crab, simulate_night
from gammajax.datasets.hints.arguments import ARGUMENTS, ASSIGNMENTS
from gammajax.datasets.hints.attributes import ATTRIBUTES
from gammajax.datasets.hints.names import NAMES, OBJECTS
from gammajax.datasets.hints.page import markdown

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def documented(module):
    """Names of ``module`` in the directives of the API pages, of constants those in the files where they stand."""
    text = "\n".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
    of_data = r"(?:\w+\.)?" if module != "gammajax" else ""
    names = re.findall(rf"^\.\. auto(?:class|exception|function|data):: {module}\.{of_data}(\w+)$", text, re.MULTILINE)
    assert len(names) == len(set(names)), f"{module}: names that stand twice"
    return set(names)


def test_every_public_name_has_its_place():
    assert documented("gammajax") == set(gj.__all__)


def test_every_kernel_has_its_place():
    public = {n for n, v in vars(gj.kernels).items() if not n.startswith("_") and not isinstance(v, ModuleType)}
    assert documented("gammajax.kernels") == public


def test_every_plot_has_its_place():
    from gammajax import plots

    names = documented("gammajax.plots")
    assert all(hasattr(plots, name) for name in names)
    assert {name for name in dir(plots) if name.startswith("plot_")} | {"peek"} <= names


def test_every_plot_is_drawn_on_its_page():
    """By a call in a cell, whose picture the page shows."""
    from gammajax.plots import PICTURES

    text = (DOCS / "plotting.md").read_text()
    code = "\n".join(CELL.findall(text))
    drawn = {name for name in PICTURES if name != "png"}
    assert drawn == {name for name in drawn if re.search(rf"plots\.{name}\(", code)}
    assert set(re.findall(r'savefig\("([\w-]+\.png)"\)', code)) == set(
        re.findall(r"\]\(pictures/([\w-]+\.png)\)", text)
    )


def test_habits_are_on_their_page():
    """Every row of the tables behind the errors is a row of the page."""
    text = (DOCS / "gammapy.md").read_text() + markdown()
    for names in (NAMES, OBJECTS, *ATTRIBUTES.values(), *ASSIGNMENTS.values(), *ARGUMENTS.values()):
        for name, says in names.items():
            row = rf"^\| [^|]*\b{name}\b[^|]* \| {re.escape(says)} \|$"
            assert re.search(row, text, re.MULTILINE), name


def test_program_for_those_who_come_from_gammapy(tmp_path, monkeypatch):
    """Its spectra, errors and flux points, on the files of the demo; maps are read and fitted alike."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    simulate_night(2)[:2].write("spectra/datasets.yaml")
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "gammapy.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names = {}
    exec(blocks[0], names)
    assert names["result"].success and len(names["datasets"]) == 2
    assert abs(names["flux"] / names["models"]["crab"].spectral.integral(1 * u.TeV, 10 * u.TeV) - 1) < 0.5
    norms, errors = np.asarray(names["points"].norm), np.asarray(names["points"].norm_err)
    assert np.sum(abs(norms - 1) < 4 * errors) == len(norms) == 8
    written = gj.FluxPoints.read("crab.ecsv", reference_model=names["result"].models["crab"])
    np.testing.assert_allclose(written.dnde, names["points"].dnde, rtol=1e-6)
    # the points lie on the curve that they are drawn beside
    curve = names["result"].models["crab"].spectral(names["points"].energy_ref) * names["points"].energy_ref ** 2
    drawn = np.concatenate([c.lines[0].get_ydata() for c in names["ax"].containers])
    measured = ~np.asarray(names["points"].is_ul)
    assert measured.sum() >= 6
    assert np.all(np.isclose((norms * curve)[measured][:, None], drawn, rtol=1e-6).any(axis=1))
    assert Path("sed.png").stat().st_size > 10_000


def test_architecture_page_lists_the_folders_in_order():
    listed = re.findall(r"^\| `([\w/]+)` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    there = [entry for entry in ORDER if (ROOT / entry).is_dir() or (ROOT / f"{entry}.py").is_file()]
    assert listed[: len(there)] == there


# the spatial model compiles the images of a map
@pytest.mark.parametrize(
    "page",
    ["spectral_model", pytest.param("spatial_model", marks=pytest.mark.slow), "module", "statistic", "dataset_type"],
)
def test_pages_about_adding_are_programs(page, tmp_path):
    """As a reader would run them: one file, in a process that knows nothing else."""
    cells = CELL.findall((DOCS / "adding" / f"{page}.md").read_text())
    program = "\n\n".join(cells)
    assert "gj.fit(" in program and "assert abs(" in program
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "simulated" in done.stdout


@pytest.mark.parametrize("page", ["start", "plotting", "statistics", "troubleshooting", "simulation", "commands"])
def test_guides_are_programs(page, tmp_path, monkeypatch):
    """Their cells run, one after another, and every picture that a page shows is one that its cells have drawn."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text()
    exec("\n\n".join(CELL.findall(text)), {})
    shown = re.findall(r"\]\(pictures/([\w-]+\.png)\)", text)
    assert {path.name for path in tmp_path.glob("*.png")} == set(shown)
    for name in shown:
        assert (DOCS / "pictures" / name).stat().st_size > 5_000
        assert Path(name).stat().st_size > 5_000


def test_troubleshooting_knows_every_status():
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert {str(status) for status in gj.Status} <= set(rows)


def test_instruments_and_populations():
    """Both programs of their page; the population adds the density that the page says."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "instrument.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    runs = dict(zip(("magic-1", "magic-2"), simulate_night(2), strict=False))
    names = {"gj": gj, "datasets": gj.Datasets(runs), "crab": crab(TRUTH)["crab"]}
    exec(blocks[0], names)
    scale = names["result"].parameters["magic.energy_scale.norm"]
    assert names["result"].success and abs(float(scale.value) - 1) < 3 * float(scale.error) < 0.5
    exec(blocks[1], names)
    like, models = names["like"], names["models"]
    assert like.names[-1] == "areas.distribution.width"
    x, width = [1.1, 0.95], 0.07
    theta = np.array([*like.initial[: -len(x) - 1], *x, width])
    alone = gj.likelihood(names["datasets"], models[:-1])
    added = like.stat(theta) - alone.stat(theta[:-1])
    np.testing.assert_allclose(added, np.sum((np.array(x) - 1) ** 2) / width**2 + 2 * np.log(2 * np.pi * width**2))


def test_every_page_about_adding_is_run():
    tested = {"spectral_model", "spatial_model", "module", "statistic", "dataset_type"}
    assert tested == {page.stem for page in (DOCS / "adding").glob("*.md")} - {"index"}


def test_every_promise_names_a_test_that_exists():
    text = (ROOT / "docs/promises.md").read_text()
    for promise in re.split(r"^- ", text, flags=re.M)[1:]:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", promise)
        assert named, promise
        for path, test in named:
            assert f"def {test}" in (ROOT / path).read_text(), (path, test)
