import importlib

import numpy as np
import pytest
import yaml
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

import gammajax as gj
from gammajax.cli.demo import START, crab, simulate_night
from gammajax.fit import result_contents


@pytest.fixture(scope="module")
def night():
    return simulate_night(5)[:2]


@pytest.fixture(scope="module")
def result(night):
    models = crab(START).with_parameter("alpha", prior=gj.GaussianPrior(2.4, 0.5), min=1.0, max=5.0)
    return gj.fit(night, models)


def linked(night):
    """Two sources, one parameter in common, one of them frozen in part."""
    first = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=2e-11), name="a", datasets_names="run-1")
    second = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=2e-11), name="b", datasets_names="run-2")
    models = gj.Models([first, second]).link("a.spectral.index", "b.spectral.index")
    return gj.fit(night, models)


def test_yaml_gives_the_models_back_exactly(result, tmp_path):
    result.write(tmp_path / "r.yaml")
    again = gj.Models.read(tmp_path / "r.yaml").parameters
    assert again.names == result.parameters.names
    for name, p in result.parameters.items():
        for field in ("value", "error", "unit", "frozen", "min", "max"):
            assert getattr(again[name], field) == getattr(p, field), (name, field)
    assert again["alpha"].prior == result.parameters["alpha"].prior
    data = yaml.safe_load((tmp_path / "r.yaml").read_text())
    assert data["metadata"]["fit"] == result.summary()


def test_a_fit_goes_on_from_its_own_result(result, night, tmp_path):
    result.write(tmp_path / "r.yaml")
    again = gj.fit(night, gj.Models.read(tmp_path / "r.yaml"))
    assert again.iterations <= 1
    np.testing.assert_allclose(again.stat, result.stat, rtol=1e-10)


def test_covariance_file_has_a_row_for_every_parameter(result, tmp_path):
    result.write(tmp_path / "r.yaml")
    table = Table.read(tmp_path / "r_covariance.dat", format="ascii.fixed_width")
    assert list(table["Parameters"]) == list(result.parameters)
    matrix = np.array([[row[str(i)] for i in range(4)] for row in table])
    free = [result.parameters.names.index(n) for n in result.free_names]
    np.testing.assert_array_equal(matrix[np.ix_(free, free)], result.covariance)
    assert not matrix[1].any()
    assert result.parameters.names[1].endswith("reference")


def test_linked_parameters_share_their_row(night, tmp_path):
    both = linked(night)
    both.write(tmp_path / "r.yaml")
    table = Table.read(tmp_path / "r_covariance.dat", format="ascii.fixed_width")
    matrix = np.array([[row[str(i)] for i in range(len(table))] for row in table])
    first, second = (both.parameters.names.index(f"{m}.spectral.index") for m in "ab")
    np.testing.assert_array_equal(matrix[first], matrix[second])
    np.testing.assert_allclose(np.sqrt(matrix[second, second]), float(both.parameters["b.spectral.index"].error))


def test_fits_holds_parameters_and_covariance(result, tmp_path):
    result.write(tmp_path / "r.fits")
    with fits.open(tmp_path / "r.fits", checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "PARAMETERS", "COVARIANCE"]
        parameters, covariance = hdus[1], hdus[2]
        assert list(parameters.data["name"]) == list(result.parameters)
        for field in ("value", "error", "min", "max"):
            expected = [float(getattr(p, field)) for p in result.parameters.values()]
            np.testing.assert_array_equal(parameters.data[field], expected)
        assert list(parameters.data["frozen"]) == [p.frozen for p in result.parameters.values()]
        assert list(parameters.data["unit"]) == [p.unit for p in result.parameters.values()]
        assert parameters.data["prior"][2] == "GaussianPrior"
        header = parameters.header
        assert (header["STAT"], header["NDF"], header["STATUS"]) == (result.stat, result.ndf, "converged")
        assert header["SUCCESS"] is True
        assert list(covariance.data["name"]) == list(result.free_names)
        np.testing.assert_array_equal(covariance.data["covariance"], result.covariance)


def test_ecsv_is_the_table(result, tmp_path):
    result.write(tmp_path / "r.ecsv")
    table = Table.read(tmp_path / "r.ecsv")
    assert list(table["name"]) == list(result.parameters)
    np.testing.assert_array_equal(table["value"], [float(p.value) for p in result.parameters.values()])
    assert dict(table.meta)["stat"] == result.stat


