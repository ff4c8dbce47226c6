import numpy as np

from gammajax.fit.joint import all_same, stack_equal, stack_padded


def test_spectra_of_different_shapes_are_one_array(spectrum_factory):
    members = [spectrum_factory(i, n_reco=r, n_true=t, on_off=False) for i, (r, t) in enumerate([(5, 7), (4, 6)])]
    prepared = [member.prepare([], []) for member in members]
    assert len({spec.with_size(()) for spec, _ in prepared}) == 1
    size = (("energy", 6), ("energy_true", 8), ("intervals", 0), ("nodes", members[0].nodes))
    spec, arrays = prepared[0][0].with_size(size), [arrays for _, arrays in prepared]
    data = stack_padded(spec, arrays, 3, ())
    assert data["counts"].shape == (3, 6) and data["edisp"].shape == (3, 8, 6)
    for row, member in enumerate(members):
        n = member.n_reco
        np.testing.assert_array_equal(data["counts"][row, :n], member.counts)
        assert not data["mask_safe"][row, n:].any() and not data["edisp"][row, :, n:].any()
        # edges go on, where models are as finite as at the last
        edges = data["energy_edges"][row]
        assert np.all(np.diff(edges) > 0) and edges[-1] < 1.01 * member.energy_edges[-1]
    assert not data["mask_safe"][2].any()
    once = stack_padded(spec, arrays, 3, ("exposure",))
    assert once["exposure"].shape == (8,) and once["counts"].shape == (3, 6)


def test_rows_of_equal_shape():
    members = [{"mask_safe": np.ones(2, bool), "x": np.full(2, i), "y": np.arange(3)} for i in range(2)]
    data = stack_equal(members, 4, ("y",))
    assert data["x"].tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]] and data["y"].shape == (3,)
    assert data["mask_safe"].any(axis=1).tolist() == [True, True, False, False]


def test_sameness():
    a, b = np.arange(100), np.arange(100)
    assert all_same([a, b]) and all_same([a, a], most=64) and not all_same([a, b], most=64)
    assert not all_same([a, b + 1])
