"""The telescopes, the night and the source that ``gammajax demo`` simulates.

Everything is made of a few formulas with numbers typical of an array of four 12 m Cherenkov telescopes such as H.E.S.S.
(Aharonian et al. 2006, A&A 457, 899: some 1e5 m2 of effective area, an energy resolution of 15 %, several gamma rays a
minute from the Crab nebula). No instrument's data are used.
"""

from dataclasses import dataclass

import numpy as np

LIVETIME = 28 * 60.0

TRUTH = {"amplitude": 3.85e-11, "alpha": 2.5, "beta": 0.1}
"""Log parabola at 1 TeV, near the joint fit of Nigro et al. 2019 (A&A 625, A10)."""

START = {"amplitude": 1e-11, "alpha": 2.0, "beta": 0.0}


@dataclass(frozen=True)
class Run:
    """Pointing of one run: zenith angle and offset of the source from the centre of the field of view, in degrees."""

    name: str
    zenith: float
    offset: float

    @property
    def n_off(self) -> int:
        """Background regions on the ring around the pointing, less those too near to the source."""
        return max(int(2 * np.pi * self.offset / 0.33) - 3, 3)

    @property
    def area_threshold(self) -> float:
        """Energy (TeV) at which half of the showers are recorded: there is more air towards the horizon."""
        return 0.25 * np.cos(np.deg2rad(self.zenith)) ** -2.5

    @property
    def safe_threshold(self) -> float:
        """Energy (TeV) above which the energy scale is biased by less than 10 %."""
        return 0.9 * self.area_threshold


NIGHT = (
    Run("run-1", 46.0, 0.5),
    Run("run-2", 44.7, 0.5),
    Run("run-3", 45.2, 0.7),
    Run("run-4", 48.3, 0.5),
    Run("run-5", 52.6, 0.7),
    Run("run-6", 57.4, 1.0),
)
"""The Crab nebula passes the zenith of southern sites at some 45 degrees."""


def recorded_share(run: Run, energy: np.ndarray) -> np.ndarray:
    """Share of the showers that trigger and pass the cuts at ``energy`` (TeV): as E^2.2 far below the threshold."""
    return 1 / (1 + (run.area_threshold / energy) ** 2.2)


def effective_area(run: Run, energy: np.ndarray) -> np.ndarray:
    """Effective area in cm2: 3e5 m2 at high energies, more at large zenith angles, less off axis."""
    light_pool = 3e9 * np.cos(np.deg2rad(run.zenith)) ** -1.5
    return light_pool * np.exp(-((run.offset / 1.9) ** 2)) * recorded_share(run, energy)


def energy_resolution(run: Run, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative width and bias of the reconstructed energy: 15 % and none far above the threshold.

    Below it only showers that fluctuate upwards are recorded.
    """
    distance = energy / run.area_threshold
    return 0.14 + 0.06 / (1 + distance**2), 0.35 / (1 + (2 * distance) ** 1.8)


def background_rate(run: Run, energy: np.ndarray) -> np.ndarray:
    """Cosmic rays taken for gamma rays, in s-1 TeV-1 within the source region, at reconstructed ``energy`` (TeV).

    They follow the spectrum of cosmic rays, E^-2.7.
    """
    return 0.012 * energy**-2.7 * np.exp(-((run.offset / 2.2) ** 2)) * recorded_share(run, energy)
