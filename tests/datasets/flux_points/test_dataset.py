"""Flux points as datasets: statistics, masks, fits alone and with counts."""

import json

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import flux_points as cases
from scipy.optimize import minimize

import gammajax as gj

N, ENERGY = cases.N, cases.ENERGY
STATISTICS = ("chi2", "distrib", "profile")
MODELS = {
    "PL": gj.PowerLawSpectralModel, "LP": gj.LogParabolaSpectralModel, "ECPL": gj.ExpCutoffPowerLawSpectralModel,
}  # fmt: skip


@pytest.fixture(scope="module")
def reference(data_path):
    folder = data_path / "flux-points"
    return folder, json.loads((folder / "reference.json").read_text())["cases"], np.load(folder / "reference.npz")


def reference_model(case, entry):
    values = {name: u.Quantity(*value) for name, value in entry["ref_parameters"].items()}
    return gj.Models([gj.SkyModel(MODELS[case.split("::")[1]](**values), name="m")])


def test_statistics_of_real_tables(reference):
    """Every table and model of the reference, FITS and text, point by point."""
    folder, entries, arrays = reference
    both = jax.jit(lambda dataset, models: (gj.stat_array(dataset, models), gj.npred(dataset, models)))
    for case, entry in entries.items():
        stem = case.split("::")[0]
        for path in sorted(folder.glob(f"{stem}.*")):
            dataset, models = gj.FluxPointsDataset.read(path), reference_model(case, entry)
            mask = np.asarray(dataset.mask)
            assert mask.sum() == entry["n_fit"] and mask.size == entry["n_points"]
            # the text files have fewer digits
            digits = 1e-10 if path.suffix == ".fits" else 1e-8
            values, flux = (np.asarray(x) for x in both(dataset, models))
            wanted = arrays[f"{case}::ref_stat_array"]
            np.testing.assert_allclose(values[mask], wanted[mask], rtol=digits)
            assert np.all(values[~mask] == 0)
            np.testing.assert_allclose(flux, arrays[f"{case}::ref_flux_pred"], rtol=1e-9)


def independent(dataset, models, names):
    """Statistic as a function of the values of the parameters, in plain numpy."""
    points = dataset.data
    kept = np.asarray(dataset.mask)
    data, sigma = (np.asarray(x)[kept] * np.asarray(points.dnde_ref)[kept] for x in (points.norm, points.norm_err))
    energy = np.asarray(points.energy_ref)[kept]

    def stat(values):
        p = dict(zip(names, values, strict=True))
        if "m.spectral.alpha" in p:
            x = np.log(energy)
            flux = p["m.spectral.amplitude"] * np.exp(-(p["m.spectral.alpha"] + p["m.spectral.beta"] * x) * x)
        else:
            cut = np.exp(-energy * p.get("m.spectral.lambda_", 0.0))
            flux = p["m.spectral.amplitude"] * energy ** -p["m.spectral.index"] * cut
        return np.sum(((data - flux) / sigma) ** 2), flux / sigma, energy

    return stat


def gauss_newton_errors(stat, values):
    """Errors from second differences of the plain statistic, with steps of a tenth of an error."""
    n = len(values)
    first = np.array([1e-3 * abs(v) for v in values])
    hessian = np.zeros((n, n))

    def f(x):
        return stat(x)[0]

    for _ in range(2):
        for i in range(n):
            for j in range(n):
                a, b = np.eye(n)[i] * first, np.eye(n)[j] * first
                up, down = f(values + a + b) - f(values + a - b), f(values - a + b) - f(values - a - b)
                hessian[i, j] = (up - down) / (4 * first[i] * first[j])
        # steps that raise the statistic by about 0.01
        first = 0.1 / np.sqrt(np.diag(hessian) / 2)
    scale = 1 / np.sqrt(np.diag(hessian))
    return np.sqrt(np.diag(2 * np.linalg.inv(hessian * np.outer(scale, scale)) * np.outer(scale, scale)))


