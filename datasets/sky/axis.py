"""Axes of maps other than the two of the sky: energy, offset from a source, energy migration."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from astropy import units as u

from ..arrays import frozen_array, is_concrete, set_fields
from ..errors import InputError
from ..hints.calls import hinted
from ..units import Given, number_in, parse_unit, to_unit, with_unit

Scale = Callable[[np.ndarray | float], np.ndarray]

Unit: TypeAlias = str | u.UnitBase

SCALES: dict[str, tuple[Scale, Scale]] = {
    "lin": (np.asarray, np.asarray),
    "log": (np.log, np.exp),
    "sqrt": (np.sqrt, np.square),
}
"""Scale and its inverse, by the name that files use: bins are halved and continued evenly in the scaled coordinate."""

NODE_TYPES = ("edges", "center")

MATCH = 1e-6
"""Largest relative difference between the nodes of two axes that are the same."""


class MapAxis:
    """A binned coordinate, given by the edges of its bins or by their centres.

    Parameters
    ----------
    nodes : increasing numbers or Quantity: (n + 1,) edges of n bins, or (n,) centres
    interp : "lin", "log" or "sqrt", the coordinate in which bins are even
    name : "energy", "energy_true", "rad", "migra" or any other
    unit : unit of plain numbers; Quantities are converted to it
    node_type : "edges" or "center"

    Centres of edges, and edges between centres, are halfway in the scaled coordinate; the outer edges of centres
    continue the first and the last step by a half (as in gammapy's axes). Immutable; raises InputError for nodes that
    are not finite and increasing, or not in the range of the scale.
    """

    __slots__ = ("interp", "name", "node_type", "nodes", "unit")

    nodes: np.ndarray
    interp: str
    name: str
    unit: u.UnitBase
    node_type: str

    def __init__(
        self, nodes: Given, interp: str = "lin", name: str = "", unit: Unit | None = None, node_type: str = "edges"
    ) -> None:
        what = f"MapAxis {name!r}" if name else "MapAxis"
        if interp not in SCALES:
            raise InputError(f"{what}: interp is {interp!r}, expected one of {', '.join(SCALES)}.")
        if node_type not in NODE_TYPES:
            raise InputError(f"{what}: node_type is {node_type!r}, expected one of {', '.join(NODE_TYPES)}.")
        given = parse_unit(unit, f"{what}: unit")
        nodes = with_unit(nodes, f"{what}: nodes")
        if isinstance(nodes, u.Quantity) and unit is None:
            given = nodes.unit
        numbers = to_unit(nodes, given, f"{what}: nodes")
        if numbers is None or not is_concrete(numbers):
            raise InputError(f"{what}: nodes must be numbers, found {nodes!r}.")
        # on the host, also those of JAX
        array: np.ndarray = frozen_array(np.asarray(numbers))
        least = 2 if node_type == "edges" else 1
        if array.ndim != 1 or array.size < least:
            raise InputError(
                f"{what}: a list of at least {'two edges' if least == 2 else 'one centre'} is needed, found shape "
                f"{array.shape}."
            )
        if not (np.all(np.isfinite(array)) and np.all(np.diff(array) > 0)):
            raise InputError(f"{what}: nodes must be finite and increasing, found {array}. Sort them.")
        if (interp == "log" and array[0] <= 0) or (interp == "sqrt" and array[0] < 0):
            raise InputError(
                f"{what}: nodes of a {interp} axis must {'be positive' if interp == 'log' else 'not be negative'}, "
                f"found {array[0]}. Use interp='lin'."
            )
        fields = {"nodes": array, "interp": interp, "name": str(name), "unit": given, "node_type": node_type}
        set_fields(self, fields)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"MapAxis is immutable; make a new one instead of setting {key}.")

    def __reduce__(self) -> tuple[type["MapAxis"], tuple[np.ndarray, str, str, u.UnitBase, str]]:
        return MapAxis, (self.nodes, self.interp, self.name, self.unit, self.node_type)

    @classmethod
    def from_edges(cls, edges: Given, interp: str = "lin", name: str = "", unit: Unit | None = None) -> "MapAxis":
        """Axis of the bins between ``edges`` (n + 1,)."""
        return cls(edges, interp, name, unit, "edges")

    @classmethod
    def from_nodes(cls, nodes: Given, interp: str = "lin", name: str = "", unit: Unit | None = None) -> "MapAxis":
        """Axis of bins around ``nodes`` (n,)."""
        return cls(nodes, interp, name, unit, "center")

    @classmethod
    def from_bounds(
        cls, low: Given, high: Given, nbin: int, interp: str = "lin", name: str = "", unit: Unit | None = None
    ) -> "MapAxis":
        """Axis of ``nbin`` bins between two bounds (Quantities or numbers), even in the scale ``interp``."""
        if interp not in SCALES:
            raise InputError(f"MapAxis: interp is {interp!r}, expected one of {', '.join(SCALES)}.")
        if not isinstance(nbin, int | np.integer) or nbin < 1:
            raise InputError(f"MapAxis: the number of bins must be a positive integer, found {nbin!r}.")
        what = f"MapAxis {name!r}"
        low, high = with_unit(low, f"{what}: low"), with_unit(high, f"{what}: high")
        own = high.unit if isinstance(high, u.Quantity) else None
        target = parse_unit(own if unit is None else unit, f"{what}: unit")
        first, last = number_in(low, target, f"{what}: low"), number_in(high, target, f"{what}: high")
        lowest = {"lin": -np.inf, "log": np.nextafter(0, 1), "sqrt": 0.0}[interp]
        if not lowest <= first < last < np.inf:
            raise InputError(
                f"MapAxis {name!r}: bounds must be finite, increasing and in the range of a {interp} axis, found {low} "
                f"and {high}."
            )
        scale, inverse = SCALES[interp]
        edges = inverse(np.linspace(scale(first), scale(last), int(nbin) + 1))
        # the bounds are what was asked for, to the last digit
        edges[0], edges[-1] = first, last
        return cls(edges, interp, name, target, "edges")

    @classmethod
    @hinted
    def from_energy_bounds(
        cls, energy_min: Given, energy_max: Given, nbin: int, per_decade: bool = False, name: str = "energy"
    ) -> "MapAxis":
        """Logarithmic energy axis in the unit of ``energy_max``; ``nbin`` is per decade (rounded up) if so asked."""
        what = f"MapAxis {name!r}"
        given = (with_unit(energy_min, f"{what}: energy_min"), with_unit(energy_max, f"{what}: energy_max"))
        for energy in given:
            if not isinstance(energy, u.Quantity) or not energy.isscalar or not energy.unit.is_equivalent("TeV"):
                raise InputError(f"{what}: bounds must be energies such as '0.5 TeV', found {energy}.")
        low, high = given
        if per_decade and 0 < low < high:
            nbin = int(np.ceil(np.log10((high / low).to_value("")) * nbin))
        return cls.from_bounds(low, high, nbin, "log", name)

    @property
    def nbin(self) -> int:
        """Number of bins."""
        return self.nodes.size - (self.node_type == "edges")

    @property
    def edges(self) -> u.Quantity:
        """Bin edges, (nbin + 1,). A single centre has none: InputError."""
        if self.node_type == "edges":
            return u.Quantity(self.nodes, self.unit)
        return u.Quantity(self._continued(np.arange(self.nbin + 1) - 0.5), self.unit)

    @property
    def center(self) -> u.Quantity:
        """Bin centres, (nbin,)."""
        if self.node_type == "center":
            return u.Quantity(self.nodes, self.unit)
        return u.Quantity(self._continued(np.arange(self.nbin) + 0.5), self.unit)

    @property
    def bin_width(self) -> u.Quantity:
        """Differences of the edges, (nbin,)."""
        return np.diff(self.edges)

    def pix_to_coord(self, pix: Given) -> u.Quantity:
        """Coordinate at a pixel number: bin ``i`` has its centre at ``i`` and its edges at ``i - 0.5``, ``i + 0.5``."""
        offset = 0.5 if self.node_type == "edges" else 0.0
        return u.Quantity(self._continued(np.asarray(to_unit(pix, "", "pix")) + offset), self.unit)

    def coord_to_pix(self, coord: Given) -> np.ndarray:
        """Pixel number of a coordinate (Quantity or number in the axis' unit), continued evenly outside the axis."""
        coord = np.asarray(to_unit(coord, self.unit, f"MapAxis {self.name!r}: coord"))
        offset = 0.5 if self.node_type == "edges" else 0.0
        self._check_wide()
        scaled = SCALES[self.interp][0](self.nodes)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = SCALES[self.interp][0](coord)
        return _line(value, scaled, np.arange(self.nodes.size, dtype=float)) - offset

    def _check_wide(self) -> None:
        if self.nodes.size == 1:
            raise InputError(f"MapAxis {self.name!r}: one centre alone has no bin width. Give the axis by its edges.")

    def _continued(self, index: np.ndarray) -> np.ndarray:
        """Coordinate at a fractional index into the nodes, linear in the scale, also beyond the outer nodes."""
        self._check_wide()
        scale, inverse = SCALES[self.interp]
        at = _line(index, np.arange(self.nodes.size, dtype=float), scale(self.nodes))
        if self.interp == "sqrt":
            at = np.maximum(at, 0.0)
        return inverse(at)

    def __eq__(self, other: object) -> bool:
        """Equal names (letter case aside), scales and node types, and nodes to `MATCH`, in whatever unit."""
        if not isinstance(other, MapAxis):
            return NotImplemented
        kind = (self.name.lower(), self.interp, self.node_type, self.nodes.size)
        if kind != (other.name.lower(), other.interp, other.node_type, other.nodes.size):
            return False
        if not other.unit.is_equivalent(self.unit):
            return False
        nodes = u.Quantity(other.nodes, other.unit).to_value(self.unit)
        size = float(np.max(np.abs(self.nodes)))
        return bool(np.allclose(nodes, self.nodes, rtol=MATCH, atol=1e-12 * size))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"MapAxis({self.name or 'unnamed'}: {self.nbin} {self.interp} bins, {self.node_type} from "
            f"{self.nodes[0]:.4g} to {self.nodes[-1]:.4g} {self.unit}".rstrip()
            + ")"
        )


def _line(x: np.ndarray, xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Linear interpolation, continued by the first and the last piece."""
    i = np.clip(np.searchsorted(xp, x) - 1, 0, xp.size - 2)
    slope = (fp[i + 1] - fp[i]) / (xp[i + 1] - xp[i])
    # exact at the nodes, from whichever side
    return np.where(np.asarray(x) == xp[i + 1], fp[i + 1], fp[i] + slope * (x - xp[i]))
