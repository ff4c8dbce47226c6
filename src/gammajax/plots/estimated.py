"""Pictures of maps of the sky: a quantity with coordinates and outlines, and the distribution of a significance."""

from collections.abc import Iterable
from typing import Literal, cast

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes import WCSAxes
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm, SymLogNorm, TwoSlopeNorm
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from scipy.ndimage import gaussian_filter
from scipy.stats import norm as gaussian

from gammajax.datasets.errors import InputError
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import SkyModel
from gammajax.datasets.models.spatial.base import PositionedModel
from gammajax.datasets.units import Given, number_in
from gammajax.fit.estimators.sky_maps import SkyMaps, unit_of
from gammajax.plots.figures import BLACK, BLUE, VERMILLION, new_figure, power_of_ten

LABELS = {
    "counts": "Counts",
    "npred": "Predicted counts",
    "npred_excess": "Excess counts",
    "sqrt_ts": "Significance [σ]",
    "residual": "Residual",
    "ts": "TS",
    "norm": "Norm",
    "flux": "Flux",
}
"""What a colour bar says of a quantity."""

SIGNED = ("sqrt_ts", "residual", "npred_excess")
"""Quantities around zero, drawn in two colours."""

LIMIT = 5.0
"""Significance at which the colours of a map of it end unless others are asked for."""

