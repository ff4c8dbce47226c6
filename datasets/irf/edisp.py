"""Energy dispersion of one position."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels import edisp as kernels
from ...kernels.edisp import diagonal_response, gauss_shares, matrix_from_migration
from ...kernels.programs import Programs
from ...kernels.psf import nearest_valid
from ..arrays import Array, for_kernels, is_concrete, is_known
from ..errors import InputError
from ..hints.modules import HintedModule
from ..shown import Facts, Shown, number_text
from ..sky.geom import Direction, SkyGeom
from ..units import Given, edges_tev, kernel_numbers, require_not_negative, to_unit
from .formats import Filename, read_response, write_response

Matrix = Float[jax.Array, "n_true n_reco"]
"""Probability of each reconstructed energy bin, given a true one."""

TrueEdges = Float[Array, " n_true+1"]

RecoEdges = Float[Array, " n_reco+1"]


ROUNDING = 1e-9
"""Distance at which a migration is an edge."""

MOST = 1.5
"""Sum of the probabilities of a true energy above which it is no distribution; files of simulations may be above 1."""


class EDispKernel(Shown, HintedModule):
    """Probability of a reconstructed energy bin, given a true one: ``matrix`` has shape (n_true, n_reco).

    ``energy_true_edges`` (n_true + 1,) and ``energy_edges`` (n_reco + 1,), Quantities or TeV, are needed in files of
    its own only: a dataset has axes itself.
    """

    matrix: Float[Array, "n_true n_reco"]
    energy_true_edges: TrueEdges | None
    energy_edges: RecoEdges | None

    def __init__(
        self, matrix: Given, energy_true_edges: Given | None = None, energy_edges: Given | None = None
    ) -> None:
        self.matrix = to_unit(matrix, "", "EDispKernel: matrix")
        self.energy_true_edges, self.energy_edges = _edges_of(energy_true_edges, energy_edges)

    @property
    def facts(self) -> Facts:
        return _facts(np.shape(self.matrix), None, self.energy_true_edges, self.energy_edges)

    def __check_init__(self) -> None:
        if is_known(self.matrix):
            if self.matrix.ndim != 2:
                raise InputError(
                    f"EDispKernel: a matrix of shape (n_true, n_reco) is needed, found {self.matrix.shape}."
                )
            if not np.all(np.isfinite(self.matrix)) or np.any(self.matrix < 0):
                raise InputError(
                    "EDispKernel: the matrix has NaN, infinite or negative entries; probabilities are needed."
                )
            _check_edges(self, np.shape(self.matrix))
            _check_sums(self.matrix, "EDispKernel")

    @classmethod
    def from_diagonal_response(cls, energy_true_edges: Given, energy_edges: Given | None = None) -> "EDispKernel":
        """Perfect detector: share of each true bin in each reconstructed bin. Edges as Quantities or numbers in TeV."""
        true = edges_tev(energy_true_edges, "energy_true_edges")
        reco = true if energy_edges is None else edges_tev(energy_edges, "energy_edges")
        return cls(np.asarray(kernels.diagonal_response(np.asarray(true), np.asarray(reco))), true, reco)

    @classmethod
    def from_gauss(
        cls, energy_true_edges: Given, energy_edges: Given, sigma: Given, bias: Given = 0.0
    ) -> "EDispKernel":
        """Gaussian E_reco / E_true around 1 + bias with relative width sigma: numbers or percent, one or one a bin."""
        true, reco = edges_tev(energy_true_edges, "energy_true_edges"), edges_tev(energy_edges, "energy_edges")
        width, shift = to_unit(sigma, "", "sigma"), to_unit(bias, "", "bias")
        return cls(
            np.asarray(
                kernels.gauss_response(np.asarray(true), np.asarray(reco), np.asarray(width), np.asarray(shift))
            ),
            true,
            reco,
        )

    @classmethod
    def read(cls, filename: Filename, format: str = "ogip") -> "EDispKernel":
        """Read an RMF file ("ogip", which gammapy also calls "gadf"), or what the Fermi-LAT tool gtdrm makes ("gtdrm").

        Raises InputError for other files.
        """
        kernel: EDispKernel = read_response("EDispKernel", format, filename, None)
        return kernel

    def write(
        self,
        filename: Filename,
        overwrite: bool = False,
        format: str = "ogip",
        *,
        energy_true_edges: Given | None = None,
        energy_edges: Given | None = None,
    ) -> None:
        """Write an RMF file; ``format`` "ogip-sherpa" has energies in keV. The edges, if the kernel has none."""
        true, reco = _edges_of(energy_true_edges, energy_edges)
        edges = {"energy_true_edges": true, "energy_edges": reco}
        write_response("EDispKernel", format, self, filename, overwrite, **edges)

    def get_bias(self, energy_true_edges: Given, energy_edges: Given) -> np.ndarray:
        """(Mean E_reco - E_true) / E_true per true bin, (n_true,), with logarithmic centres of the bins.

        Edges are Quantities or TeV. NaN where no reconstructed bin is reached.
        """
        _, mean, centre = self._moments(energy_true_edges, energy_edges)
        return mean / centre - 1

    def get_resolution(self, energy_true_edges: Given, energy_edges: Given) -> np.ndarray:
        """Standard deviation of E_reco over E_true per true bin, (n_true,); as `get_bias`."""
        width, _, centre = self._moments(energy_true_edges, energy_edges)
        return width / centre

    def _moments(self, energy_true_edges: Given, energy_edges: Given) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Standard deviation and mean of E_reco, and the centre, of each true bin."""
        given = (edges_tev(energy_true_edges, "energy_true_edges"), edges_tev(energy_edges, "energy_edges"))
        true, reco = (np.sqrt(np.asarray(e)[:-1] * np.asarray(e)[1:]) for e in given)
        matrix = np.asarray(self.matrix)
        if matrix.shape != (true.size, reco.size):
            raise InputError(
                f"EDispKernel: the matrix has shape {matrix.shape}, and the edges are those of {true.size} true and "
                f"{reco.size} reconstructed bins."
            )
        norm = matrix.sum(axis=1)
        shares = matrix / np.where(norm > 0, norm, np.nan)[:, None]
        mean = shares @ reco
        return np.sqrt(np.sum(shares * (reco - mean[:, None]) ** 2, axis=1)), mean, true