def test_degenerate_fits_are_written_without_a_covariance_file(night, tmp_path):
    two = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11), name=n) for n in "ab"]).freeze(
        "a.spectral.index"
    )
    both = gj.fit(night, two.freeze("b.spectral.index"))
    assert both.degenerate
    both.write(tmp_path / "r.yaml")
    both.write(tmp_path / "r.fits")
    assert not (tmp_path / "r_covariance.dat").exists()
    assert "covariance" not in yaml.safe_load((tmp_path / "r.yaml").read_text())
    again = gj.Models.read(tmp_path / "r.yaml")
    assert np.isinf(float(again.parameters["a.spectral.amplitude"].error))


@pytest.mark.parametrize("ending", ["yaml", "yml", "fits", "ecsv", "fits.gz", "yaml.gz"])
def test_nothing_is_replaced_unless_asked_for(result, tmp_path, ending):
    path = tmp_path / f"r.{ending}"
    result.write(path)
    before = path.read_bytes()
    with pytest.raises(gj.InputError, match="exists already"):
        result.write(path)
    result.write(path, overwrite=True)
    # checksums of FITS files hold the time of writing
    if ending.startswith(("yaml", "yml")):
        assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*")), "no temporary files stay"


def test_an_existing_covariance_file_stops_the_whole(result, tmp_path):
    (tmp_path / "r_covariance.dat").write_text("precious")
    with pytest.raises(gj.InputError, match=r"r_covariance\.dat: the file exists already"):
        result.write(tmp_path / "r.yaml")
    assert not (tmp_path / "r.yaml").exists()