LEVELS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Significances beyond the colours, drawn as lines."""


GLOW = [withStroke(linewidth=2.0, foreground="white")]
"""Names and crosses have a white rim, to be seen on every colour."""


def plot_map(
    maps: SkyMaps,
    name: str = "sqrt_ts",
    band: int = 0,
    *,
    models: Models | Iterable[SkyModel] | None = None,
    smooth: Given | None = None,
    stretch: Literal["linear", "sqrt", "log"] = "linear",
    limits: tuple[float, float] | None = None,
    ax: WCSAxes | None = None,
) -> WCSAxes:
    """A quantity of `SkyMaps` with coordinates, a colour bar with its unit, and the outlines of sources.

    ``models``: sources whose outlines (a cross for points) and names are drawn. ``smooth``: width (Quantity or deg) of
    a Gaussian that smooths the picture, which the title then says; it leaves pixels that are not known out. What is not
    known is grey, with its outline. ``limits`` of the colours: by default -5 to 5 for significances, else those of the
    map. Beyond 5 sigma lines show where a significance is 5, 10, 20, ... Returns the axes, of ``ax.figure``.

    Examples
    --------
    >>> ax = plot_map(gj.residual_map(datasets, result, 0.1), "residual", models=result.models)
    >>> ax.figure.savefig("residual.png")
    """
    if not isinstance(maps, SkyMaps):
        raise InputError(f"plot_map: found {type(maps).__name__}, expected SkyMaps such as gj.excess_map gives.")
    if stretch not in ("linear", "sqrt", "log"):
        raise InputError(f"plot_map: stretch is {stretch!r}, expected 'linear', 'sqrt' or 'log'.")
    values, notes = maps[name][band], []
    known = np.isfinite(values)
    if not known.any():
        raise InputError(f"plot_map: {name!r} is not known in any pixel of band {band}.")
    if smooth is not None:
        width = number_in(smooth, "deg", "plot_map: smooth")
        pixels = width / maps.geom.pixel_size
        weight = gaussian_filter(known.astype(float), pixels, mode="constant")
        sums = gaussian_filter(np.where(known, values, 0.0), pixels, mode="constant")
        values = np.where(known, sums / np.where(known, weight, 1.0), np.nan)
        notes.append(f"smoothed with a Gaussian of {width:.3g}°")
    if ax is None:
        figure = new_figure(6.4, 5.4)
        ax = figure.add_axes((0.14, 0.11, 0.68, 0.8), axes_class=WCSAxes, wcs=maps.geom.wcs)
    ax.set_facecolor("#DDDDDD")
    in_sigma = _is_significance(maps, name)
    factor, power = power_of_ten(values) if unit_of(name) else (1.0, "")
    scaled = None if limits is None else (limits[0] / factor, limits[1] / factor)
    shown = ax.imshow(
        values / factor,
        origin="lower",
        norm=_scale(name, values / factor, stretch, scaled, in_sigma),
        cmap="RdBu_r" if name in SIGNED else "viridis",
        interpolation="nearest",
    )
    _colour_bar(ax, shown, "Residual [σ]" if in_sigma and name == "residual" else _label(name, power))
    if in_sigma and (levels := [level for level in LEVELS if level < np.nanmax(values)]):
        ax.contour(np.where(known, values, -np.inf), levels=levels, colors="white", linewidths=1.0)
        notes.append(f"lines at {', '.join(f'{level:g}' for level in levels)} σ")
    if not known.all():
        ax.contour(known, levels=[0.5], colors="#777777", linewidths=0.8)
    for model in models if models is not None else ():
        if isinstance(model, SkyModel) and isinstance(model.spatial, PositionedModel):
            _outline(ax, maps, model.name, model.spatial)
    edges = np.asarray(maps.energy_edges)[band : band + 2]
    notes.insert(0, f"{edges[0]:.3g} to {edges[1]:.3g} TeV")
    ax.set_title(", ".join(notes), fontsize=9, loc="left")
    galactic = maps.geom.frame == "galactic"
    ax.set_xlabel("Galactic longitude" if galactic else "Right ascension")
    ax.set_ylabel("Galactic latitude" if galactic else "Declination")
    if galactic:
        for axis in cast(WCSAxes, ax).coords:
            axis.set_major_formatter("d.d")
    ax.set_xlim(-0.5, values.shape[1] - 0.5)
    ax.set_ylim(-0.5, values.shape[0] - 0.5)
    return ax


def plot_significance(
    maps: SkyMaps,
    name: str = "residual",
    band: int = 0,
    *,
    exclude: np.ndarray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Histogram of a significance over the pixels of a map, with a unit Gaussian and one of its mean and width.

    ``exclude``: (ny, nx), True in pixels to leave out, such as those around sources. The dashed Gaussian has the median
    of the pixels and half of the range of their central 68 %, which sources that are left in hardly move; mean and
    standard deviation stand in the legend, too. Neighbouring pixels share counts, so that they are known less well than
    so many pixels would make them. Returns the axes.
    """
    if not isinstance(maps, SkyMaps):
        raise InputError(f"plot_significance: found {type(maps).__name__}, expected SkyMaps.")
    values = maps[name][band]
    kept = np.isfinite(values)
    if exclude is not None:
        if np.shape(exclude) != values.shape:
            raise InputError(f"plot_significance: exclude has shape {np.shape(exclude)}, expected {values.shape}.")
        kept = kept & ~np.asarray(exclude, bool)
    if kept.sum() < 2:
        raise InputError(f"plot_significance: {name!r} is known in {int(kept.sum())} pixels, expected at least 2.")
    found = values[kept]
    low, middle, high = (float(q) for q in np.quantile(found, gaussian.cdf([-1.0, 0.0, 1.0])))
    width = (high - low) / 2
    if ax is None:
        figure = new_figure(6.0, 4.4)
        ax = figure.add_axes((0.13, 0.13, 0.84, 0.8))
    low, high = min(-5.0, np.floor(found.min())), max(5.0, np.ceil(found.max()))
    edges = np.linspace(low, high, int(np.clip((high - low) * 5, 20, 400)) + 1)
    step = edges[1] - edges[0]
    counts = np.histogram(found, edges)[0]
    ax.stairs(counts, edges, color=BLACK, fill=True, alpha=0.15, lw=0)
    of_all = f"{found.size} pixels: mean {found.mean():+.3f}, width {found.std():.3f}"
    ax.stairs(counts, edges, color=BLACK, lw=1.0, label=of_all)
    grid = np.linspace(low, high, 600)
    ax.plot(grid, found.size * step * gaussian.pdf(grid), color=BLUE, lw=1.6, label="unit Gaussian")
    if width > 0:
        ax.plot(
            grid,
            found.size * step * gaussian.pdf(grid, middle, width),
            color=VERMILLION,
            lw=1.6,
            ls="--",
            label=f"median {middle:+.3f}, width of the central 68 % {width:.3f}",
        )
    ax.set_yscale("log")
    # room for the legend above
    ax.set_ylim(0.5, 10 * max(counts.max(), found.size * step * 0.4))
    ax.set_xlim(low, high)
    ax.set_xlabel("Residual significance [σ]" if name == "residual" else _label(name))
    ax.set_ylabel(f"Pixels per {step:.2g} σ")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return ax