class EDispKernelMap(Shown, HintedModule):
    """Matrices of the energy dispersion at a grid of positions.

    ``geom``: `SkyGeom` of the grid, or None for one matrix everywhere. ``values``: (n_true, n_reco, y, x), the
    probability of a reconstructed bin given a true one. ``exposure``: (n_true, y, x), Quantity or cm2 s, for stacking.
    A source takes the matrix of the pixel it lies in. Edges of energies as in `EDispKernel`.
    """

    geom: SkyGeom | None
    values: Float[Array, "n_true n_reco y x"]
    exposure: Float[Array, "n_true y x"] | None
    energy_true_edges: TrueEdges | None
    energy_edges: RecoEdges | None

    def __init__(
        self,
        geom: SkyGeom | None,
        values: Given,
        exposure: Given | None = None,
        energy_true_edges: Given | None = None,
        energy_edges: Given | None = None,
    ) -> None:
        self.geom, self.values = geom, to_unit(values, "", "EDispKernelMap values")
        self.exposure = to_unit(exposure, "cm2 s", "EDispKernelMap exposure")
        self.energy_true_edges, self.energy_edges = _edges_of(energy_true_edges, energy_edges)

    @property
    def facts(self) -> Facts:
        return _facts(np.shape(self.values), self.geom, self.energy_true_edges, self.energy_edges)

    def __check_init__(self) -> None:
        _check_values(self, "(n_true, n_reco, y, x)")
        _check_sums(self.values, "EDispKernelMap")
        _check_edges(self, np.shape(self.values)[:2])

    @classmethod
    def from_kernel(cls, kernel: EDispKernel) -> "EDispKernelMap":
        """One matrix for all positions."""
        edges = kernel.energy_true_edges, kernel.energy_edges
        return cls(None, np.asarray(kernel.matrix)[..., None, None], None, *edges)

    @classmethod
    def from_diagonal_response(cls, energy_true_edges: Given, energy_edges: Given | None = None) -> "EDispKernelMap":
        """Perfect detector, see `EDispKernel.from_diagonal_response`."""
        return cls.from_kernel(EDispKernel.from_diagonal_response(energy_true_edges, energy_edges))

    @classmethod
    def from_gauss(
        cls, energy_true_edges: Given, energy_edges: Given, sigma: Given, bias: Given = 0.0
    ) -> "EDispKernelMap":
        """Gaussian E_reco / E_true, see `EDispKernel.from_gauss`."""
        return cls.from_kernel(EDispKernel.from_gauss(energy_true_edges, energy_edges, sigma, bias))

    @classmethod
    def read(cls, filename: Filename, format: str = "gadf", hdu: str | None = None) -> "EDispKernelMap | EDispMap":
        """Read a file of gammapy's ("gadf"), from the HDU EDISP or another; or of the Fermi-LAT tool gtdrm ("gtdrm").

        As in gammapy the file says what it is: an `EDispMap` if it holds migration tables. Raises InputError for other
        files.
        """
        edisp: EDispKernelMap | EDispMap = read_response("EDispKernelMap", format, filename, hdu)
        return edisp

    def write(
        self,
        filename: Filename,
        overwrite: bool = False,
        *,
        energy_true_edges: Given | None = None,
        energy_edges: Given | None = None,
    ) -> None:
        """Write a file that gammapy reads, in its GADF form. The edges, if the map has none."""
        true, reco = _edges_of(energy_true_edges, energy_edges)
        write_response("EDispKernelMap", "gadf", self, filename, overwrite, energy_true_edges=true, energy_edges=reco)

    def matrix_at(self, vector: Direction, energy_true_edges: TrueEdges, energy_edges: RecoEdges) -> Matrix:
        """Matrix (n_true, n_reco) at an ICRS unit vector; of the nearest pixel with one where its own is empty."""
        return _nearest(self, vector)


