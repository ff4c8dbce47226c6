"""Programs and what else is kept from call to call: a limit for each, one door, and results that know nothing of it."""

import ast
import gc
import importlib
import pkgutil
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from test_architecture import files, short

import gammajax as gj
from gammajax.datasets.compile import OF_A_FIT, Program
from gammajax.fit.joint.problem import no_collection
from gammajax.fit.solvers.scoring import run_scoring
from gammajax.kernels import programs as door
from gammajax.kernels.programs import GROWTH, Memory, Programs, remembered

KEEPERS = {"jit", "filter_jit", "pmap", "filter_pmap", "lru_cache", "cache", "cached"}

CHANGES = {"add", "append", "extend", "insert", "setdefault", "update"}

TABLES = {
    "datasets/collection/registry.py": "types of datasets",
    "datasets/statistics/registry.py": "statistics",
}
"""Files with containers that grow with what is defined, not with what is called."""


def doubled(x):
    return 2 * x


def test_what_was_not_used_for_longest_goes():
    program = Programs(doubled, most=3)
    for n in (1, 2, 3):
        program(np.zeros(n))
    program(np.zeros(1))
    program(np.zeros(4))
    assert program.count() == 3
    assert {key[2][0][0] for key in program._held} == {(1,), (3,), (4,)}


def test_the_limit_grows_where_variants_come_back():
    """Six shapes in turn: from the second round on nothing more is compiled. Never are there more than the most."""
    program = Programs(doubled, most=2)
    traced = []
    program.function = lambda x: traced.append(x.shape) or 2 * x
    for _ in range(4):
        for n in range(1, 7):
            program(np.zeros(n))
    assert len(traced) <= 12 and program.count() == 6
    for n in (*range(1, 40), *range(1, 40)):
        program(np.zeros(n))
        assert program.count() <= 2 * GROWTH
    program.clear()
    assert program.count() == 0 and program.limit == 2


@pytest.mark.parametrize("values", [(1.0, 2.0), (np.float32(1), np.float32(2))])
def test_numbers_are_no_part_of_a_variant(values):
    program = Programs(lambda how, x: how(x), (0,))
    assert [float(program(doubled, v)) for v in values] == [2 * float(v) for v in values]
    assert program.count() == 1
    assert float(program(abs, values[0])) == values[0] and program.count() == 2


def test_transformations_go_through():
    program = Program(lambda how, x: how(x))
    x = np.arange(3.0)
    inside = jax.jit(jax.vmap(lambda y: program(doubled, y)))(x)
    np.testing.assert_array_equal(inside, 2 * x)
    assert float(jax.grad(lambda y: program(doubled, y))(1.0)) == 2
    program.clear()
    assert program.count() == 0


def test_threads():
    """Many shapes at once, more than are kept, while another thread clears."""
    program = Programs(doubled, most=2)

    def call(n):
        if n % 10 == 0:
            program.clear()
        return float(np.sum(program(np.ones(1 + n % 7))))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(call, range(70))) == [2.0 * (1 + n % 7) for n in range(70)]


def test_memory_lets_go_of_the_oldest():
    memory, found = Memory(2), []
    for key in "abcb":
        memory[key] = key.upper()
    assert dict(memory) == {"b": "B", "c": "C"}
    keeping = remembered(2)(found.append)
    for key in "abab":
        keeping(key)
    assert found == ["a", "b"]
    gj.clear_programs()
    keeping("a")
    assert found == ["a", "b", "a"] and not memory


@pytest.mark.slow
def test_fits_of_many_shapes_leave_few_programs(spectrum_factory, power_law):
    gj.clear_programs()
    datasets = {n: gj.Datasets({f"run-{i}": spectrum_factory(i) for i in range(n)}) for n in (1, 2, 3, 5, 9)}
    first = {n: gj.fit(d, power_law()) for n, d in datasets.items()}
    assert len(datasets) > OF_A_FIT == run_scoring.count()
    gj.clear_programs()
    assert run_scoring.count() == 0
    for n in (1, 9):
        again = gj.fit(datasets[n], power_law())
        assert again.stat == first[n].stat and again.status == first[n].status
        for name in first[n].free_names:
            one, other = again.parameters[name], first[n].parameters[name]
            assert float(one.value) == float(other.value) and float(one.error) == float(other.error)


