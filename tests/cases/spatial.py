"""Brute-force integrals over the sphere, and the shapes they are used on: the independent side of the spatial tests."""

import itertools

import numpy as np

RAD = np.pi / 180


def polar_rule(breaks, n_radial, n_angular):
    """Offsets x, y (deg) and solid angles (sr), shape (n_radial_total, n_angular), between radii ``breaks`` (deg).

    Gauss-Legendre in a variable that crowds nodes at both ends of every piece, where profiles have roots or edges.
    """
    radii, weights = [], []
    nodes, weight = np.polynomial.legendre.leggauss(n_radial)
    s = (nodes + 1) / 2
    for low, high in itertools.pairwise(breaks):
        radii.append(low + (high - low) * s * s * (3 - 2 * s))
        weights.append(weight / 2 * (high - low) * 6 * s * (1 - s))
    radius, weight = np.concatenate(radii), np.concatenate(weights)
    angle = 2 * np.pi * np.arange(n_angular) / n_angular
    omega = (weight * RAD * np.sin(radius * RAD))[:, None] * np.full(n_angular, 2 * np.pi / n_angular)
    return radius[:, None] * np.sin(angle), radius[:, None] * np.cos(angle), omega


def axes_of(parameters, size):
    """Radii where an elongated shape has its half axes."""
    minor = parameters[size] * np.sqrt(1 - parameters.get("e", 0.0) ** 2)
    return sorted({minor, parameters[size]})


def breaks_of(tag, parameters):
    """Radii between which the profile of a model is smooth (nearly, for elongated ones), out to where it has ended."""
    if tag == "gauss":
        sigma = parameters["sigma"]
        return sorted({0.0, *(min(180.0, step * sigma) for step in (1, 4, 11))})
    if tag == "disk":
        width = parameters["edge_width"]
        marks = [r * s for r in axes_of(parameters, "r_0") for s in (max(1 - 5 * width, 0.3), 1.0, 1 + 5 * width)]
        return sorted({0.0, *marks, 1.01 * max(marks)})
    if tag == "gauss-general":
        steps = np.array([0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 38]) ** parameters["eta"]
        return sorted({0.0, *(r * s for r in axes_of(parameters, "r_0") for s in steps)})
    if tag == "shell":
        return sorted({0.0, parameters["radius"], parameters["radius"] + parameters["width"]})
    return [0.0, (1 - parameters["eta"]) * parameters["r_0"], parameters["r_0"]]


# Parameters that span what is met: tiny and large, round and elongated, sharp and soft.
SHAPES = [
    ("gauss", {"sigma": 0.3, "e": 0.0}),
    ("gauss", {"sigma": 1e-3, "e": 0.8, "phi": 40.0}),
    ("gauss", {"sigma": 8.0, "e": 0.9, "phi": -60.0}),
    ("gauss", {"sigma": 60.0, "e": 0.0}),
    ("disk", {"r_0": 0.5, "edge_width": 0.01, "e": 0.0}),
    ("disk", {"r_0": 3.0, "edge_width": 0.2, "e": 0.7, "phi": 25.0}),
    ("disk", {"r_0": 10.0, "edge_width": 1.0, "e": 0.5, "phi": 120.0}),
    ("gauss-general", {"r_0": 0.3, "eta": 0.5, "e": 0.0}),
    ("gauss-general", {"r_0": 0.4, "eta": 1.0, "e": 0.0}),
    ("gauss-general", {"r_0": 1.0, "eta": 0.05, "e": 0.0}),
    ("gauss-general", {"r_0": 2.0, "eta": 0.77, "e": 0.6, "phi": 10.0}),
    ("shell", {"radius": 0.5, "width": 0.1}),
    ("shell", {"radius": 0.0, "width": 1.0}),
    ("shell", {"radius": 1.0, "width": 1e-4}),
    ("shell", {"radius": 12.0, "width": 3.0}),
    ("shell2", {"r_0": 0.6, "eta": 0.02}),
    ("shell2", {"r_0": 0.6, "eta": 1.0}),
]
