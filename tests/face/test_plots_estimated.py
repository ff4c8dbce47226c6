"""Pictures of maps of the sky: what is drawn where, and with which words."""

import io
import re

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.ndimage import convolve

import gammajax as gj
from gammajax.datasets.sky import SkyGeom
from gammajax.plots import plot_map, plot_significance
from gammajax.plots.estimated import block_errors, moments


@pytest.fixture(scope="module")
def some_maps():
    rng = np.random.default_rng(5)
    geom = SkyGeom.create((83.63, 22.01), 0.05, npix=(60, 40))
    root = rng.normal(size=(1, 40, 60))
    root[0, 18:22, 28:32] = 9.0
    root[0, :6, :8] = np.nan
    counts = rng.poisson(3.0, root.shape) * 1.0
    return gj.SkyMaps(geom, [1, 10], {"residual": root, "counts": counts, "flux": 1e-12 * root})


@pytest.fixture(scope="module")
def models():
    spectrum = gj.PowerLawSpectralModel()
    return gj.Models(
        [
            gj.SkyModel(spectrum, spatial=gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="crab"),
            gj.SkyModel(spectrum, spatial=gj.DiskSpatialModel(lon_0=84.4, lat_0=22.5, r_0=0.3), name="disk_2"),
            gj.SkyModel(spectrum, spatial=gj.PointSpatialModel(lon_0=10, lat_0=22.01), name="elsewhere"),
        ]
    )


def drawn(ax):
    stream = io.BytesIO()
    ax.figure.savefig(stream, format="png")
    stream.seek(0)
    return imread(stream)


def test_map(some_maps, models):
    ax = plot_map(some_maps, "residual", models=models, smooth=0.05)
    image = drawn(ax)
    assert image.shape[0] > 400 and len(np.unique(image[..., 0])) > 20
    assert ax.get_title(loc="left") == "1 to 10 TeV, smoothed with a Gaussian of 0.05°, lines at 5 σ"
    assert [t.get_text() for t in ax.texts] == ["crab", "disk_2"]
    shown = ax.images[0]
    assert shown.get_clim() == (-5, 5) and np.ma.getmaskarray(shown.get_array())[:6, :8].all()
    # the cross is where the source is
    (cross,) = [line for line in ax.lines if line.get_marker() == "+"]
    x, y = some_maps.geom.wcs.wcs_world2pix(83.63, 22.01, 0)
    np.testing.assert_allclose([cross.get_xdata()[0], cross.get_ydata()[0]], [x, y], atol=1e-6)
    assert len(ax.patches) == 1


@pytest.mark.parametrize(
    ("name", "stretch", "label"), [("counts", "sqrt", "Counts"), ("flux", "log", "Flux [10⁻¹² cm⁻² s⁻¹]")]
)
def test_units_and_stretch(some_maps, name, stretch, label):
    ax = plot_map(some_maps, name, stretch=stretch)
    drawn(ax)
    (bar,) = [a for a in ax.figure.axes if a is not ax]
    assert bar.get_ylabel() == label
    assert ax.get_xlabel() == "Right ascension"


def test_residual_counts_are_no_significance(some_maps):
    """Of other methods than the significance colours go as far as the numbers."""
    root = np.asarray(some_maps["residual"])
    for residual, label, end in ((7 * root, "Residual", 63.0), (root, "Residual significance [σ]", 5.0)):
        maps = gj.SkyMaps(some_maps.geom, [1, 10], {"residual": residual, "sqrt_ts": root})
        ax = plot_map(maps, "residual")
        (bar,) = [a for a in ax.figure.axes if a is not ax]
        assert bar.get_ylabel() == label and ax.images[0].get_clim() == (-end, end)


def test_histogram(some_maps):
    near = np.zeros((40, 60), bool)
    near[16:24, 26:34] = True
    ax = plot_significance(some_maps, exclude=near)
    drawn(ax)
    values = some_maps["residual"][0][~near]
    values = values[np.isfinite(values)]
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    error = r"± 0\.0\d\d"
    mean, width = re.escape(f"{values.mean():+.3f}"), f"{values.std():.3f}"
    assert re.fullmatch(f"{values.size} pixels: mean {mean} {error}, width {width} {error}", texts[0])
    low, middle, high = np.quantile(values, [0.158655, 0.5, 0.841345])
    median, width = re.escape(f"{middle:+.3f}"), f"{(high - low) / 2:.3f}"
    assert re.fullmatch(f"median {median} {error}, central 68 %: {width} {error}", texts[2])
    unit = next(line for line in ax.lines if line.get_label() == "unit Gaussian")
    x, y = unit.get_data()
    # the area under it is that of the histogram
    assert np.trapezoid(y, x) == pytest.approx(values.size * 0.2, rel=1e-3)