def test_fits_of_real_tables(reference):
    """All nine fits of gammapy: same minimum or lower, values within 0.02 sigma, errors against second differences.

    gammapy's errors for the Fermi-LAT points are off by up to a factor of ten (HESSE, nearly degenerate parameters), so
    that sigma is the one of the differences.
    """
    folder, entries, _ = reference
    for case, entry in entries.items():
        dataset = gj.FluxPointsDataset.read(folder / f"{case.split('::')[0]}.fits")
        models = reference_model(case, entry)
        result = gj.fit(dataset, models)
        assert result.status == "converged" and result.n_bins == entry["n_fit"], case
        names = entry["free_names"]
        values = np.array([float(result.parameters[name].value) for name in names])
        errors = np.array([float(result.parameters[name].error) for name in names])
        stat = independent(dataset, models, names)
        assert result.stat == pytest.approx(stat(values)[0], rel=1e-9)
        np.testing.assert_allclose(errors, gauss_newton_errors(stat, values), rtol=5e-3, err_msg=case)
        theirs = np.array([p["value"] for p in entry["parameters"] if not p["frozen"]])
        assert np.all(np.abs(values - theirs) < 0.02 * errors), case
        assert -1e-4 < result.stat - stat(theirs)[0] < 1e-7, case


@pytest.mark.parametrize("stat_type", STATISTICS)
def test_fit_is_the_minimum(stat_type):
    """Against Nelder-Mead on `stat_array`, and the errors against second differences of it."""
    dataset, models = cases.dataset(stat_type), cases.power_law(2.1, 1e-11)
    result = gj.fit(dataset, models)
    assert result.status == "converged"
    values = np.array([float(result.parameters[n].value) for n in result.free_names])
    errors = np.array([float(result.parameters[n].error) for n in result.free_names])

    @jax.jit
    def stat(z):
        index, amplitude = values[0] + errors[0] * z[0], values[1] + errors[1] * z[1]
        return jnp.sum(gj.stat_array(dataset, cases.power_law(index, amplitude)))

    found = minimize(
        lambda z: float(stat(z)), [0.5, -0.5], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}
    )
    np.testing.assert_allclose(found.x, 0, atol=1e-3)
    assert result.stat == pytest.approx(found.fun, abs=1e-7)
    at, steps = np.array([0.3, -0.7]), 1e-5 * np.eye(2)
    gradient = jax.jit(jax.grad(stat))
    differences = [(float(stat(at + d)) - float(stat(at - d))) / 2e-5 for d in steps]
    np.testing.assert_allclose(gradient(at), differences, rtol=1e-6)
    hessian = [(np.asarray(gradient(d)) - np.asarray(gradient(-d))) / 2e-5 for d in steps]
    np.testing.assert_allclose(np.sqrt(np.diag(2 * np.linalg.inv(hessian))), 1, rtol=1e-4)


def test_which_points_take_part():
    chi2, distrib, profile = (cases.dataset(s) for s in STATISTICS)
    lost, limits = np.arange(N) == 3, np.arange(N) >= N - 2
    np.testing.assert_array_equal(chi2.mask, ~lost & ~limits)
    np.testing.assert_array_equal(distrib.mask, ~lost)
    np.testing.assert_array_equal(profile.mask, ~lost)
    safe = np.arange(N) != 0
    kept = chi2.with_mask_safe(safe).with_mask_fit(energy_min=0.4, energy_max=5 * u.TeV, round_to_edge=False)
    inside = (cases.EDGES[:-1] >= 0.4) & (cases.EDGES[1:] <= 5)
    np.testing.assert_array_equal(kept.mask, chi2.mask_valid & safe & inside)
    assert kept.with_mask_fit().mask_fit is None
    # without bins it is the reference energy that must be inside
    bare = cases.points(energy_min=None, energy_max=None, flux_ref=None, eflux_ref=None)
    inside = (ENERGY >= 0.4) & (ENERGY <= 5)
    np.testing.assert_array_equal(gj.FluxPointsDataset(bare).energy_mask(0.4, 5), inside)


