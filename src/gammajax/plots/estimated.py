"""Pictures of maps of the sky: a quantity with coordinates and outlines, and the distribution of a significance."""

from collections.abc import Iterable
from math import erf, sqrt
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
from gammajax.plots.sky import sky_axes, warn_of_chessboard

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

OF_KIND = {
    ("residual", "sqrt_ts"): "Residual significance [σ]",
    ("excess", "sqrt_ts"): "Excess significance [σ]",
    ("excess", "ts"): "TS of the excess",
    ("ts", "sqrt_ts"): "±√TS of the trial source [σ]",
    ("ts", "ts"): "TS of the trial source",
    ("ts", "flux"): "Flux of the trial source",
    ("ts", "norm"): "Norm of the trial source",
    ("ts", "npred_excess"): "Counts of the trial source",
}
"""What it says where the kind of map is known."""

OF_METHOD = {
    "diff": "Residual: counts − predicted",
    "diff/sqrt(model)": "Residual: (counts − predicted) / √predicted",
    "significance": "Residual significance [σ]",
}
"""What it says of ``residual``, by the method."""

SUFFIXES = {"_errn": "Error downwards", "_errp": "Error upwards", "_err": "Error", "_ul": "Upper limit"}
"""What it says before a quantity."""

TITLES = {"residual": "Residual map", "excess": "Excess map", "ts": "TS map"}

IN_DISKS = ("counts", "npred", "npred_excess", "n_off")
"""Quantities that are sums over disks."""

SIGNED = ("sqrt_ts", "residual", "npred_excess")
"""Quantities around zero, drawn in two colours."""

LIMIT = 5.0
"""Significance at which the colours of a map of it end unless others are asked for."""

LEVELS = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
"""Significances beyond the colours, drawn as lines."""


BLOCK, LEAST_BLOCKS, MOST_BLOCKS = 15, 6, 8
"""Pixels along a side of the blocks of the jackknife, the least number of blocks, and the most along a side."""

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

    The title says what kind of map it is, the source that was tried, the energies that were fitted, and the radius of
    the disks that were summed. What is not known is grey, with its outline. Beyond 5 sigma lines show where a
    significance is 5, 10, 20, ... Returns the axes, of ``ax.figure``.

    Parameters
    ----------
    maps : what `gammajax.residual_map`, `gammajax.excess_map` or `gammajax.ts_map` gave
    name, band : the quantity, and which band of energy
    models : sources whose outlines (a cross for points) and names are drawn
    smooth : width (Quantity or deg) of a Gaussian that smooths the picture, which the title then says; it leaves pixels
        that are not known out
    stretch : of the colours; a square root for what is not negative
    limits : of the colours: by default -5 to 5 for significances, else those of the map
    ax : axes to draw into, with the coordinates of the map; by default those of a new figure

    Examples
    --------
    >>> ax = plot_map(gj.residual_map(datasets, result, 0.12), "residual", models=result.models)
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
    if smooth is None and name != "npred":
        radius = float(maps.meta.get("radius", 0.0))
        warn_of_chessboard(maps.geom, radius, "plot_map", "make it", ", or smooth the picture (smooth)")
    if ax is None:
        ax = cast(WCSAxes, sky_axes(new_figure(6.4, 5.4), maps.geom, (0.15, 0.11, 0.67, 0.79)))
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
    _colour_bar(ax, shown, _label(maps, name, power))
    if in_sigma and (levels := [level for level in LEVELS if level < np.nanmax(values)]):
        ax.contour(np.where(known, values, -np.inf), levels=levels, colors="white", linewidths=1.0)
        notes.append(f"lines at {', '.join(f'{level:g}' for level in levels)} σ")
    if not known.all():
        ax.contour(known, levels=[0.5], colors="#777777", linewidths=0.8)
    for model in models if models is not None else ():
        if isinstance(model, SkyModel) and isinstance(model.spatial, PositionedModel):
            _outline(ax, maps, model.name, model.spatial)
    ax.set_title("\n".join(_title(maps, band, notes)), fontsize=9, loc="left", parse_math=False)
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
    standard deviation stand in the legend, too, all with their errors. Neighbouring pixels share counts, so that these
    are larger than those of so many numbers: they come from leaving out each of some ten to sixty blocks of the map
    (jackknife: Quenouille 1956, Biometrika 43, 353; Tukey 1958). Returns the axes.
    """
    if not isinstance(maps, SkyMaps):
        raise InputError(f"plot_significance: found {type(maps).__name__}, expected SkyMaps.")
    values = maps[name][band]
    if not _is_significance(maps, name):
        raise InputError(f"plot_significance: {name!r} is no significance in these maps. Take 'sqrt_ts'.")
    kept = np.isfinite(values)
    if exclude is not None:
        if np.shape(exclude) != values.shape:
            raise InputError(f"plot_significance: exclude has shape {np.shape(exclude)}, expected {values.shape}.")
        kept = kept & ~np.asarray(exclude, bool)
    if kept.sum() < 2:
        raise InputError(f"plot_significance: {name!r} is known in {int(kept.sum())} pixels, expected at least 2.")
    found = values[kept]
    mean, spread, middle, width = moments(found)
    errors = block_errors(values, kept)

    def said(value: float, error: float, sign: str = "") -> str:
        return f"{value:{sign}.3f}" + (f" ± {error:.3f}" if np.isfinite(error) else "")

    if ax is None:
        figure = new_figure(6.0, 4.4)
        ax = figure.add_axes((0.13, 0.13, 0.84, 0.8))
    low, high = min(-5.0, np.floor(found.min())), max(5.0, np.ceil(found.max()))
    edges = np.linspace(low, high, int(np.clip((high - low) * 5, 20, 400)) + 1)
    step = edges[1] - edges[0]
    counts = np.histogram(found, edges)[0]
    ax.stairs(counts, edges, color=BLACK, fill=True, alpha=0.15, lw=0)
    of_all = f"{found.size} pixels: mean {said(mean, errors[0], '+')}, width {said(spread, errors[1])}"
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
            label=f"median {said(middle, errors[2], '+')}, central 68 %: {said(width, errors[3])}",
        )
    ax.set_yscale("log")
    # room for the legend above
    ax.set_ylim(0.5, 12 * max(counts.max(), found.size * step * 0.4))
    ax.set_xlim(low, high)
    ax.set_xlabel(_label(maps, name))
    ax.set_ylabel(f"Pixels per {step:.2g} σ")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    return ax


def moments(values: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, median, and half of the range of the central 68 % of numbers (n,)."""
    low, middle, high = np.quantile(values, gaussian.cdf([-1.0, 0.0, 1.0]))
    return np.array([values.mean(), values.std(), middle, (high - low) / 2])


