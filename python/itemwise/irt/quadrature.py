"""Quadrature over the latent ability theta ~ N(mean, sd^2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 6.0
"""The grid spans [-6, 6], as mirt's does; N(0, 1) has 2e-9 of its mass outside."""

MIRT_POINTS = 61
FEWEST_POINTS = 11
LARGEST_GRID = 6001


@dataclass(frozen=True)
class Grid:
    """Equally spaced nodes with the normalised normal density as weights."""

    nodes: np.ndarray
    log_weights: np.ndarray

    @property
    def spacing(self) -> float:
        """Distance between neighbouring nodes."""
        return float(self.nodes[1] - self.nodes[0])


def normal_grid(n_points: int, mean: float = 0.0, sd: float = 1.0) -> Grid:
    """Return `n_points` equally spaced nodes on [-6, 6]; 61 is mirt's grid."""
    nodes = np.linspace(-LIMIT, LIMIT, n_points)
    log_density = -0.5 * ((nodes - mean) / sd) ** 2
    return Grid(nodes, log_density - np.logaddexp.reduce(log_density))


def doubled(n_points: int) -> int:
    """Return the number of points that halves the spacing."""
    return 2 * n_points - 1


def enough_points(posterior_sd: float) -> int:
    """Return an odd number of points whose spacing is at most a posterior's SD.

    The trapezoidal rule on a normal curve of standard deviation s with spacing h errs
    by 2 exp(-2 pi^2 s^2 / h^2), 5e-9 at h = s (Trefethen & Weideman 2014, SIAM Review
    56:385).
    """
    intervals = int(np.ceil(2 * LIMIT / posterior_sd / 2)) * 2
    return int(np.clip(intervals + 1, MIRT_POINTS, LARGEST_GRID))
