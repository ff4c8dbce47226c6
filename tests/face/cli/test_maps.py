"""``gammajax maps`` on the command line."""

import jax
import numpy as np
import pytest
from cases import maps

import gammajax as gj
from gammajax.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("command_line")]


def test_maps(tmp_path, capsys):
    crab = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="crab", amplitude=4e-12)
    models = gj.Models([crab, gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    run = gj.fake(jax.random.key(1), maps.small_map(n=20), models, name="run")
    gj.Datasets({"run": run}).write(tmp_path / "datasets.yaml")
    models.write(tmp_path / "models.yaml")
    files, out = [str(tmp_path / "datasets.yaml"), str(tmp_path / "models.yaml")], tmp_path / "out"
    assert main(["maps", *files, "-o", str(out), "--radius", "0.12", "--stride", "2"]) == 0
    shown = capsys.readouterr().out
    assert "Peaks of the TS map above 5 sigma: none" in shown and "residual-histogram.png" in shown
    expected = gj.residual_map({"run": run}, models, 0.12)["residual"]
    np.testing.assert_allclose(gj.SkyMaps.read(out / "residual.fits.gz")["residual"], expected, rtol=1e-5, atol=1e-6)
    assert f"mean {expected.mean():+.3f}, width {expected.std():.3f}" in shown
    # the excess is that of all sources
    assert len(gj.SkyMaps.read(out / "excess.fits.gz").peaks("sqrt_ts", 10)) == 1
    assert gj.SkyMaps.read(out / "ts.fits.gz").shape == (1, 10, 10)
    assert all((out / f"{name}.png").stat().st_size > 5000 for name in ("residual", "excess", "ts"))

    assert main(["maps", *files, "-o", str(out)]) == 2
    assert "replace them with --overwrite" in capsys.readouterr().err
    assert main(["maps", *files, "-o", str(tmp_path / "b"), "--radius", "3TeV"]) == 2
    assert "--radius: found '3TeV'" in capsys.readouterr().err