def test_missing_errors():
    """The symmetric error, else the mean of the sides; a side, else the symmetric error; else the point is left out."""
    models = cases.power_law()
    base = cases.columns()
    low, high, both = (base[f"norm_{k}"] for k in ("errn", "errp", "err"))
    predicted = cases.AMPLITUDE * ENERGY**-cases.INDEX / base["dnde_ref"]
    difference = predicted - base["norm"]

    def stat(stat_type, **changes):
        dataset = cases.dataset(stat_type, **changes)
        return np.asarray(gj.stat_array(dataset, models)), np.asarray(dataset.mask)

    values, mask = stat("chi2", norm_err=None)
    np.testing.assert_allclose(values[mask], (difference / ((low + high) / 2))[mask] ** 2, rtol=1e-12)
    values, mask = stat("chi2", norm_err=np.where(np.arange(N) == 1, np.nan, both))
    assert mask[1] and values[1] == pytest.approx((difference / ((low + high) / 2))[1] ** 2, rel=1e-12)
    values, mask = stat("chi2", norm_err=None, norm_errp=np.where(np.arange(N) == 1, np.nan, high))
    assert not mask[1] and values[1] == 0
    measured = ~cases.points().is_ul & np.isfinite(base["norm"])
    values, mask = stat("distrib", norm_errn=None, norm_errp=None)
    np.testing.assert_allclose(values[measured], (difference / both)[measured] ** 2, rtol=1e-12)
    one_sided = np.where(np.arange(N) < 6, np.nan, low)
    values, mask = stat("distrib", norm_errn=one_sided)
    sigma = np.where(difference >= 0, high, np.where(np.isnan(one_sided), both, one_sided))
    np.testing.assert_allclose(values[measured], (difference / sigma)[measured] ** 2, rtol=1e-12)
    values, mask = stat("distrib", norm_ul=None)
    assert not mask[-1] and values[-1] == 0
    values, mask = stat("profile", stat_scan=np.where(np.arange(N)[:, None] == 2, np.nan, base["stat_scan"]))
    assert not mask[2] and np.all(np.isfinite(values))


def test_several_tables_are_one_program():
    """Vectorised over datasets, with padding: the sum of the parts; chi2, distrib and profile side by side."""
    models = cases.power_law()
    parts = {f"{s}-{i}": cases.dataset(s, seed=i) for s in STATISTICS for i in range(2)}
    fields = cases.columns(5)
    short = gj.FluxPointsDataset(gj.FluxPoints(**{k: v[:9] for k, v in fields.items()}))
    parts["short"] = short
    from gammajax.fit.joint import make_problem

    problem = make_problem(parts, models)
    assert [list(g.members) for g in problem.groups] == [[0, 1, 6], [2, 3], [4, 5]]
    total = sum(float(gj.stat_array(d, models).sum()) for d in parts.values())
    assert float(gj.stat_sum(parts, models)) == pytest.approx(total, rel=1e-12)
    density = gj.log_density(parts, models)
    assert float(density(density.initial)) == pytest.approx(-total / 2, rel=1e-12)


def test_joint_fit_with_spectra_and_local_parameters(spectrum_factory):
    """Counts and flux points of one source: minimum and covariance of the summed statistic, a local norm among them."""
    data = {"b": spectrum_factory(1, on_off=False), "points": cases.dataset("distrib")}
    source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=2e-11), name="m")
    background = gj.FoVBackgroundModel(datasets_names="b")
    models = gj.Models([source, background]).freeze("b-bkg.spectral.tilt")
    result = gj.fit(data, models)
    assert result.status == "converged" and result.datasets_names == ("b", "points")
    names = result.free_names
    values, errors = (np.array([float(getattr(result.parameters[n], k)) for n in names]) for k in ("value", "error"))

    @jax.jit
    def stat(z):
        x = values + errors * z
        at = result.models.with_values(dict(zip(names, x, strict=True)))
        return sum(jnp.sum(gj.stat_array(d, at, name)) for name, d in data.items())

    assert result.stat == pytest.approx(float(stat(np.zeros(len(names)))), rel=1e-10)
    slope, hessian = cases.second_differences(stat, len(names))
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    covariance = 2 * np.linalg.inv(hessian)
    np.testing.assert_allclose(result.covariance / np.outer(errors, errors), covariance, rtol=2e-3, atol=2e-3)
    # the norm acts on one spectrum: eliminated by itself
    np.testing.assert_array_equal(result.curvature.names, ["m.spectral.index", "m.spectral.amplitude"])


def test_joint_crab_with_flux_points(joint_crab, log_parabola, data_path):
    """Ten spectra of five instruments and the H.E.S.S. flux points, against scipy on the summed statistic."""
    points = gj.FluxPointsDataset.read(data_path / "flux-points" / "crab_hess_fp.fits")
    data = joint_crab[0] + gj.Datasets({"points": points})
    result = gj.fit(data, log_parabola())
    assert result.status == "converged" and result.n_bins == sum(d["n_fit"] for d in joint_crab[1]["datasets"]) + 4
    names = result.free_names
    values, errors = (np.array([float(getattr(result.parameters[n], k)) for n in names]) for k in ("value", "error"))
    density = gj.log_density(data, log_parabola())
    stat = jax.jit(lambda z: -2 * density(values + errors * z) - result.stat)
    options = {"xatol": 1e-5, "fatol": 1e-9}
    found = minimize(lambda z: float(stat(z)), np.array([1.0, -1.0, 0.5]), method="Nelder-Mead", options=options)
    np.testing.assert_allclose(found.x, 0, atol=1e-3)
    assert found.fun == pytest.approx(0, abs=1e-7)
    _, hessian = cases.second_differences(stat, 3)
    np.testing.assert_allclose(np.sqrt(np.diag(2 * np.linalg.inv(hessian))), 1, rtol=2e-3)