def _is_significance(maps: SkyMaps, name: str) -> bool:
    """Whether a quantity is in standard deviations: ``residual`` is of the method that `residual_map` was told."""
    if name != "residual" or "sqrt_ts" not in maps.names:
        return name in ("sqrt_ts", "residual")
    return bool(np.array_equal(maps["residual"], maps["sqrt_ts"], equal_nan=True))


def _label(name: str, power: str = "") -> str:
    unit = unit_of(name)
    stem = name.removesuffix("_err").removesuffix("_ul")
    text = LABELS.get(name) or LABELS.get(stem, name)
    text += {"_err": " error", "_ul": " upper limit"}.get(name.removeprefix(stem), "")
    return f"{text} [{power}cm⁻² s⁻¹]" if unit else text


def _scale(
    name: str, values: np.ndarray, stretch: str, limits: tuple[float, float] | None, in_sigma: bool
) -> Normalize:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if name in SIGNED:
        most = LIMIT if in_sigma else max(abs(low), abs(high))
        low, high = -most, most
    if limits is not None:
        low, high = limits
    if not low < high:
        high = low + 1.0
    if stretch == "log":
        return SymLogNorm(linthresh=max(abs(low), abs(high)) / 10, vmin=low, vmax=high)
    if stretch == "sqrt" and low >= 0:
        return PowerNorm(0.5, vmin=low, vmax=high)
    if stretch == "sqrt":
        raise InputError(f"plot_map: a square root shows no negative numbers, and {name!r} has some. Use 'log'.")
    # white is nothing, whatever the limits are
    return TwoSlopeNorm(0.0, low, high) if name in SIGNED and low < 0 < high else Normalize(low, high)


def _colour_bar(ax: WCSAxes, shown: AxesImage, label: str) -> None:
    """A colour bar as high as the map, with an arrow where it ends before the numbers do."""
    ax.apply_aspect()
    values: np.ndarray = np.ma.compressed(np.ma.asarray(shown.get_array()))
    low, high = shown.get_clim()
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
    extend = beyond[bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)]
    box = ax.get_position()
    beside = ax.get_figure().add_axes((box.x1 + 0.02, box.y0, 0.025, box.height))
    ax.get_figure().colorbar(shown, cax=beside, extend=extend).set_label(label)


def _outline(ax: WCSAxes, maps: SkyMaps, name: str, spatial: PositionedModel) -> None:
    """The outline of a source, a cross for points, and its name beside it."""
    lon, lat = (float(np.asarray(c)) for c in spatial.position)
    x, y = maps.geom.wcs.world_to_pixel(SkyCoord(lon, lat, unit="deg", frame=spatial.frame))
    ny, nx = maps.geom.shape
    if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
        return
    if spatial.scheme == "point":
        ax.plot([float(x)], [float(y)], "+", ms=9, mew=1.2, color=BLACK, path_effects=GLOW)
    else:
        ax.add_patch(spatial.to_region().to_pixel(maps.geom.wcs).as_artist(fill=False, ec=BLACK, lw=1.0))
    ax.annotate(
        name,
        (float(x), float(y)),
        xytext=(6, 6),
        textcoords="offset points",
        fontsize=8,
        parse_math=False,
        path_effects=GLOW,
    )
