"""The order of folders, no circles of imports, and who may know which dataset types there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ORDER = (
    *("kernels", "datasets/errors", "datasets/hints", "datasets/shown", "datasets/arrays"),
    *("datasets/compile", "datasets/meta", "datasets/units"),
    *("datasets/gti", "datasets/statistics", "datasets/bins", "datasets/seen", "datasets/prepared"),
    *("datasets/dataset", "datasets/energies", "datasets/sky"),
    *("datasets/irf", "datasets/io"),
    *("datasets/models", "datasets/counts", "datasets/spectrum", "datasets/flux_points", "datasets/region"),
    *("datasets/map", "datasets/events", "datasets/collection"),
    *(
        "fit/status",
        "fit/double",
        "fit/joint",
        "fit/covariance",
        "fit/result_files",
        "fit/result_read",
        "fit/spectra",
        "fit/simpler",
        "fit/result",
        "fit/solvers",
    ),
    *(
        "fit/sampling",
        "fit/likelihood_input",
        "fit/likelihood",
        "fit/pseudo_experiments",
        "fit/density",
        "fit/predictions",
        "fit/fit",
        "fit/compare",
        "fit/scans",
        "fit/estimators",
        "src/gammajax",
    ),
)
"""Files and folders, each of which may import only from those before it and from itself."""

DEFERRED = {
    # large, slow to import, or optional: imported where they are used
    *("matplotlib", "gammapy", "iminuit", "optax", "regions", "rich", "scipy", "IPython", "jax"),
    *("astropy", "yaml"),
    # Unix only
    "fcntl",
}
"""What functions may import; the command line also its own commands, so that ``gammajax --help`` is quick."""

COMMANDS = "src/gammajax/cli/"

TYPES = {
    "SpectrumDataset": "datasets/spectrum",
    "SpectrumDatasetOnOff": "datasets/spectrum",
    "SpectrumBase": "datasets/spectrum",
    "MapDataset": "datasets/map",
    "MapDatasetOnOff": "datasets/map",
    "MapBase": "datasets/map",
    "RegionMapDataset": "datasets/region",
    "FluxPointsDataset": "datasets/flux_points",
}
MAY_NAME_TYPES = {
    "datasets/collection/registry.py": "the types by the word in an index",
    "datasets/region/dataset.py": "to_spectrum_dataset",
    "datasets/map/dataset.py": "to_spectrum_dataset, to_region_map_dataset",
    "src/gammajax/interop/": "the bridge to gammapy",
    "src/gammajax/cli/demo.py": "creates spectra",
    "src/gammajax/cli/demo_map.py": "creates a map",
    "src/gammajax/__init__.py": "re-exports",
}


@cache
def files() -> dict[str, Path]:
    """All files of the package by module name."""
    found = {}
    for folder in ("kernels", "datasets", "fit", "src/gammajax"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if parts[0] == "src" else ("gammajax", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(module: str) -> list[tuple[str, bool]]:
    """Modules that a file imports, and whether a function or TYPE_CHECKING does; modules of the package as such."""
    path = files()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            names = [f"{base}.{a.name}" if f"{base}.{a.name}" in files() else base for a in node.names]
        else:
            continue
        found += [(name, id(node) not in top) for name in names]
    return found


def own(module: str) -> set[str]:
    return {name for name, _ in imports(module) if name in files() and name != module}


def rank(path: str) -> int:
    """Place in `ORDER` of the longest entry that holds the file."""
    stem = path.removesuffix(".py")
    holders = [entry for entry in ORDER if stem == entry or stem.startswith(f"{entry}/")]
    assert holders, f"{path} has no place in ORDER"
    return ORDER.index(max(holders, key=len))


def test_folders_import_only_from_those_before_them():
    for module, path in files().items():
        if path.name == "__init__.py":
            continue  # re-exports: see below
        for name in own(module):
            there = short(files()[name])
            assert files()[name].name != "__init__.py" or "src/gammajax" in short(path), f"{short(path)} <- {there}"
            assert rank(there) <= rank(short(path)), f"{short(path)} imports {there}"


def test_there_is_no_circle_of_files():
    graph = {module: own(module) for module in files()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for name in sorted(graph[module]):
                # a package's file re-exports what is below it
                if not (files()[name].name == "__init__.py" and module.startswith(f"{name}.")):
                    visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_functions_import_only_what_is_slow_or_optional():
    for module, path in files().items():
        for name, deferred in imports(module):
            if not deferred:
                continue
            if name.split(".")[0] == "gammajax":
                lazy_face = short(path) == "src/gammajax/__init__.py"
                assert short(path).startswith(COMMANDS) or lazy_face, f"{short(path)} imports {name} in a function"
            else:
                heads = {".".join(name.split(".")[:n]) for n in range(1, 4)}
                allowed = heads & DEFERRED or name.split(".")[0] in ("importlib", "typing")
                assert allowed, f"{short(path)} imports {name} in a function"


def code_words(path: Path) -> set[str]:
    """Names in the code of a file: not those in docstrings and messages."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found |= {node.name, node.asname or node.name}
    return found


def test_types_of_datasets_are_known_in_their_folders_only():
    for path in files().values():
        where = short(path)
        if any(where.startswith(may) for may in MAY_NAME_TYPES):
            continue
        foreign = {n for n in code_words(path) & set(TYPES) if not where.startswith(f"{TYPES[n]}/")}
        assert not foreign, f"{where} names {sorted(foreign)}"


def test_fits_know_no_type_of_dataset():
    for path in files().values():
        if short(path).startswith("fit/"):
            assert not code_words(path) & set(TYPES), short(path)
            # estimators make flux points, which are a result as much as data
            known = "" if short(path).startswith("fit/estimators/") else "|flux_points"
            text = path.read_text()
            assert not re.search(rf"datasets\.(spectrum|map|region{known})\b", text), short(path)


def test_fluxes_enter_predictions_through_one_function():
    """`source_flux` is the only place that asks a model for the flux of its bins."""
    callers = {
        short(path)
        for path in files().values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "mean_flux"
    }
    assert callers == {"datasets/counts/flux.py"}


@pytest.mark.parametrize("word", ["__new__", "__setattr__", "__getattribute__"])
def test_constructors_are_passed_by_in_one_file(word):
    for path in files().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == word and isinstance(node.value, ast.Name):
                assert node.value.id != "object" or short(path) == "datasets/arrays.py", short(path)


def test_files_stay_small():
    for path in files().values():
        assert len(path.read_text().splitlines()) <= 450, short(path)