@pytest.mark.parametrize("name", ["r.txt", "r", "r.gz"])
def test_unknown_ending(result, tmp_path, name):
    with pytest.raises(gj.InputError, match=r"is written as \.yaml, \.yml, \.ecsv, \.fits"):
        result.write(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_huge_fits_write_their_shared_parameters(result, tmp_path, monkeypatch):
    for module in ("gammajax.fit.spectra", "gammajax.fit.result_files"):
        monkeypatch.setattr(importlib.import_module(module), "DENSE_LIMIT", 2)
    assert list(result_contents(result, tmp_path / "r.yaml")) == [tmp_path / "r.yaml"]
    result.write(tmp_path / "r.fits")
    table = Table.read(tmp_path / "r.fits", hdu=2)
    assert list(table["name"]) == list(result.curvature.names)


def test_gammapy_reads_models_and_covariance(result, night, tmp_path):
    peer = pytest.importorskip("gammapy.modeling.models")
    for name, fitted in (("one", result), ("linked", linked(night))):
        fitted.write(tmp_path / f"{name}.yaml")
        models = peer.Models.read(tmp_path / f"{name}.yaml")
        ours = fitted.parameters
        assert models.parameters.names == [n.rsplit(".", 1)[-1] for n in ours]
        np.testing.assert_array_equal(models.parameters.value, [float(p.value) for p in ours.values()])
        np.testing.assert_allclose([p.error for p in models.parameters], [float(p.error) for p in ours.values()])
        assert [p.unit for p in models.parameters] == [u.Unit(p.unit) for p in ours.values()]
        free = [list(ours).index(n) for n in fitted.free_names]
        seen, expected = models.covariance.data[np.ix_(free, free)], fitted.covariance
        if name == "linked":
            # gammapy stacks the covariances of the models anew once it has linked them: terms between models are lost
            source = [n.split(".")[0] for n in fitted.free_names]
            expected = np.where(np.equal.outer(source, source), expected, 0.0)
        # it takes the diagonal from the squared errors
        np.testing.assert_allclose(seen, expected, rtol=1e-14)


def test_a_result_is_read_back(result, night, tmp_path):
    result.write(tmp_path / "r.yaml")
    back = gj.FitResult.read(tmp_path / "r.yaml")
    assert back.summary() == result.summary() and back.status is result.status
    assert back.free_names == result.free_names
    np.testing.assert_array_equal(back.covariance, result.covariance)
    for name, p in result.parameters.items():
        assert (back.parameters[name].value, back.parameters[name].error) == (p.value, p.error)
    # scans and errors of spectra go on from it
    for found in (gj.FitResult.read(tmp_path / "r.yaml").spectrum(), result.spectrum()):
        np.testing.assert_allclose(found.integral_error(1, 10), result.spectrum().integral_error(1, 10), rtol=1e-12)
    a, b = (gj.profile(night, r, "alpha", [2.4]).stat for r in (back, result))
    np.testing.assert_allclose(a, b, rtol=1e-10)


def test_the_energies_of_the_fit_are_kept(result, night, tmp_path):
    """By dataset, and joint for a source by the datasets that it acts on; flux points say where they go beyond."""
    edges = np.asarray(night["run-1"].energy_edges)
    bins = np.flatnonzero(night["run-1"].mask)
    first, second = (edges[bins[0]], edges[bins[-1] + 1]), (edges[bins[2]], edges[bins[-1] + 1])
    narrow = night["run-2"].with_mask_fit(np.arange(len(edges) - 1) >= bins[2])
    two = linked(gj.Datasets({"run-1": night["run-1"], "run-2": narrow}))
    assert two.energy_ranges == {"run-1": first, "run-2": (second[0], edges[-1])}
    assert two.energy_range("b") == (second[0], edges[-1]) and two.energy_range() == (first[0], edges[-1])
    two.write(tmp_path / "r.yaml")
    assert gj.FitResult.read(tmp_path / "r.yaml").energy_ranges == two.energy_ranges
    text = (tmp_path / "r.yaml").read_text()
    (tmp_path / "r.yaml").write_text(text.replace("energy_ranges:", "energy_ranges_of_old:"))
    assert gj.FitResult.read(tmp_path / "r.yaml").energy_range() is None
    data = yaml.safe_load(text)
    data["metadata"]["fit"]["energy_ranges"]["run-1"] = 3
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(gj.InputError, match="energy_ranges of 'run-1' is 3, expected"):
        gj.FitResult.read(tmp_path / "r.yaml")

    wider = gj.Datasets({name: d.with_mask_fit(None) for name, d in night.items()})
    with pytest.warns(UserWarning, match=r"1 of 2 bands reach beyond .* 'crab' was fitted, 0.631 to 39.81 TeV"):
        gj.flux_points(wider, result, "crab", [1.0, 10.0, 100.0])


def test_linked_parameters_and_no_covariance_are_read_back(night, tmp_path):
    result = linked(night)
    result.write(tmp_path / "r.yaml")
    back = gj.FitResult.read(tmp_path / "r.yaml")
    assert back.free_names == result.free_names
    np.testing.assert_array_equal(back.covariance, result.covariance)
    (tmp_path / "r_covariance.dat").unlink()
    with pytest.raises(gj.InputError, match="the file of the covariance is missing"):
        gj.FitResult.read(tmp_path / "r.yaml")


def test_files_of_the_first_version_are_read(result, tmp_path):
    """They know no other minima, and called fits converged whose parameters the data did not constrain."""
    result.write(tmp_path / "r.yaml")
    data = yaml.safe_load((tmp_path / "r.yaml").read_text())
    figures = data["metadata"]["fit"]
    del figures["minima"], figures["minima_counts"]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))
    back = gj.FitResult.read(tmp_path / "r.yaml")
    assert back.success and back.starts is None and back.stat == result.stat
    figures["success"] = False
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))
    assert gj.FitResult.read(tmp_path / "r.yaml").status is gj.Status.UNCONSTRAINED
    figures["status"] = "splendid"
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(gj.InputError, match="the status is 'splendid', expected one of converged, "):
        gj.FitResult.read(tmp_path / "r.yaml")


def test_other_files_are_no_results(result, tmp_path):
    result.models.write(tmp_path / "models.yaml")
    with pytest.raises(gj.InputError, match="no figures of a fit"):
        gj.FitResult.read(tmp_path / "models.yaml")
    result.write(tmp_path / "r.fits")
    with pytest.raises(gj.InputError, match="takes the YAML form"):
        gj.FitResult.read(tmp_path / "r.fits")


@pytest.mark.parametrize("name", ["a|b", "two\nlines", " spaces ", "\x00\u2028"])
def test_names_of_any_kind_are_read_back(name, night, tmp_path):
    named = gj.Models([crab(START)[0].replace(name=name)])
    result = gj.fit(night, named)
    result.write(tmp_path / "r.yaml")
    back = gj.FitResult.read(tmp_path / "r.yaml")
    assert back.models.names == (name,) and back.free_names == result.free_names
    np.testing.assert_array_equal(back.covariance, result.covariance)