def block_errors(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Errors of `moments` of the ``kept`` pixels of an image (ny, nx): the jackknife over blocks.

    It holds for pixels that depend on each other no farther than blocks are wide; disks a third as wide make it some 15
    percent too small. NaN for maps that have too few blocks.
    """
    ny, nx = values.shape
    rows, columns = (np.arange(n) * int(np.clip(n // BLOCK, 3, MOST_BLOCKS)) // n for n in (ny, nx))
    block = (rows[:, None] * MOST_BLOCKS + columns)[kept]
    found, places = values[kept], np.unique(block)
    if len(places) < LEAST_BLOCKS:
        return np.full(4, np.nan)
    without = np.array([moments(found[block != place]) for place in places if np.any(block != place)])
    return np.asarray(np.sqrt((len(without) - 1) * np.mean((without - without.mean(axis=0)) ** 2, axis=0)))


def _is_significance(maps: SkyMaps, name: str) -> bool:
    """Whether a quantity is in standard deviations: ``residual`` is of the method that `residual_map` was told."""
    if name == "residual" and "method" in maps.meta:
        return bool(maps.meta["method"] == "significance")
    if name != "residual" or "sqrt_ts" not in maps.names:
        return name in ("sqrt_ts", "residual")
    return bool(np.array_equal(maps["residual"], maps["sqrt_ts"], equal_nan=True))


def _label(maps: SkyMaps, name: str, power: str = "") -> str:
    """A quantity with its unit, what it is a part of, and the confidence level of limits."""
    meta, unit = maps.meta, unit_of(name)
    suffix = next((s for s in SUFFIXES if name.endswith(s)), "")
    stem = name.removesuffix(suffix)
    kind = str(meta.get("kind", ""))
    if name == "residual":
        text = OF_METHOD.get(str(meta.get("method")), "")
        text = text or (OF_METHOD["significance"] if _is_significance(maps, name) else LABELS[name])
    else:
        text = OF_KIND.get((kind, stem)) or LABELS.get(stem, stem)
    if suffix:
        sigma = maps.n_sigma_ul if suffix == "_ul" else None
        confidence = "" if sigma is None else f" ({100 * erf(sigma / sqrt(2)):.4g} %)"
        text = f"{SUFFIXES[suffix]}{confidence}: {text[0].lower()}{text[1:]}"
    if stem in IN_DISKS and kind in ("residual", "excess"):
        text += " per disk" if float(meta.get("radius", 0.0)) > 0 else " per pixel"
    return f"{text} [{power}cm⁻² s⁻¹]" if unit else text


def _title(maps: SkyMaps, band: int, notes: list[str]) -> list[str]:
    """Two lines: what kind of map with what was tried, and at which energies and how it was made."""
    meta = maps.meta
    first = TITLES.get(str(meta.get("kind")), "")
    if "source" in meta:
        first += f"{' of' if first else 'Source:'} {meta['source']}"
    edges = np.asarray(maps.energy_edges)[band : band + 2]
    said = f"{edges[0]:.3g} to {edges[1]:.3g} TeV"
    fitted = [np.ravel(meta.get(key, np.nan)) for key in ("fitted_min", "fitted_max")]
    low, high = (float(ends[band]) if band < len(ends) else np.nan for ends in fitted)
    if np.isfinite(low) and np.isfinite(high):
        said = f"{low:.3g} to {high:.3g} TeV fitted"
    radius = float(meta.get("radius", np.nan))
    if np.isfinite(radius):
        notes = [f"disks of radius {radius:.3g}°" if radius > 0 else "single pixels", *notes]
    return [*([first] if first else []), ", ".join([said, *notes])]


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
