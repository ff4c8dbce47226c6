"""Datasets and models exchanged with gammapy in memory, both ways."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.data import GTI as PeerGTI
    from gammapy.irf import EDispKernelMap, EDispMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from gammapy.modeling import models as gm
    from gammapy.stats import GaussianPriorPenalty
    from regions import CircleSkyRegion

pytestmark = pytest.mark.filterwarnings("ignore")

ENERGY = MapAxis.from_energy_bounds("500 GeV", "30000 GeV", nbin=9)
TRUE = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", nbin=14, name="energy_true")
REGION = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.11 * u.deg)


def peer_counts(name="a", edisp="kernel", region=REGION, seed=3):
    """A gammapy SpectrumDataset with all that one can carry."""
    rng = np.random.default_rng(seed)
    geom, geom_true = RegionGeom(region, axes=[ENERGY]), RegionGeom(region, axes=[TRUE])
    response = None
    if edisp == "kernel":
        response = EDispKernelMap.from_gauss(ENERGY, TRUE, 0.15, 0.02)
    elif edisp == "migra":
        axis = MapAxis.from_bounds(0.2, 3, nbin=70, node_type="edges", name="migra")
        response = EDispMap.from_geom(RegionGeom(region, axes=[axis, TRUE]))
        width = 0.1 + 0.02 * np.arange(TRUE.nbin)[:, None]
        density = np.exp(-0.5 * ((axis.center.value - 1.05) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        response.edisp_map.data = density[:, :, None, None]
    exposure = RegionNDMap(geom_true, data=np.geomspace(1e8, 3e9, TRUE.nbin)[:, None, None], unit="m2 s")
    exposure.meta["livetime"] = 0.5 * u.h
    masks = [np.arange(ENERGY.nbin) > 1, np.arange(ENERGY.nbin) < 8]
    safe, fit = (RegionNDMap(geom, data=mask[:, None, None]) for mask in masks)
    return gammapy_datasets.SpectrumDataset(
        name=name,
        counts=RegionNDMap(geom, data=rng.poisson(30, (ENERGY.nbin, 1, 1)).astype(float)),
        background=RegionNDMap(geom, data=np.linspace(5, 1, ENERGY.nbin)[:, None, None]),
        exposure=exposure,
        edisp=response,
        mask_safe=safe,
        mask_fit=fit,
        gti=PeerGTI.create([0, 700] * u.s, [600, 1400] * u.s, reference_time=Time("2012-03-04T05:06:07")),
        meta_table=Table({"OBS_ID": [23523], "TELESCOP": ["HESS"]}),
    )


def peer_on_off(name="a", **kwargs):
    counts = peer_counts(name, **kwargs)
    geom = RegionGeom(None, axes=[ENERGY]) if kwargs.get("region", REGION) is None else counts.counts.geom
    off = RegionNDMap(geom, data=np.random.default_rng(8).poisson(90, (ENERGY.nbin, 1, 1)).astype(float))
    return gammapy_datasets.SpectrumDatasetOnOff(
        name=name,
        counts=counts.counts,
        counts_off=off,
        acceptance=RegionNDMap(geom, data=np.full((ENERGY.nbin, 1, 1), 1.5)),
        acceptance_off=RegionNDMap(geom, data=np.linspace(10, 20, ENERGY.nbin)[:, None, None]),
        exposure=counts.exposure,
        edisp=counts.edisp,
        mask_safe=counts.mask_safe,
        mask_fit=counts.mask_fit,
        gti=counts.gti,
        meta_table=counts.meta_table,
    )


def peer_model():
    return gm.SkyModel(gm.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1"), name="crab")


def assert_same_predictions(ours, peer):
    """Predicted counts and fit statistic for one model."""
    theirs = peer.copy(name=peer.name)
    theirs.models = [peer_model()]
    models = gj.from_gammapy(theirs.models)
    signal = theirs.npred_signal().data[:, 0, 0]
    np.testing.assert_allclose(gj.npred_signal(ours, models), signal, rtol=1e-6)
    if theirs.tag == "SpectrumDataset":
        np.testing.assert_allclose(gj.npred(ours, models), theirs.npred().data[:, 0, 0], rtol=1e-6)
    assert float(gj.stat_sum(ours, models)) == pytest.approx(theirs.stat_sum(), rel=1e-6)


@pytest.mark.parametrize("edisp", ["kernel", "migra"])
@pytest.mark.parametrize("make", [peer_counts, peer_on_off])
def test_datasets(make, edisp):
    peer = make(edisp=edisp)
    ours = gj.from_gammapy(peer)
    assert ours.tag == peer.tag
    np.testing.assert_allclose(ours.energy_edges, ENERGY.edges.to_value("TeV"), rtol=1e-14)
    np.testing.assert_allclose(ours.energy_true_edges, TRUE.edges.to_value("TeV"), rtol=1e-14)
    np.testing.assert_allclose(ours.exposure, np.geomspace(1e12, 3e13, TRUE.nbin), rtol=1e-14)
    for field in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "mask_fit"):
        if getattr(peer, field, None) is not None:
            np.testing.assert_array_equal(getattr(ours, field), getattr(peer, field).data[:, 0, 0])
    kernel = peer.edisp.get_edisp_kernel(energy_axis=ENERGY)
    np.testing.assert_array_equal(ours.edisp.matrix, kernel.pdf_matrix)
    assert float(ours.livetime) == 1800.0
    assert ours.gti.ontime.to_value("s") == pytest.approx(1300)
    assert np.all(abs((ours.gti.time_start - peer.gti.time_start).to_value("s")) < 1e-6)
    assert ours.meta["OBS_ID"] == 23523 and ours.meta["TELESCOP"] == "HESS"
    assert_same_predictions(ours, peer)

    back = gj.to_gammapy(ours, name="b")
    assert type(back) is type(peer) and back.name == "b"
    assert back.counts.geom.region.center.separation(REGION.center) < 1e-9 * u.deg
    assert back.exposure.meta["livetime"] == 1800 * u.s
    assert back.meta_table["OBS_ID"][0] == 23523
    assert np.all(abs((back.gti.time_stop - peer.gti.time_stop).to_value("s")) < 1e-6)
    assert back.mask_safe.data.dtype == bool
    assert_same_predictions(ours, back)
    assert_round_trip(ours, gj.from_gammapy(back))


def assert_round_trip(ours, again):
    for field in ("energy_edges", "energy_true_edges"):
        # the axis keeps logarithms
        np.testing.assert_allclose(getattr(again, field), getattr(ours, field), rtol=4e-15)
    fields = ("counts", "background", "counts_off", "acceptance", "acceptance_off", "exposure", "livetime")
    for field in (*fields, "mask_safe", "mask_fit"):
        np.testing.assert_array_equal(getattr(again, field, None), getattr(ours, field, None), err_msg=field)
    if ours.edisp is not None:
        np.testing.assert_array_equal(again.edisp.matrix, ours.edisp.matrix)
    assert (ours.gti is None) == (again.gti is None)
    if ours.gti is not None:
        np.testing.assert_allclose(again.gti.start, ours.gti.start, atol=1e-6)
        np.testing.assert_allclose(again.gti.stop, ours.gti.stop, atol=1e-6)
        assert float(again.gti.reference) == float(ours.gti.reference)
    assert set(again.meta) == set(ours.meta)


@pytest.mark.parametrize("on_off", [True, False])
def test_datasets_of_gammajax(spectrum_factory, on_off):
    """A matrix in float64, no region, no masks, no intervals; and no matrix on unequal axes."""
    ours = spectrum_factory(2, on_off=on_off)
    peer = gj.to_gammapy(ours, name="run")
    assert peer.counts.geom.region is None and peer.mask_safe is None and peer.gti is None
    assert_round_trip(ours, gj.from_gammapy(peer))
    assert_same_predictions(ours, peer)
    bare = ours.replace(edisp=None)
    theirs = gj.to_gammapy(bare)
    np.testing.assert_array_equal(gj.from_gammapy(theirs).edisp.matrix, bare.diagonal_matrix())
    assert_same_predictions(bare, theirs)
    counts = gj.SpectrumDataset([1, 2, 4], counts=[1.0, 2.0])
    assert_round_trip(counts, gj.from_gammapy(gj.to_gammapy(counts)))


def test_equal_axes_need_no_matrix():
    edges = np.geomspace(1, 10, 6)
    ours = gj.SpectrumDataset(edges, counts=np.ones(5), background=np.ones(5), exposure=np.full(5, 1e12))
    peer = gj.to_gammapy(ours)
    assert peer.edisp is None
    assert_same_predictions(ours, peer)


def test_joint_crab(joint_crab, log_parabola):
    datasets, _, _ = joint_crab
    datasets = datasets.select([n for n in datasets.names if n.startswith(("hess", "magic"))])
    peers = gj.to_gammapy(datasets)
    assert peers.names == list(datasets.names)
    peers.models = gj.to_gammapy(log_parabola())
    back = gj.from_gammapy(peers)
    assert back.names == datasets.names
    for ours, again in zip(datasets, back, strict=True):
        assert_round_trip(ours, again)
    models = gj.from_gammapy(peers.models)
    expected = float(gj.stat_sum(datasets, log_parabola()))
    assert float(gj.stat_sum(back, models)) == pytest.approx(expected, rel=1e-12)
    # the integrals of the peer carry 1e-4
    assert peers.stat_sum() == pytest.approx(expected, abs=0.02)


def parameters(models):
    """All that parameters say, by name; links by the names that share one."""
    links = {}
    for name, p in models.parameters.items():
        links.setdefault(p.link or name, []).append(name)
    group = {name: tuple(names) for names in links.values() for name in names}
    return {
        n: (float(p.value), u.Unit(p.unit), float(p.error), p.frozen, p.bounds, p.prior, group[n])
        for n, p in models.parameters.items()
    }


def test_models():
    flux = gj.PowerLawSpectralModel(
        index=gj.Parameter(2.2, error=0.1, min=1, prior=gj.GaussianPrior(2.1, 0.3, 0.5)),
        amplitude=3e-18 * u.Unit("cm-2 s-1 MeV-1"),
    )
    ours = gj.Models(
        [
            gj.SkyModel(flux, name="a", datasets_names=["d1"], apply_irf={"edisp": False}),
            gj.SkyModel(gj.CompoundSpectralModel(flux, gj.PowerLawNormSpectralModel(tilt=0.2), "mul"), name="b"),
            gj.FoVBackgroundModel(datasets_names="d1"),
            gj.FoVBackgroundModel(gj.PiecewiseNormSpectralModel([1, 3] * u.TeV, [1.0, 1.5]), "d2", name="own"),
            gj.FoVBackgroundModel(datasets_names="d3", name="linked"),
        ]
    )
    ours = ours.link("a.spectral.index", "b.spectral.index").link("d1-bkg.spectral.norm", "linked.spectral.norm")
    peer = gj.to_gammapy(ours)
    assert type(peer) is gm.Models and peer.names == list(ours.names)
    assert peer["a"].spectral_model.index is peer["b"].spectral_model.model1.index
    assert peer["d1-bkg"].spectral_model.norm is peer["linked"].spectral_model.norm
    assert peer["a"].parameters["index"].prior.mu.value == 2.1 and peer["a"].apply_irf["edisp"] is False
    again = gj.from_gammapy(peer)
    assert again.names == ours.names and parameters(again) == parameters(ours)
    assert [m.datasets_names for m in again] == [m.datasets_names for m in ours]
    # nothing is shared
    peer["a"].spectral_model.index.value = 9
    assert float(again.parameters["a.spectral.index"].value) == 2.2


def test_single_models():
    one = gj.to_gammapy(gj.SkyModel(gj.PowerLawSpectralModel(), name="x"))
    assert type(one) is gm.SkyModel and one.name == "x"
    assert gj.from_gammapy(one).name == "x"
    background = gj.from_gammapy(gm.FoVBackgroundModel(dataset_name="d", name="mine"))
    assert isinstance(background, gj.FoVBackgroundModel)
    assert (background.name, background.datasets_names) == ("mine", ("d",))
    assert type(gj.to_gammapy(background)) is gm.FoVBackgroundModel


@pytest.mark.parametrize(
    "ours",
    [
        gj.LogParabolaSpectralModel(alpha=2.1, amplitude=2e-12),
        gj.PowerLawNormSpectralModel(norm=1.2),
        gj.ConstantSpectralModel(3e-12 / u.Unit("cm2 s TeV")),
        gj.CompoundSpectralModel(gj.PowerLawSpectralModel(), gj.PowerLawNormSpectralModel(tilt=0.1), "mul"),
        gj.TemplateSpectralModel([0.1, 1, 10] * u.TeV, [1e-10, 1e-12, 1e-15] * u.Unit("TeV-1 s-1 cm-2")),
    ],
    ids=lambda model: type(model).__name__,
)
def test_spectral_models(ours):
    peer = gj.to_gammapy(ours)
    assert type(peer).__name__ == type(ours).__name__
    again = gj.from_gammapy(peer)
    assert type(again) is type(ours)
    energy = np.geomspace(0.2, 8, 7) * u.TeV
    np.testing.assert_allclose(ours(energy).to_value(ours.unit), peer(energy).to_value(ours.unit), rtol=1e-12)
    np.testing.assert_array_equal(again(energy), ours(energy))


class Foreign:
    pass


def test_what_is_not_supported():
    for obj in (Foreign(), 3, gammapy_datasets.FluxPointsDataset, ENERGY):
        with pytest.raises(gj.InputError, match=r"from_gammapy: found .*Supported are SpectrumDataset, "):
            gj.from_gammapy(obj)
    with pytest.raises(gj.InputError, match=r"to_gammapy: found .*Foreign\. Supported"):
        gj.to_gammapy(Foreign())
    penalised = gm.Models([peer_model()])
    foreign = peer_model().spectral_model.parameters["index"]
    penalised.set_penalties(GaussianPriorPenalty.L2_penalty([foreign]))
    with pytest.raises(gj.InputError, match="a penalty is on the parameter 'index', which none of the models has"):
        gj.from_gammapy(penalised)
    several = gj.FoVBackgroundModel(datasets_names=["a", "b"])
    with pytest.raises(gj.InputError, match=r"acts on a, b datasets.*exactly one"):
        gj.to_gammapy(several)
    with pytest.raises(gj.InputError, match="name is for a single dataset"):
        gj.to_gammapy(gj.Datasets({}), name="x")
    wrong = peer_on_off()
    wrong.stat_type = "cash"
    with pytest.raises(gj.InputError, match="its statistic is 'cash'"):
        gj.from_gammapy(wrong)


def test_without_gammapy():
    code = """
import sys
sys.modules["gammapy"] = None
import gammajax as gj
for function in (gj.from_gammapy, gj.to_gammapy):
    try:
        function(gj.Models([]))
    except gj.InputError as error:
        assert "pip install gammapy" in str(error), error
    else:
        raise AssertionError("no gammapy, no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