def test_profile_of_the_likelihood():
    dataset, models = cases.dataset("distrib"), cases.power_law()
    result = gj.fit(dataset, models)
    interval = gj.confidence_interval(dataset, result, "m.spectral.index")
    error = float(result.parameters["m.spectral.index"].error)
    assert interval.errp == pytest.approx(error, rel=0.2) and interval.errn == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("stat_type", STATISTICS)
def test_jit_vmap_and_gradients(stat_type):
    dataset = cases.dataset(stat_type)
    stat = lambda index: gj.stat_array(dataset, cases.power_law(index))  # noqa: E731
    grid = np.array([2.0, 2.4, 2.9])
    mapped = jax.jit(jax.vmap(stat))(grid)
    for i, index in enumerate(grid):
        np.testing.assert_allclose(mapped[i], stat(index), rtol=1e-12)
    # data are arguments like any other, NaN and all
    slope = jax.jit(jax.grad(lambda norm: gj.stat_array(
        gj.FluxPointsDataset(dataset.data.replace(norm=norm), stat_type=stat_type), cases.power_law()).sum()
    ))(jnp.asarray(dataset.data.norm))  # fmt: skip
    assert np.all(np.isfinite(np.asarray(slope)[np.asarray(dataset.mask)]))


def test_models_act_by_their_spectra():
    """Shapes on the sky do not matter; light curves do where times are known."""
    gti = gj.GTI([0.0], [2 * 86400.0])
    decay = gj.ExpDecayTemporalModel(t0=1 * u.d, t_ref=51544 * u.d, scale="tt")
    plain = gj.npred(cases.dataset(), cases.power_law())
    placed = cases.power_law(spatial=gj.PointSpatialModel(), temporal=decay)
    np.testing.assert_array_equal(gj.npred(cases.dataset(), placed), plain)
    timed = gj.npred(cases.dataset(gti=gti), placed) / plain
    np.testing.assert_allclose(timed, (1 - np.exp(-2.0)) / 2, rtol=1e-6)
    stat = float(gj.stat_sum({"a": cases.dataset(gti=gti)}, placed))
    assert stat == pytest.approx(float(gj.stat_array(cases.dataset(gti=gti), placed).sum()), rel=1e-12)
    both = cases.power_law() + gj.SkyModel(gj.PowerLawSpectralModel(index=2, amplitude=1e-11), name="n")
    total = gj.npred(cases.dataset(), both)
    np.testing.assert_allclose(total, plain + 1e-11 * ENERGY**-2, rtol=1e-12)
    chosen = cases.power_law(datasets_names=["other"])
    assert np.all(np.asarray(gj.npred(cases.dataset(), chosen, name="points")) == 0)


def test_residuals():
    dataset, models = cases.dataset(), cases.power_law()
    predicted = np.asarray(dataset.flux_pred(models))
    data = dataset.data.dnde.value
    measured = np.asarray(dataset.mask)
    for method, wanted in (("diff", data - predicted), ("diff/model", data / predicted - 1)):
        np.testing.assert_allclose(dataset.residuals(models, method)[measured], wanted[measured], rtol=1e-9, atol=1e-25)
    pulls = dataset.residuals(models, "diff/sigma")
    distrib = np.asarray(gj.stat_array(cases.dataset("distrib"), models))
    np.testing.assert_allclose(pulls[measured] ** 2, distrib[measured], rtol=1e-12)
    assert np.all(np.isnan(pulls[~measured]))
    with pytest.raises(gj.InputError, match=r"method must be 'diff', 'diff/model' or 'diff/sigma', found 'x'"):
        dataset.residuals(models, "x")


