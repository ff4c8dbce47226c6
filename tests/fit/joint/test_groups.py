import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import compiled_stat, make_problem

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def background_problem(spectrum_factory, power_law):
    datasets = gj.Datasets({f"run-{i}": spectrum_factory(i, on_off=False) for i in range(5)})
    backgrounds = [gj.FoVBackgroundModel(datasets_names=name) for name in datasets.names]
    return make_problem(datasets, gj.Models([*power_law(), *backgrounds]))


def test_global_and_local_parameters_are_told_apart(background_problem):
    space = background_problem.space
    owner = dict(zip(space.names, space.owner, strict=True))
    assert owner["source.spectral.index"] == -1
    assert [owner[f"run-{i}-bkg.spectral.norm"] for i in range(5)] == list(range(5))
    (group,) = background_problem.groups
    assert (group.spec.n_shared, group.spec.n_own, group.spec.n_local) == (2, 0, 1)
    assert list(group.members) == list(range(5)) and group.spec.n_members == 6
    named = [space.names[i] for i in group.locals[:5, 0]]
    assert named == [f"run-{i}-bkg.spectral.norm" for i in range(5)]


def test_vectors_and_blocks_are_inverse(background_problem):
    from gammajax.fit.joint import from_free

    free = np.arange(7.0)
    blocks = from_free(background_problem.arrays, free)
    np.testing.assert_array_equal(background_problem.to_free(blocks), free)


def test_what_members_share_is_held_once(background_problem, spectrum_factory, power_law):
    shared = set(background_problem.groups[0].spec.shared_fields)
    assert {"energy_edges", "energy_true_edges", "exposure", "edisp", "background"} <= shared
    assert "counts" not in shared and "mask_safe" not in shared
    base = spectrum_factory(0)
    scaled = base.replace(exposure=2 * base.exposure)
    group = make_problem({"a": base, "b": scaled}, power_law()).groups[0]
    assert "exposure" not in group.spec.shared_fields and "edisp" in group.spec.shared_fields


def test_padding_changes_nothing(spectrum_factory, power_law):
    """Bins and rows of padding leave the statistic as it is, whatever the sizes."""
    sizes = [(5, 7), (9, 13), (12, 16), (20, 33), (12, 16)]
    data = {f"{i}": spectrum_factory(i, n_reco=r, n_true=t) for i, (r, t) in enumerate(sizes)}
    problem = make_problem(data, power_law())
    total = float(compiled_stat(problem.spec, problem.arrays, np.array([2.5, 3e-11])))
    assert total == pytest.approx(sum(float(gj.stat_array(d, power_law()).sum()) for d in data.values()), rel=1e-12)
    # small spectra that differ in shape only are one program
    assert len(problem.groups) == 1 and problem.groups[0].spec.n_members == 6
    # or there is no padding, and a program for each shape
    exact = make_problem(data, power_law(), pad=False)
    assert float(compiled_stat(exact.spec, exact.arrays, np.array([2.5, 3e-11]))) == pytest.approx(total, rel=1e-12)
    shapes = [(*g.arrays["data_own"]["counts"].shape, dict(g.spec.make.size)["energy_true"]) for g in exact.groups]
    assert shapes == [(1, 5, 7), (1, 9, 13), (2, 12, 16), (1, 20, 33)]


def test_groups_split_by_program(spectrum_factory, power_law):
    data = {"a": spectrum_factory(0), "b": spectrum_factory(1, on_off=False), "c": spectrum_factory(2)}
    problem = make_problem(data, power_law())
    assert [list(g.members) for g in problem.groups] == [[0, 2], [1]]
    extra = gj.SkyModel(gj.PowerLawSpectralModel(), name="extra", datasets_names="c")
    assert len(make_problem(data, power_law() + extra).groups) == 3


def test_instrument_norms_are_global_but_not_shared(spectrum_factory):
    """A parameter of some of the runs of a group: every run picks its own by index."""
    data = {f"{i}": spectrum_factory(i) for i in range(6)}
    models = gj.Models(
        [
            gj.SkyModel(gj.PowerLawSpectralModel(amplitude=3e-11), name=n, datasets_names=d)
            for n, d in (("x", ("0", "1", "2")), ("y", ("3", "4", "5")))
        ]
    )
    problem = make_problem(data, models)
    (group,) = problem.groups
    assert (group.spec.n_shared, group.spec.n_own, group.spec.n_local) == (0, 2, 0)
    result = gj.fit(data, models)
    for name, chosen in (("x", "012"), ("y", "345")):
        alone = gj.fit({k: data[k] for k in chosen}, gj.Models([models[name]]))
        for parameter in alone.free_names:
            assert float(result.parameters[parameter].value) == pytest.approx(
                float(alone.parameters[parameter].value), rel=1e-6, abs=0
            )
            assert float(result.parameters[parameter].error) == pytest.approx(
                float(alone.parameters[parameter].error), rel=1e-6, abs=0
            )
