import json
import re
import subprocess
import sys
from math import prod
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

import gammajax as gj
from gammajax.fit.joint import check_mesh, n_processes, placed_everywhere, placed_rows, rows_per_device
from gammajax.fit.joint.devices import processors

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "cases" / "devices.py"


@pytest.fixture(scope="module")
def on_eight_devices():
    done = subprocess.run([sys.executable, SCRIPT, "mesh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_number_of_devices_changes_nothing(on_eight_devices):
    alone, result = on_eight_devices["fits"]
    assert result["status"] == alone["status"] == "converged" and result["n_bins"] == alone["n_bins"]
    assert result["stat"] == pytest.approx(alone["stat"], rel=1e-12)
    assert list(result["parameters"]) == list(alone["parameters"])
    for name, (expected, sigma) in alone["parameters"].items():
        value, error = result["parameters"][name]
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10 * sigma)
        assert error == pytest.approx(sigma, rel=1e-10)


@pytest.mark.parametrize("case", ["spectra", "maps"])
def test_the_number_of_devices_leaves_a_step(on_eight_devices, case):
    """Statistic, slopes and global curvature of spectra on one device, on two, there in batches, and on four, and of
    maps on two: as without a mesh."""
    alone, *others = on_eight_devices[case]
    assert len(others) == {"spectra": 3, "maps": 1}[case] and len(alone) > 5
    for found in others:
        # slopes are differences
        np.testing.assert_allclose(found, alone, rtol=1e-10, atol=1e-9)


def test_maps_are_spread_over_the_devices_of_the_processor(on_eight_devices):
    result, alone = on_eight_devices["spread"]
    assert on_eight_devices["spread_over"] == 5
    assert result["status"] == alone["status"] == "converged" and result["iterations"] == alone["iterations"]
    assert result["stat"] == pytest.approx(alone["stat"], rel=1e-12)
    for name, (expected, sigma) in alone["parameters"].items():
        value, error = result["parameters"][name]
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10 * sigma)
        assert error == pytest.approx(sigma, rel=1e-10)


def test_no_more_devices_than_shorten_the_rows(monkeypatch):
    monkeypatch.setattr(jax, "local_device_count", lambda: 4)
    monkeypatch.setattr(jax, "local_devices", lambda: [jax.devices()[0]] * 4)
    sizes = [0 if (mesh := processors(n)) is None else mesh.size for n in range(10)]
    assert sizes == [0, 0, 2, 3, 4, 3, 3, 4, 4, 3]


def test_only_the_global_block_is_sent_around(on_eight_devices):
    """A step sums over the devices what has the size of the global parameters, and nothing as long as the datasets."""
    lines, g, s = (on_eight_devices[k] for k in ("hlo", "n_global", "n_shared"))
    assert lines and all(re.search(r" all-reduce(-start)?\(", line) for line in lines)
    results = [line.split(" all-reduce")[0] for line in lines]
    numbers = [prod(map(int, filter(None, s.split(",")))) for r in results for s in re.findall(r"f64\[([\d,]*)\]", r)]
    # statistic, slope and curvature of what all share; slope and three blocks of the curvature of what some do; Schur
    # complement and its right side, and two sums, for three dampings; and once, at the end, the constant
    assert sum(numbers) <= (1 + s + s * s) + (g + 3 * g * g) + 3 * (g * g + g + 2) + 1


def test_meshes_are_checked():
    devices = np.array(jax.devices())
    mesh = check_mesh(Mesh(devices, ("x",)))
    assert mesh.axis_names == ("x",) and n_processes(mesh) == n_processes(None) == 1 and check_mesh(None) is None
    with pytest.raises(gj.InputError, match=r"must be a jax.sharding.Mesh, found list. Make one with"):
        check_mesh(list(devices))
    with pytest.raises(gj.InputError, match=r"must have one axis.*found \('x', 'y'\)"):
        check_mesh(Mesh(devices[:1].reshape(1, 1), ("x", "y")))


def test_rows_fill_batches():
    for n in range(1, 40):
        assert rows_per_device(n, None) == (n, 0) and rows_per_device(n, n) == (n, 0)
        for most in range(1, n):
            rows, size = rows_per_device(n, most)
            assert 1 <= size <= most and rows % size == 0 and n <= rows < n + rows // size


def test_arrays_are_placed():
    mesh = Mesh(np.array(jax.devices()[:1]), ("datasets",))
    rows, array = np.arange(6.0).reshape(3, 2), np.arange(3.0)
    assert placed_rows(mesh, rows).sharding.spec == jax.sharding.PartitionSpec("datasets")
    assert placed_everywhere(mesh, array).sharding.is_fully_replicated
    np.testing.assert_array_equal(placed_rows(mesh, rows), rows)
    np.testing.assert_array_equal(placed_everywhere(mesh, array), array)
