"""Calls with things of another kind: one clear error each, that names what was found."""

import jax
import numpy as np
import pytest

import gammajax as gj

EDGES = [1, 2, 4, 8]
RUN = gj.SpectrumDataset(EDGES, counts=[60, 30, 12], background=[5, 5, 5], exposure=[2e12] * 3)
PL = gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11)
MODELS = gj.Models([gj.SkyModel(PL, name="s")])
KEY = jax.random.key(0)

REFUSED = {
    "Datasets of a number": (lambda: gj.Datasets(3), "found int"),
    "Datasets of None": (lambda: gj.Datasets(None), "found NoneType"),
    "Datasets of a text": (lambda: gj.Datasets("run"), "found str"),
    "Datasets of numbers": (lambda: gj.Datasets([3]), "found int as 'dataset-0'"),
    "names": (lambda: gj.Datasets([RUN], names=3), "names must be a list of names, found 3"),
    "names in one text": (lambda: gj.Datasets([RUN, RUN], names="ab"), "must be a list of names, found 'ab'"),
    "sum": (lambda: gj.Datasets([RUN]) + 3, "found int"),
    "place": (lambda: gj.Datasets([RUN])[5], "no place 5: there are 1"),
    "half a place": (lambda: gj.Datasets([RUN])[0.5], "found 0.5, expected a name"),
    "select": (lambda: gj.Datasets([RUN]).select(3), "select: found 3, expected a list"),
    "select of one text": (lambda: gj.Datasets({"ab": RUN}).select("ab"), "select: found 'ab', expected a list"),
    "remove": (lambda: gj.Datasets([RUN]).remove(3), "remove: found 3"),
    "place of models": (lambda: MODELS[5], "Models: there is no place 5"),
    "half a place of models": (lambda: MODELS[0.5], "Models: found 0.5"),
    "info_table": (lambda: gj.info_table(42), "found int"),
    "stack": (lambda: gj.stack(None), "found NoneType"),
    "fit: progress": (lambda: gj.fit(RUN, MODELS, progress=3), "fit: progress must be a function .*, found 3"),
    "pseudo_experiments: progress": (
        lambda: gj.pseudo_experiments(KEY, RUN, MODELS, n=2, progress=3),
        "pseudo_experiments: progress must be a function .*, found 3",
    ),
    "fake: key": (lambda: gj.fake(42, RUN, MODELS), "found 42 as key"),
    "with_mask_fit": (lambda: RUN.with_mask_fit(1, 4), "too many positional arguments"),
    "profile: n": (
        lambda: gj.profile(RUN, None, "index", n=0),
        "n must be a whole number of 1 points or more, found 0",
    ),
    "profile: half n": (lambda: gj.profile(RUN, None, "index", n=2.5), "n must be .*, found 2.5"),
    "contour: n": (
        lambda: gj.contour(RUN, None, "index", "amplitude", n=2),
        "whole number of 3 points or more, found 2",
    ),
    "profile: models": (
        lambda: gj.profile(RUN, MODELS, "index"),
        "profile: found Models, expected the result of a fit",
    ),
    "contour: models": (
        lambda: gj.contour(RUN, MODELS, "index", "amplitude"),
        "contour: found Models, expected the res",
    ),
    "upper_limit: models": (lambda: gj.upper_limit(RUN, MODELS, "amplitude"), "found Models, expected the result"),
    "confidence_interval: models": (
        lambda: gj.confidence_interval(RUN, MODELS, "index"),
        "found Models, expected the r",
    ),
    "a parameter for its name": (
        lambda: MODELS.freeze(MODELS.parameters["index"]),
        "found Parameter, expected the name",
    ),
    "dnde of a spectrum": (lambda: gj.dnde(PL, 1.0), "dnde: found PowerLawSpectralModel, expected sky models"),
    "dnde of a number": (lambda: gj.dnde(3, 1.0), "dnde: found int"),
    "dnde of a list": (lambda: gj.dnde([PL], 1.0), "dnde: found PowerLawSpectralModel"),
    "negative energy": (lambda: PL(-1.0), "energies must be positive, found -1 TeV"),
    "no energy": (lambda: gj.dnde(MODELS, [1.0, 0.0]), "energies must be positive, found 0 TeV"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_calls(what):
    make, message = REFUSED[what]
    with pytest.raises(gj.InputError, match=message):
        make()


def test_places_that_are_not_there_are_index_errors():
    with pytest.raises(IndexError):
        gj.Datasets([RUN])[1]
    with pytest.raises(IndexError):
        MODELS[-2]


def test_dnde_takes_what_iterates():
    np.testing.assert_allclose(gj.dnde((m for m in MODELS.models), 1.0), 3e-11, rtol=1e-12)
