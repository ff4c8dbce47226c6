import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import Share, digest, owners, share_of

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "cases" / "devices.py"


def test_two_processes_find_what_one_does():
    """Two processes of two devices each, connected by gloo: each holds half of the datasets, and one of them twice."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, SCRIPT, "process", str(rank), "2", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        done = [process.communicate(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()
    assert all(process.returncode == 0 for process in started), [errors[-2000:] for _, errors in done]
    found = [json.loads(out.splitlines()[-1]) for out, _ in done]
    # every process has the same result, to the last bit
    assert found[0]["together"] == found[1]["together"]
    alone, together = found[0]["alone"], found[0]["together"]
    assert together["status"] == alone["status"] == "converged" and together["n_bins"] == alone["n_bins"]
    assert together["stat"] == pytest.approx(alone["stat"], rel=1e-12)
    assert set(together["parameters"]) == set(alone["parameters"])
    for name, (expected, sigma) in alone["parameters"].items():
        value, error = together["parameters"][name]
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-10 * sigma)
        assert error == pytest.approx(sigma, rel=1e-10)
    for each in found:
        assert each["models"].startswith("fit: the models differ between the processes.")
        assert each["dataset"].startswith("fit: dataset 'run-0' differs between the processes that hold it.")


def test_one_process_holds_all(spectrum_factory):
    datasets = gj.Datasets({"a": spectrum_factory(0), "b": spectrum_factory(1)})
    share = share_of(datasets, 1)
    assert share.names == ("a", "b") and share.held == {0: datasets["a"], 1: datasets["b"]} and share.process == 0
    assert share.collect(lambda: 3) == [3]

    def fails():
        raise gj.InputError("as it is")

    with pytest.raises(gj.InputError, match=r"^as it is$"):
        Share((), {}).collect(fails)


def test_datasets_are_shared_out_evenly():
    # 0 and 1 in the first process, 2 in the second, the rest in both
    holders = {0: [0], 1: [0], 2: [1], 3: [0, 1], 4: [0, 1], 5: [0, 1]}
    assert owners(list(holders), holders, 2) == {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 5: 1}
    everywhere = {i: [0, 1, 2] for i in range(10)}
    counts = np.bincount(list(owners(list(everywhere), everywhere, 3).values()))
    assert counts.tolist() == [4, 3, 3]


def test_digests_tell_numbers_apart():
    tree = {"a": np.arange(3.0), "b": np.ones((2, 2))}
    assert digest(tree) == digest({k: v.copy() for k, v in tree.items()})
    others = [
        tree | {"a": np.nextafter(tree["a"], 9)},
        tree | {"a": np.arange(3)},
        tree | {"b": np.ones(4)},
        tree | {"b": np.ones((4, 1))},
    ]
    assert len({digest(t) for t in (tree, *others)}) == 5
