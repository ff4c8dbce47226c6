"""Bad numbers in bins that masks exclude: nothing depends on them, whatever they are and wherever they stand."""

import jax
import numpy as np
import pytest

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])
GEOM = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(3, 2))
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=3e-11), name="s")])
FIELDS = {
    gj.SpectrumDataset: {"counts": [60, 30, 12], "background": [5, 4, 3]},
    gj.SpectrumDatasetOnOff: {
        "counts": [60, 30, 12],
        "counts_off": [50, 20, 10],
        "acceptance": [1, 1, 1],
        "acceptance_off": [5, 5, 5],
    },
}
CASES = [(cls, field) for cls, fields in FIELDS.items() for field in (*fields, "exposure")]


def spectrum(cls, field=None, bad=None, **masks):
    given = {k: np.array(v, float) for k, v in (FIELDS[cls] | {"exposure": [2e12] * 3}).items()}
    if field is not None:
        given[field][1] = bad
    return cls(EDGES, **given, **masks)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -3.0])
@pytest.mark.parametrize(("cls", "field"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_results_are_those_without_them(cls, field, bad):
    kept = np.array([True, False, True])
    good = spectrum(cls, mask_safe=kept)
    stat, slope = jax.value_and_grad(lambda models: gj.stat_sum(good, models))(MODELS)
    for masks in ({"mask_safe": kept}, {"mask_fit": kept}, {"mask_safe": [1, 0, 1], "mask_fit": [1, 0, 1]}):
        dataset = spectrum(cls, field, bad, **masks)
        found, of = jax.value_and_grad(lambda models, d=dataset: gj.stat_sum(d, models))(MODELS)
        np.testing.assert_allclose(found, stat, rtol=1e-14)
        for a, b in zip(jax.tree.leaves(of), jax.tree.leaves(slope), strict=True):
            assert np.isfinite(a)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        # a wider range does not bring the number back
        assert not np.asarray(dataset.with_mask_fit().mask)[1]
        assert gj.info_dict(dataset)["counts"] == 72
        assert np.isfinite(np.asarray(dataset.to_image().counts)).all()
    with pytest.raises(gj.InputError, match=f"{field} must be finite and not negative"):
        spectrum(cls, field, bad, mask_safe=[True, True, False])


def test_pixels_of_maps():
    counts, exposure, safe = np.ones((3, 2, 3)), np.full((3, 2, 3), 1e12), np.ones((3, 2, 3), bool)
    counts[1, 0, 0] = np.nan
    exposure[2, 1, 1] = np.nan
    safe[1, 0, 0] = safe[:, 1, 1] = False
    made = gj.MapDataset(GEOM, EDGES, counts=counts, background=counts, exposure=exposure, mask_safe=safe)
    source = gj.SkyModel(MODELS["s"].spectral, name="s", spatial=gj.PointSpatialModel(lon_0=83.0, lat_0=22.0))
    assert np.isfinite(gj.stat_sum(made, source)) and made.safe_bins().sum() == 14
    # a pixel that is safe at one energy needs its exposure at all
    safe[0, 1, 1] = True
    with pytest.raises(gj.InputError, match="exposure must be finite"):
        gj.MapDataset(GEOM, EDGES, counts=np.ones((3, 2, 3)), exposure=exposure, mask_safe=safe)


def test_an_exposure_that_reaches_no_kept_bin():
    matrix = [[0.9, 0.1, 0], [0, 0.8, 0.2], [0, 0, 1]]
    given = {"counts": [60, 30, 12], "background": [5, 4, 3], "edisp": matrix}
    made = gj.SpectrumDataset(EDGES, **given, exposure=[np.nan, 2e12, 2e12], mask_fit=[0, 0, 1])
    # bins 0 and 1 see the first true energy, and can never be predicted
    assert made.mask_safe.tolist() == [False, False, True] and np.isfinite(gj.stat_sum(made, MODELS))
    with pytest.raises(gj.InputError, match="exposure must be finite"):
        gj.SpectrumDataset(EDGES, **given, exposure=[np.nan, 2e12, 2e12], mask_fit=[0, 1, 1])