def test_errors_of_the_histogram_know_that_pixels_share_counts():
    """Beside the scatter of 60 maps of noise in disks of 2.5 pixels, a quarter of which so many free numbers have."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[-2:3, -2:3]
    disk = (x**2 + y**2 <= 6.25) / np.sqrt(np.sum(x**2 + y**2 <= 6.25))
    maps = [convolve(rng.normal(size=(94, 94)), disk)[2:-2, 2:-2] for _ in range(60)]
    everywhere = np.ones((90, 90), bool)
    everywhere[40:50, 40:50] = False
    scatter = np.std([moments(m[everywhere]) for m in maps], axis=0)
    said = np.mean([block_errors(m, everywhere) for m in maps], axis=0)
    np.testing.assert_allclose(said / scatter, 1, atol=0.3)
    assert scatter[0] > 3 / 90
    few = np.zeros((90, 90), bool)
    few[:8, :8] = True
    assert np.isnan(block_errors(maps[0], few)).all()


@pytest.mark.parametrize(
    ("name", "meta", "title", "label"),
    [
        (
            "sqrt_ts",
            {"kind": "ts", "source": "Point, PowerLaw (index 2.3)", "fitted_min": [1.5], "fitted_max": [9]},
            "TS map of Point, PowerLaw (index 2.3)\n1.5 to 9 TeV fitted, lines at 5 σ",
            "±√TS of the trial source [σ]",
        ),
        (
            "flux_ul",
            {"kind": "ts", "source": "Point"},
            "TS map of Point\n1 to 10 TeV",
            "Upper limit (95.45 %): flux of the trial source [10⁻¹² cm⁻² s⁻¹]",
        ),
        ("flux_errn", {}, "1 to 10 TeV", "Error downwards: flux [10⁻¹² cm⁻² s⁻¹]"),
        (
            "npred_excess",
            {"kind": "excess", "radius": 0.125},
            "Excess map\n1 to 10 TeV, disks of radius 0.125°",
            "Excess counts per disk",
        ),
        (
            "residual",
            {"kind": "residual", "method": "diff/sqrt(model)", "radius": 0.0},
            "Residual map\n1 to 10 TeV, single pixels",
            "Residual: (counts − predicted) / √predicted",
        ),
    ],
)
def test_titles_tell_maps_apart(some_maps, tmp_path, name, meta, title, label):
    """Of maps that were written and read, too."""
    values = np.asarray(some_maps["residual"]) * (1e-12 if name.startswith("flux") else 1.0)
    gj.SkyMaps(some_maps.geom, [1, 10], {name: values}, n_sigma_ul=2, meta=meta).write(tmp_path / "maps.fits")
    maps = gj.SkyMaps.read(tmp_path / "maps.fits")
    assert {key: np.all(maps.meta[key] == meta[key]) for key in maps.meta} == dict.fromkeys(meta, True)
    ax = plot_map(maps, name, smooth=None, limits=(-1e-12, 1e-12) if name.startswith("flux") else (-20, 20))
    (bar,) = [a for a in ax.figure.axes if a is not ax]
    assert ax.get_title(loc="left") == title and bar.get_ylabel() == label
    image = drawn(ax)
    assert image.shape[0] > 400


def test_disks_of_two_pixels_are_warned_of(some_maps):
    def maps(radius):
        return gj.SkyMaps(some_maps.geom, [1, 10], {"residual": some_maps["residual"]}, meta={"radius": radius})

    for pixels, better in ((1.0, 0.075), (2.0, 0.125)):
        with pytest.warns(UserWarning, match=f"chessboard. .* radius of {better} deg"):
            plot_map(maps(0.05 * pixels), "residual")
    for pixels in (0.0, 1.5, 2.5, 3.0, 10.0):
        plot_map(maps(0.05 * pixels), "residual")
    plot_map(maps(0.1), "residual", smooth=0.05)


def test_what_is_refused(some_maps):
    with pytest.raises(gj.InputError, match="expected SkyMaps"):
        plot_map({"residual": 1})
    with pytest.raises(gj.InputError, match="Use 'log'"):
        plot_map(some_maps, "residual", stretch="sqrt")
    with pytest.raises(gj.InputError, match="'counts' is no significance in these maps"):
        plot_significance(some_maps, "counts")
    with pytest.raises(gj.InputError, match="exclude has shape"):
        plot_significance(some_maps, exclude=np.zeros((2, 2), bool))