def test_info():
    info = gj.info_dict(cases.dataset(), "crab")
    assert (info["name"], info["type"], info["stat_type"]) == ("crab", "FluxPointsDataset", "chi2")
    assert (info["n_bins"], info["n_fit_bins"], info["n_ul"]) == (N, N - 3, 2)
    with_models = gj.info_dict(cases.dataset(), "crab", cases.power_law())
    assert with_models["stat_sum"] == pytest.approx(float(gj.stat_sum(cases.dataset(), cases.power_law())), rel=1e-12)
    assert info["energy_min"] == cases.EDGES[0] * u.TeV and info["energy_max"] == cases.EDGES[N - 2] * u.TeV


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: cases.dataset("chi"), r"stat_type must be one of chi2, distrib, profile, found 'chi'"),
        (lambda: gj.FluxPointsDataset(3), r"data must be FluxPoints, found int"),
        (lambda: cases.dataset("profile", stat_scan=None, norm_scan=None), r"'profile' needs stat_scan, norm_scan"),
        (lambda: cases.dataset("profile", stat=None), r"'profile' needs stat, and"),
        (
            lambda: cases.dataset("profile", stat_scan=np.ones((N, 2)), norm_scan=np.arange(2.0)),
            r"at least 3 norms, found 2",
        ),
        (
            lambda: cases.dataset("profile", norm_scan=cases.columns()["norm_scan"][:, ::-1]),
            r"norm_scan must increase along each scan",
        ),
        (lambda: cases.dataset(norm_err=np.zeros(N)), r"the error must be positive, found 0.0 .* for point 0 \(9 such"),
        (lambda: cases.dataset("distrib", norm_ul=-np.ones(N)), r"the upper limit must be positive, found -1.0"),
        (lambda: cases.dataset().with_mask_safe([True]), r"mask_safe has shape \(1,\), expected \(12,\)"),
        (lambda: cases.dataset().with_mask_fit([True] * N, energy_min=1), r"either a mask or an energy range"),
        (lambda: gj.npred_signal(cases.dataset(), cases.power_law()), r"FluxPointsDataset has no counts"),
        (lambda: gj.fake(jax.random.key(0), cases.dataset(), cases.power_law()), r"fake: found FluxPointsDataset"),
        (
            lambda: gj.fit(cases.dataset().with_mask_fit(energy_min=100), cases.power_law()),
            r"none of its 12 bins can be fitted",
        ),
        (
            lambda: gj.fit({"p": cases.dataset()}, cases.power_law() + gj.FoVBackgroundModel(name="bkg")),
            r"Dataset 'p': model 'bkg' is a FoVBackgroundModel, and flux points have no counts",
        ),
        (
            lambda: gj.fit({"p": cases.dataset()}, cases.power_law(apply_irf={"exposure": False})),
            r"model 'm' is no flux",
        ),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(gj.InputError, match=message):
        make()


@pytest.mark.parametrize("stat_type", ["chi2", "distrib"])
def test_errors_under_another_name(stat_type):
    unit = u.Unit("TeV-1 s-1 cm-2")
    columns = {"e_ref": [1, 2] * u.TeV, "dnde": [2e-12, 1e-12] * unit, "dnde_error": [1e-13, 1e-13] * unit}
    points = gj.FluxPoints.from_table(columns)
    with pytest.raises(gj.InputError, match=r"dnde_err, or dnde_errp and dnde_errn.*not read: dnde_error"):
        gj.FluxPointsDataset(points, stat_type=stat_type)
    columns["dnde_err"] = columns.pop("dnde_error")
    assert gj.FluxPointsDataset(gj.FluxPoints.from_table(columns), stat_type=stat_type).mask_valid.all()


def test_energies_that_cut_a_bin_are_said():
    dataset, inside = cases.dataset(), float(np.sqrt(cases.EDGES[1] * cases.EDGES[2]) * 1.01)
    with pytest.warns(UserWarning, match="with_mask_fit: .* TeV is inside the bin from"):
        cut = dataset.with_mask_fit(energy_min=inside)
    np.testing.assert_array_equal(cut.mask_fit, np.arange(N) >= 2)
    moved = dataset.with_mask_fit(energy_max=inside, round_to_edge=True)
    np.testing.assert_array_equal(moved.mask_fit, np.arange(N) < 2)
    np.testing.assert_array_equal(dataset.with_mask_fit(energy_min=cases.EDGES[2]).mask_fit, np.arange(N) >= 2)


def test_fit_range_from_text():
    dataset = cases.dataset()
    np.testing.assert_array_equal(
        dataset.with_mask_fit(energy_min="1000 GeV", round_to_edge=False).mask_fit,
        dataset.with_mask_fit(energy_min=1.0, round_to_edge=False).mask_fit,
    )
    with pytest.raises(gj.InputError, match="energy_max: found 'high'"):
        dataset.with_mask_fit(energy_max="high")
