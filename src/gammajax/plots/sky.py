"""Images of maps on the sky: counts, predictions and residuals, with outlines of sources and masks."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.patheffects import withStroke

from gammajax.datasets.counts.dataset import CountsDataset, require_counts
from gammajax.datasets.counts.npred import SomeModels, npred_background, npred_signal
from gammajax.datasets.counts.residuals import summed_significance
from gammajax.datasets.dataset import fitted_bins
from gammajax.datasets.errors import InputError, warn
from gammajax.datasets.hints.modules import found
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import SkyModel
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.datasets.units import Given, number_in
from gammajax.kernels.programs import programs
from gammajax.plots.figures import BLACK, LABEL_SIZE, VERMILLION, figure_of, new_figure, tick_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_PIXELS = 2.5
"""Radius of the disks that images are summed in unless one is given, in pixels."""

UNEVEN = 0.3
"""Relative difference of the numbers of pixels of the two colours of a chessboard in a disk from which on it shows."""

FRAMES = {
    "galactic": ("Galactic longitude", "Galactic latitude"),
    "barycentrictrueecliptic": ("Ecliptic longitude", "Ecliptic latitude"),
}


def plot_sky(
    dataset: CountsDataset, models: SomeModels, name: str | None = None, radius: Given | None = None
) -> tuple[Axes, Axes, Axes]:
    """Counts, prediction of ``models`` and residual significance of a map: three axes with sky coordinates.

    All three are sums over the fitted energies in a disk around each pixel. The significance is the root of the rise
    of the fit statistic of these sums from a perfect prediction to that of the models, with the sign of counts less
    prediction: normal with mean 0 and width 1 where the models are right, correlated within two radii. Colours of
    counts follow their square root. Sources are drawn as crosses and outlines, the border of the fitted pixels as a
    dashed line.

    Parameters
    ----------
    dataset : a map with counts
    models : what is predicted
    name : the dataset's name; it selects among models with ``datasets_names`` and is the title
    radius : of the disks, Quantity or deg; 0 for the pixels themselves. By default 2.5 pixels

    Raises
    ------
    InputError
        for what is no map, or has no counts

    Examples
    --------
    >>> axes = gj.plots.plot_sky(dataset, result.models, radius=0.12 * u.deg)
    >>> axes[0].figure.savefig("sky.png")
    """
    geom = _geom(dataset, "plot_sky")
    collection = Models(models)
    mask = np.asarray(fitted_bins(dataset))
    pixels = np.asarray(mask.any(axis=0))
    width = _radius(geom, radius, "plot_sky")
    warn_of_chessboard(geom, width, "plot_sky", "draw it")
    signal, background = (np.asarray(part) for part in _expected(dataset, collection, name))
    total = disks(geom, width)

    def image(values: np.ndarray) -> np.ndarray:
        return total(np.where(mask, values, 0.0).sum(axis=0))

    counts, expected, of_sources = (image(v) for v in (np.asarray(dataset.counts, float), signal + background, signal))
    residual = summed_significance(dataset, counts, expected, of_sources, image)
    counts, expected, residual = (np.where(pixels, v, np.nan) for v in (counts, expected, residual))
    figure = new_figure(14.0, 4.3)
    where = f"counts in disks of {width:.3g} deg" if width > 0 else "counts per pixel"
    top = float(np.nanmax([np.nanmax(counts), np.nanmax(expected)]))
    panels = []
    for number, (values, title, label, norm, colours) in enumerate(
        (
            (counts, f"{name or dataset.tag}: counts", where, PowerNorm(0.5, 0.0, top), "inferno"),
            (expected, "predicted", where, PowerNorm(0.5, 0.0, top), "inferno"),
            (residual, "residual", f"significance [σ], {where.removeprefix('counts ')}", Normalize(-5, 5), "RdBu_r"),
        )
    ):
        ax = sky_axes(figure, geom, (0.07 + 0.32 * number, 0.1, 0.215, 0.8), 9.0)
        show_image(ax, values, label, norm, colours, 9.0)
        ax.set_title(title, fontsize=10, parse_math=False)
        colour = "white" if number < 2 else BLACK
        outline_sources(ax, geom, collection.acting_on(name), colour)
        outline_mask(ax, pixels, colour)
        if number:
            ax.coords[1].set_axislabel(" ")  # type: ignore[attr-defined]
        panels.append(ax)
    return panels[0], panels[1], panels[2]


def plot_counts_map(
    dataset: CountsDataset, models: SomeModels | None = None, radius: Given | None = None, name: str | None = None
) -> Axes:
    """Counts of a map in sky coordinates, summed over all energies: axes.

    Fitted or not: the border of the pixels that are fitted at some energy is a dashed line. Colours follow the square
    root. ``models`` are outlined. See `plot_sky` for ``radius``, of which the default here is 0: single pixels.
    """
    geom = _geom(dataset, "plot_counts_map")
    width = 0.0 if radius is None else _radius(geom, radius, "plot_counts_map")
    warn_of_chessboard(geom, width, "plot_counts_map", "draw it")
    image = disks(geom, width)(np.asarray(dataset.counts, float).sum(axis=0))
    ax = sky_axes(new_figure(6.4, 5.2), geom, (0.14, 0.11, 0.68, 0.8))
    label = f"counts in disks of {width:.3g} deg" if width > 0 else "counts per pixel"
    show_image(ax, image, label, PowerNorm(0.5, 0.0, max(float(image.max()), 1.0)), "inferno")
    edges = np.asarray(dataset.energy_edges)
    energies = f"{tick_label(float(edges[0]))} to {tick_label(float(edges[-1]))} TeV"
    ax.set_title(f"{name or dataset.tag}, {energies}", fontsize=11, parse_math=False)
    outline_mask(ax, np.asarray(np.asarray(fitted_bins(dataset)).any(axis=0)), "white")
    if models is not None:
        outline_sources(ax, geom, Models(models).acting_on(name), "white")
    return ax


@programs(2)
def _expected(dataset: CountsDataset, models: Models, name: str | None) -> tuple[Any, Any]:
    return npred_signal(dataset, models, name), npred_background(dataset, models, name)


def _geom(dataset: CountsDataset, what: str) -> SkyGeom:
    geom = getattr(dataset, "sky_geom", None)
    if not isinstance(geom, SkyGeom):
        raise InputError(f"{what}: found {found(dataset)}, expected a map dataset.")
    if require_counts(dataset, what).counts is None:
        raise InputError(f"{what}: the dataset has no counts. Read or simulate them first.")
    return geom


def _radius(geom: SkyGeom, radius: Given | None, what: str) -> float:
    """Radius of the disks in deg."""
    width = N_PIXELS * float(geom.pixel_size) if radius is None else number_in(radius, "deg", f"{what}: radius")
    if not 0 <= width < np.inf:
        raise InputError(f"{what}: radius is {width} deg, expected a number that is not negative.")
    return width


def disks(geom: SkyGeom, radius: float) -> Callable[[np.ndarray], np.ndarray]:
    """A function that sums images (ny, nx) over the pixels within ``radius`` deg of each, the images themselves for 0.

    Pixels are those of the middle of the map; what lies outside of it counts as 0.
    """
    from scipy.ndimage import convolve

    size = radius / float(geom.pixel_size)
    reach = min(int(size), max(geom.shape))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= size**2 * (1 + 1e-9)).astype(float)

    def total(image: np.ndarray) -> np.ndarray:
        return image if reach == 0 else np.asarray(convolve(image, disk, mode="constant"))

    return total


def warn_of_chessboard(geom: SkyGeom, radius: float, what: str, cure: str, also: str = "") -> None:
    """Of disks of 1 and of 2 pixels: they hold mostly pixels of one colour of a chessboard, none of which neighbours
    share, so that sums over them look like one. ``radius`` in deg; ``cure`` and ``also`` stand around a better one."""
    pixels = radius / float(geom.pixel_size)
    if not 1 - 1e-9 <= pixels < 3:
        return
    y, x = np.mgrid[-3:4, -3:4]
    inside = x**2 + y**2 <= pixels**2 * (1 + 1e-9)
    even = int(np.sum(inside & ((x + y) % 2 == 0)))
    odd = int(inside.sum()) - even
    if abs(even - odd) > UNEVEN * (even + odd):
        better = (np.floor(pixels + 1e-9) + 0.5) * float(geom.pixel_size)
        warn(
            f"{what}: disks of {radius:.4g} deg are {pixels:.3g} pixels, of which neighbours share few, so that the "
            f"map looks like a chessboard. For a smoother one {cure} with a radius of {better:.4g} deg{also}."
        )


def sky_axes(
    figure: "Figure", geom: SkyGeom, place: tuple[float, float, float, float], size: float = LABEL_SIZE
) -> Axes:
    """Axes with the coordinates of a map at a place of a figure."""
    ax = figure.add_axes(place, projection=geom.wcs)
    labels = FRAMES.get(geom.frame, ("Right ascension", "Declination"))
    for axis, label in zip(ax.coords, labels, strict=True):  # type: ignore[attr-defined]
        axis.set_axislabel(label, size=size)
        axis.set_ticklabel(size=size - 1, exclude_overlapping=True, simplify=False)
        axis.set_ticks(number=4)
        if geom.frame == "galactic":
            axis.set_major_formatter("d.d")
    return ax


def show_image(
    ax: Axes, image: np.ndarray, label: str, norm: Normalize, colours: str = "inferno", size: float = LABEL_SIZE
) -> None:
    """An image (ny, nx) with a colour bar that says what it is; pixels that are NaN stay grey."""
    ax.set_facecolor("#C8C8C8")
    shown = ax.imshow(image, origin="lower", norm=norm, cmap=colours, interpolation="nearest")
    # of the height of the image, which keeps its shape within its place
    place = ax.get_position(original=True)
    ax.apply_aspect()
    box = ax.get_position()
    figure = figure_of(ax)
    beside = figure.add_axes((box.x1 + 0.03 * place.width, box.y0, 0.04 * place.width, box.height))
    bar = figure.colorbar(shown, cax=beside)
    bar.set_label(label, fontsize=size)
    bar.ax.tick_params(labelsize=size - 1)


def outline_sources(ax: Axes, geom: SkyGeom, models: Iterable[Any], colour: str = "white") -> None:
    """Crosses at the places of sources, the outlines of extended ones, and their names."""
    from regions import PixelRegion, PointSkyRegion, RectangleSkyRegion

    ny, nx = geom.shape
    for model in models:
        if not isinstance(model, SkyModel) or model.spatial is None or model.spatial.center_vector is None:
            continue
        x, y = (float(v) for v in geom.vector_to_pixel(np.asarray(model.spatial.center_vector)))
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
            continue
        # seen on bright and on dark pixels
        edge = [withStroke(linewidth=2.2, foreground=BLACK if colour == "white" else "white")]
        ax.plot(x, y, marker="+", ms=9, mew=1.2, color=colour, path_effects=edge)
        ax.annotate(
            model.name, (x, y), (6, 6), textcoords="offset points", color=colour, fontsize=8, parse_math=False,
            annotation_clip=True, path_effects=edge,
        )  # fmt: skip
        region = model.spatial.to_region()
        # rectangles are the frames of templates
        if not isinstance(region, PointSkyRegion | RectangleSkyRegion):
            pixel: PixelRegion = region.to_pixel(geom.wcs)
            ax.add_patch(pixel.as_artist(edgecolor=colour, facecolor="none", lw=1.0, path_effects=edge))


def outline_mask(ax: Axes, inside: np.ndarray, colour: str = "white", style: str = "--") -> None:
    """The border of the pixels (ny, nx) that are True, where some are not."""
    if inside.all() or not inside.any():
        return
    # with a rim, so that the border is closed along the edge of the map
    padded = np.pad(inside.astype(float), 1)
    at = [np.arange(-1, n + 1) for n in inside.shape]
    ax.contour(at[1], at[0], padded, levels=[0.5], colors=VERMILLION if colour == "" else colour,
               linestyles=style, linewidths=1.0)  # fmt: skip
    ax.set(xlim=(-0.5, inside.shape[1] - 0.5), ylim=(-0.5, inside.shape[0] - 0.5))
