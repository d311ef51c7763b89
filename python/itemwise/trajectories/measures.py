"""Judge trajectories: variation, monotonicity, gain, saturation."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from itemwise.adaptive.checkpoints import monotonicity, total_variation
from itemwise.trajectories.axis import Axis
from itemwise.trajectories.gather import NORMAL
from itemwise.trajectories.smooth import LEVEL, Curve

DRAWS = 400
"""Draws behind the intervals of variation and saturation."""
SATURATED = 0.9
"""Share of the gain after which a trajectory counts as saturated."""
PER = {"tokens": ("gain_per_billion_tokens", 1e9), "step": ("gain_per_thousand_steps", 1e3)}
GRID = 200
"""Positions on which saturation is looked for."""


def summarize(
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None,
    curve: Curve | None,
    axis: Axis,
    rng: np.random.Generator,
) -> list[tuple[str, float, float, float]]:
    """Return (measure, value, lower, upper) of one trajectory; bounds null where not known.

    Parameters
    ----------
    x, y : array, shape (n,)
        Positions in ascending order, and values.
    error : array, shape (n,), or None
        Standard errors.
    curve : Curve or None
        The smoothed trajectory; None where there are too few checkpoints.
    axis : Axis
    rng : generator
    """
    none = float("nan")
    rows = [
        ("total_variation", float(np.abs(np.diff(y)).sum()) if len(y) > 1 else none, none, none),
        ("total_variation_relative", total_variation(y), none, none),
        ("monotonicity", monotonicity(y), none, none),
    ]
    if curve is None:
        return rows
    if error is not None:
        rows.append(("total_variation_corrected", *corrected_variation(x, y, error, curve, rng)))
        rows.append(("scatter", curve.phi, none, none))
    final = float(np.clip(curve.mean([curve.high])[0], *curve.bounds))
    low, high = curve.band([curve.high])
    rows.append(("final", final, float(low[0]), float(high[0])))
    rows.append(("gain", *_difference(curve, curve.low, curve.high, 1.0)))
    start = max(curve.low, curve.high - 1)
    rows.append(("gain_per_tenfold", *_difference(curve, start, curve.high, curve.high - start)))
    name, unit = PER[axis.name]
    last = 10**curve.high
    half = max(curve.low, float(np.log10(last / 2)))
    rows.append((name, *_difference(curve, half, curve.high, (last - 10**half) / unit)))
    rows.append(("saturation", *saturation(curve, axis, rng)))
    return rows


def corrected_variation(
    x: np.ndarray, y: np.ndarray, error: np.ndarray, curve: Curve, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the total variation less what errors of measurement add, with its interval.

    An error of measurement adds E|d + e| - |d| to each step d, e ~ N(0, s^2). With d of
    the smoothed curve, and s^2 = min(phi, 1)(se_t^2 + se_t+1^2): scatter beyond the stated
    errors is the run's own and stays. The interval is that of repeated measurement.
    """
    share = min(curve.phi, 1.0)
    centre = curve.mean(x)
    step = np.diff(centre)
    spread = np.sqrt(share * (error[1:] ** 2 + error[:-1] ** 2))
    raw = np.abs(np.diff(y)).sum()
    value = float(raw - (folded_mean(step, spread) - np.abs(step)).sum())
    noise = rng.standard_normal((DRAWS, len(x))) * error * np.sqrt(share)
    repeated = np.abs(np.diff(centre + noise, axis=1)).sum(axis=1)
    half = NORMAL * float(repeated.std(ddof=1))
    return max(value, 0.0), max(value - half, 0.0), max(value + half, 0.0)


def folded_mean(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return E|X| of X ~ N(mean, sd^2) (the folded normal; Leone et al. 1961)."""
    ratio = mean / sd
    return sd * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + mean * erf(ratio / np.sqrt(2))


def saturation(curve: Curve, axis: Axis, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return from where on the curve keeps `SATURATED` of its gain, and its interval.

    In tokens or steps; null where the gain cannot be told from none.
    """
    gain, low, high = _difference(curve, curve.low, curve.high, 1.0)
    if not np.isfinite(gain) or low <= 0 <= high:
        return (float("nan"),) * 3
    at = np.linspace(curve.low, curve.high, GRID)
    drawn = _reached(curve.draws(at, DRAWS, rng))
    tail = (1 - LEVEL) / 2
    ends = np.quantile(drawn, [tail, 1 - tail], method="nearest")
    places = [_reached(curve.mean(at)[None])[0], *ends]
    value, lower, upper = axis.value(at[np.asarray(places, int)])
    return float(value), float(lower), float(upper)


def _reached(paths: np.ndarray) -> np.ndarray:
    """Return the first place from which on each path, a row, keeps its share of the gain."""
    share = (paths - paths[:, :1]) / (paths[:, -1:] - paths[:, :1])
    # The last place below the share, looked for from the end; the first is always below.
    return paths.shape[1] - np.argmax((share < SATURATED)[:, ::-1], axis=1)


def _difference(curve: Curve, start: float, end: float, over: float) -> tuple[float, float, float]:
    """Return the gain between two positions divided by `over`, and its interval."""
    value, se = curve.contrast(np.array([start, end]), np.array([-1.0, 1.0]) / over)
    half = curve.quantile() * se
    return value, value - half, value + half
