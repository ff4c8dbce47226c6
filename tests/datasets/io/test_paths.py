import pytest

from gammajax.datasets import InputError
from gammajax.datasets.io import beside
from gammajax.datasets.models.spectral import EBLAbsorptionNormSpectralModel


def test_files_beside_another_or_as_given(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.fits").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert beside("a.fits", tmp_path / "here") == tmp_path / "here" / "a.fits"
    assert beside("here/a.fits", tmp_path / "here").is_file()
    monkeypatch.setenv("TABLES", str(tmp_path / "here"))
    assert beside("$TABLES/a.fits", tmp_path) == tmp_path / "here" / "a.fits"


def test_a_table_that_is_not_fits(tmp_path):
    path = tmp_path / "ebl.fits"
    path.write_text("no table")
    with pytest.raises(InputError, match="not a FITS file"):
        EBLAbsorptionNormSpectralModel.read(path)