class EDispMap(Shown, HintedModule):
    """Migration tables at a grid of positions.

    ``values``: (n_true, n_migra, y, x), dP / d(migra) with migra = E_reco / E_true, whose bins have ``migra_edges``.
    The rest as in `EDispKernelMap`.
    """

    geom: SkyGeom | None
    energy_true_edges: TrueEdges
    migra_edges: Float[Array, " n_migra+1"]
    values: Float[Array, "n_true n_migra y x"]
    exposure: Float[Array, "n_true y x"] | None

    def __init__(
        self,
        geom: SkyGeom | None,
        energy_true_edges: Given,
        migra_edges: Given,
        values: Given,
        exposure: Given | None = None,
    ) -> None:
        self.geom, self.values = geom, to_unit(values, "", "EDispMap values")
        self.energy_true_edges = edges_tev(energy_true_edges, "energy_true_edges")
        self.migra_edges = to_unit(migra_edges, "", "migra_edges")
        self.exposure = to_unit(exposure, "cm2 s", "EDispMap exposure")

    @property
    def facts(self) -> Facts:
        found = _facts(np.shape(self.values), self.geom, self.energy_true_edges, None, "migrations")
        return {**found, "E_reco / E_true": _range(self.migra_edges)}

    def __check_init__(self) -> None:
        _check_values(self, "(n_true, n_migra, y, x)")
        _check_migration(self.migra_edges)
        expected = (np.size(self.energy_true_edges) - 1, np.size(self.migra_edges) - 1)
        if np.shape(self.values)[:2] != expected:
            raise InputError(
                f"EDispMap: values have shape {np.shape(self.values)}, expected {expected[0]} true energies and "
                f"{expected[1]} migrations, as its edges say."
            )
        if is_known(self.values) and is_known(self.migra_edges):
            _check_sums(self.values * np.diff(self.migra_edges)[:, None, None], "EDispMap")

    @classmethod
    def from_diagonal_response(cls, energy_true_edges: Given, migra_edges: Given | None = None) -> "EDispMap":
        """Perfect detector: all in the bin of migrations that holds 1, by default one within 1e-5 / 3 of it.

        Where 1 is an edge, the two bins next to it share alike.
        """
        true = edges_tev(energy_true_edges, "energy_true_edges")
        if migra_edges is None:
            migra_edges = np.linspace(1 - 1e-5, 1 + 1e-5, 4)
        migra = np.asarray(to_unit(migra_edges, "", "migra_edges"))
        _check_migration(migra)
        holds = (migra[:-1] <= 1 + ROUNDING) & (migra[1:] >= 1 - ROUNDING)
        if not holds.any():
            raise InputError(f"EDispMap: migra_edges from {migra[0]:g} to {migra[-1]:g} do not hold 1.")
        density = holds / holds.sum() / np.diff(migra)
        return cls(None, true, migra, np.tile(density[:, None, None], (true.size - 1, 1, 1, 1)))

    @classmethod
    def from_gauss(cls, energy_true_edges: Given, migra_edges: Given, sigma: Given, bias: Given = 0.0) -> "EDispMap":
        """Gaussian E_reco / E_true around 1 + bias with relative width sigma: numbers or percent, one or one a bin."""
        true = edges_tev(energy_true_edges, "energy_true_edges")
        migra = np.asarray(to_unit(migra_edges, "", "migra_edges"))
        width, shift = to_unit(sigma, "", "sigma"), to_unit(bias, "", "bias")
        if not np.all(np.asarray(width) > 0):
            raise InputError(
                f"EDispMap: sigma must be positive, found {np.min(width)}. Use edisp=None for a perfect one."
            )
        _check_migration(migra)
        width, shift = (np.broadcast_to(x, true.size - 1) for x in (width, shift))
        shares = gauss_shares(for_kernels(migra), for_kernels(width), for_kernels(shift))
        return cls(None, true, migra, (np.asarray(shares) / np.diff(migra))[..., None, None])

    @classmethod
    def read(cls, filename: Filename, hdu: str | None = None) -> "EDispKernelMap | EDispMap":
        """Read a file of gammapy's; as `EDispKernelMap.read`."""
        edisp: EDispKernelMap | EDispMap = read_response("EDispMap", "gadf", filename, hdu)
        return edisp

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write a file that gammapy reads, in its GADF form."""
        write_response("EDispMap", "gadf", self, filename, overwrite)

    def matrix_at(self, vector: Direction, energy_true_edges: TrueEdges, energy_edges: RecoEdges) -> Matrix:
        """Matrix (n_true, n_reco) at an ICRS unit vector, for reconstructed bins of these edges (TeV)."""
        density = _nearest(self, vector)
        true = kernel_numbers(energy_true_edges, "TeV", "energy_true_edges")
        reco = kernel_numbers(energy_edges, "TeV", "energy_edges")
        return matrix_from_migration(density, jnp.asarray(self.migra_edges), jnp.asarray(true), jnp.asarray(reco))

    def to_kernel_map(self, energy_edges: Given) -> EDispKernelMap:
        """Matrices for reconstructed bins of these edges, at all positions."""
        edges = np.asarray(edges_tev(energy_edges, "energy_edges"))
        true, migra = np.asarray(self.energy_true_edges), np.asarray(self.migra_edges)
        shape = np.shape(self.values)
        flat = np.moveaxis(np.asarray(self.values), (0, 1), (-2, -1)).reshape(-1, *shape[:2])
        planes = np.asarray(_matrices(flat, migra, true, edges))
        values = np.moveaxis(planes.reshape(*shape[2:], shape[0], -1), (-2, -1), (0, 1))
        return EDispKernelMap(self.geom, values, self.exposure, true, edges)


_matrices = Programs(jax.vmap(matrix_from_migration, in_axes=(0, None, None, None)))

EDisp = EDispKernel | EDispKernelMap | EDispMap


def matrix_at(edisp: EDisp | None, vector: Direction, energy_true_edges: TrueEdges, energy_edges: RecoEdges) -> Matrix:
    """Response (n_true, n_reco) at an ICRS unit vector; that of a perfect detector without ``edisp``. Edges in TeV."""
    if edisp is None:
        return diagonal_response(jnp.asarray(energy_true_edges), jnp.asarray(energy_edges))
    if isinstance(edisp, EDispKernel):
        return jnp.asarray(edisp.matrix)
    return edisp.matrix_at(vector, energy_true_edges, energy_edges)


def _nearest(edisp: EDispKernelMap | EDispMap, vector: Direction) -> Float[jax.Array, "n_true n_values"]:
    values = jnp.asarray(edisp.values)
    vector = kernel_numbers(vector, "", "vector")
    if edisp.geom is None:
        return values[..., 0, 0]
    x, y = edisp.geom.vector_to_pixel(vector)
    ix, iy, _ = nearest_valid(jnp.any(values > 0, axis=(0, 1)), x, y)
    return values[..., iy, ix]


def _check_migration(edges: Array) -> None:
    if np.ndim(edges) != 1 or np.size(edges) < 2:
        raise InputError(f"EDispMap: migra_edges need at least two in a list, found shape {np.shape(edges)}.")
    if is_concrete(edges) and not (np.all(np.isfinite(edges)) and np.min(edges) >= 0 and np.all(np.diff(edges) > 0)):
        raise InputError(f"EDispMap: migra_edges must be at least 0, finite and increasing, found {edges}.")


def _check_sums(probabilities: Array, name: str) -> None:
    """Raise an `InputError` if more than all events of a true energy are reconstructed: (n_true, n, ...)."""
    if not is_known(probabilities) or not probabilities.size:
        return
    sums = probabilities.sum(axis=1)
    if np.max(sums) > MOST:
        row = int(np.unravel_index(np.argmax(sums), sums.shape)[0])
        raise InputError(
            f"{name}: the probabilities of true-energy bin {row} add up to {np.max(sums):.6g}, expected at most 1. "
            "Normalise them; an effective area belongs into the exposure."
        )


def _facts(
    shape: tuple[int, ...], geom: SkyGeom | None, true: Array | None, reco: Array | None, kind: str = "energies"
) -> Facts:
    """What is shown of an energy dispersion."""
    size = "one position" if geom is None else f"{' x '.join(map(str, geom.shape))} positions"
    found = {"": f"{shape[0]} true energies, {shape[1]} {kind}, {size}"}
    edges = {"energy_true": true, "energy": reco}
    return found | {name: f"{_range(e)} TeV" for name, e in edges.items() if e is not None}


def _range(edges: Array) -> str:
    return f"{number_text(edges[0])} to {number_text(edges[-1])}"


def _edges_of(true: Given | None, reco: Given | None) -> tuple[TrueEdges | None, RecoEdges | None]:
    """Edges in TeV, where they are given."""
    return (
        None if true is None else edges_tev(true, "energy_true_edges"),
        None if reco is None else edges_tev(reco, "energy_edges"),
    )


def _check_edges(edisp: EDispKernel | EDispKernelMap, shape: tuple[int, ...]) -> None:
    for name, edges, n in zip(
        ("energy_true_edges", "energy_edges"), (edisp.energy_true_edges, edisp.energy_edges), shape, strict=True
    ):
        if edges is not None and np.shape(edges) != (n + 1,):
            raise InputError(
                f"{type(edisp).__name__}: found {np.size(edges) - 1} bins in {name}, expected {n}, as the matrix has."
            )


def _check_values(edisp: EDispKernelMap | EDispMap, axes: str) -> None:
    name = type(edisp).__name__
    shape = np.shape(edisp.values)
    pixels = (1, 1) if edisp.geom is None else edisp.geom.shape
    if len(shape) != 4 or shape[2:] != pixels:
        raise InputError(f"{name}: values have shape {shape}, expected {axes} with (y, x) = {pixels}.")
    wanted = (shape[0], *pixels)
    if edisp.exposure is not None and np.shape(edisp.exposure) != wanted:
        raise InputError(
            f"{name}: the exposure has shape {np.shape(edisp.exposure)}, expected {wanted}: (n_true, y, x)."
        )
    if edisp.exposure is not None:
        require_not_negative(edisp.exposure, f"{name}: exposure")
    if is_concrete(edisp.values):
        bad = ~np.isfinite(edisp.values) | (np.asarray(edisp.values) < 0)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{name}: values must be finite and not negative, found {np.asarray(edisp.values)[first]} at {axes} = "
                f"{first}. Set them to 0 where there is no exposure."
            )


def edisp_at(edisp: EDisp | None, vector: Direction) -> EDisp | None:
    """An energy dispersion (or None) that is everywhere that of an ICRS unit vector."""
    if edisp is None or isinstance(edisp, EDispKernel) or edisp.geom is None:
        return edisp
    x, y, _ = nearest_valid(jnp.any(jnp.asarray(edisp.values) > 0, axis=(0, 1)), *edisp.geom.vector_to_pixel(vector))
    at = slice(int(y), int(y) + 1), slice(int(x), int(x) + 1)
    values = np.asarray(edisp.values)[(..., *at)]
    exposure = None if edisp.exposure is None else np.asarray(edisp.exposure)[(..., *at)]
    if isinstance(edisp, EDispKernelMap):
        return EDispKernelMap(None, values, exposure)
    return EDispMap(None, edisp.energy_true_edges, edisp.migra_edges, values, exposure)