@pytest.mark.slow
def test_maps_of_other_widths_and_places_add_no_programs():
    """One size of image, and each time another source; the thousand of `benchmarks/many_fits.py` are six here."""

    def kept():
        programs = [getattr(clear, "__self__", None) for clear in door._kept]
        return sum(program.count() for program in programs if isinstance(program, Programs))

    rng, shape = np.random.default_rng(1), (2, 12, 12)
    run = gj.MapDataset(
        gj.SkyGeom.create((83.6, 22.0), 0.1, npix=12),
        [1.0, 3.0, 9.0],
        background=np.full(shape, 0.3),
        exposure=np.full(shape, 2e13),
        psf=gj.PSFMap.from_gauss([1.0, 3.0, 9.0], 0.08),
        livetime=1800.0,
    )
    counts = []
    for _ in range(6):
        lon, lat = 83.6 + rng.uniform(-0.2, 0.2), 22 + rng.uniform(-0.2, 0.2)
        place = gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=rng.uniform(0.05, 0.2))
        spectrum = gj.PowerLawSpectralModel(amplitude="3e-11 cm-2 s-1 TeV-1")
        models = gj.Models([gj.SkyModel(spectrum, spatial=place, name="crab")])
        gj.fit({"run": gj.fake(jax.random.key(int(rng.integers(2**31))), run, models)}, models, starts=1)
        counts.append(kept())
    # the second may be of another step of sizes than the first
    assert len(set(counts[2:])) == 1 and counts[-1] < 60


def test_garbage_is_collected_while_other_threads_run():
    on, done = gc.isenabled(), threading.Event()
    with no_collection():
        assert not gc.isenabled() or threading.active_count() > 1
    assert gc.isenabled() == on
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with no_collection():
            assert gc.isenabled() == on
    finally:
        done.set()
        other.join()
    with pytest.raises(RuntimeError), no_collection():
        raise RuntimeError
    assert gc.isenabled() == on


def outermost(tree):
    """Names and attributes that are evaluated when a module is loaded."""
    todo = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            todo += node.decorator_list + (node.body if isinstance(node, ast.ClassDef) else [])
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)
            if isinstance(node, ast.Name):
                yield node.id
            elif isinstance(node, ast.Attribute):
                yield node.attr


def grown(tree):
    """Containers of a module that its functions add to."""
    names = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(getattr(node, "value", None), ast.Dict | ast.Set | ast.List | ast.DictComp | ast.Call):
            kind = node.value
            of_door = isinstance(kind, ast.Call) and getattr(kind.func, "id", "") in ("Memory", "ContextVar")
            names |= {t.id for t in targets if isinstance(t, ast.Name) and not of_door}
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]:
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
                held = node.func.value
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                held = node.value
            else:
                continue
            if isinstance(held, ast.Name) and held.id in names:
                yield held.id


def test_one_door():
    """No file keeps programs or results by itself: neither with JAX or functools, nor in a container of its module."""
    for path in files().values():
        name, tree = short(path), ast.parse(path.read_text())
        if name == "kernels/programs.py":
            continue
        assert not KEEPERS & set(outermost(tree)), f"{name} keeps programs: use kernels.programs"
        if name not in TABLES:
            assert not set(grown(tree)), f"{name} keeps results in a container: use kernels.programs.Memory"


def test_nothing_is_kept_beside_it():
    """The same, of the loaded modules: whatever has a cache is emptied by `gj.clear_programs`."""
    found = 0
    for module in pkgutil.walk_packages(gj.__path__, "gammajax."):
        if module.name.endswith("__main__"):
            continue
        loaded = vars(importlib.import_module(module.name))
        contents = [x for x in loaded.values() if getattr(x, "__module__", "").startswith("gammajax")]
        contents += [x for c in contents if isinstance(c, type) for x in vars(c).values()]
        contents += [x for c in loaded.values() if type(c) is dict for x in c.values()]
        for content in contents:
            assert not hasattr(content, "_cache_size"), f"{module.name}: {content}"
            if hasattr(content, "cache_clear"):
                assert content.cache_info().maxsize and content.cache_clear in door._kept, f"{module.name}: {content}"
            if isinstance(content, Programs):
                assert content.clear in door._kept
            found += isinstance(content, Programs) or hasattr(content, "cache_clear")
    assert found > 20


def test_arguments_by_name():
    from gammajax.kernels.programs import Programs

    program = Programs(lambda a, b=2.0, c=3.0: a + 10 * b + 100 * c)
    assert program(1.0, c=4.0) == 421 and program(1.0, b=5.0) == 351
