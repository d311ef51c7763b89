"""Conclusions in words: does selection pay, how large is the error, do the intervals hold?"""

from __future__ import annotations

import pandas as pd

FEWEST_FORMS = 20
"""Fewest random forms for which 5 and 95 % quantiles mean something."""
BANDS = (
    (0.95, "Better than random forms"),
    (0.8, "Perhaps better than random forms"),
    (0.2, "No better than random forms"),
    (0.05, "No better than random forms, perhaps worse"),
    (0.0, "Worse than random forms"),
)
"""Least share of random forms with a larger error, and its headline."""
CERTAIN = 1.645
"""Standard errors that a gain or loss must exceed to be more than the choice of test models."""


def spread(values: pd.Series) -> dict:
    """Return the median of some errors and where they lie.

    Parameters
    ----------
    values : series, shape (n,)
        One number a random form.

    Returns
    -------
    dict
        `n`, `median`, `low`, `high`; the last two are the 5 and 95 % quantiles, or the range
        of fewer than `FEWEST_FORMS` values, which `few` says.
    """
    few = len(values) < FEWEST_FORMS
    low, high = (values.min(), values.max()) if few else values.quantile([0.05, 0.95])
    return {"n": len(values), "median": values.median(), "low": low, "high": high, "few": few}


def conclusions(row: dict) -> dict[str, str]:
    """Return what a benchmark's row of the first table means.

    Parameters
    ----------
    row : dict
        From `content.summary`.

    Returns
    -------
    dict
        `headline`, then the sentences `selection`, `error` and `intervals`.
    """
    headline, selection = _selection(row)
    return {
        "headline": headline,
        "selection": selection,
        "error": (
            f"The RMSE is {row['rmse']:.2f} points where full scores have a standard deviation of "
            f"{row['sd']:.1f}; Spearman's rank correlation of rebuilt and full scores is "
            f"{row['spearman']:.3f}."
        ),
        "intervals": _intervals(row),
    }


def _selection(row: dict) -> tuple[str, str]:
    """Say how the selected form does among random ones, as headline and sentence.

    What almost all random forms say is certain only where other test models would say so too.
    """
    beaten, n = row["beaten"], row["random"]["n"]
    if n < FEWEST_FORMS:
        return (
            "Too few random forms to judge",
            f"Its error is smaller than that of {round(beaten * n)} of {n} random forms of its "
            f"size; at least {FEWEST_FORMS} are needed (config key selection.random_forms).",
        )
    gain, se = row["gain"], row["gain_se"]
    band = next(place for place, (least, _) in enumerate(BANDS) if beaten >= least)
    if not abs(gain) > CERTAIN * se:
        band = min(max(band, 1), len(BANDS) - 2)
    by_chance = f"standard error {se:.2f}" if se == se else "of one group of models: by chance?"
    return BANDS[band][1], (
        f"Its error is smaller than that of {100 * beaten:.0f} % of {n} random forms of its size; "
        f"it errs {abs(gain):.2f} points {'less' if gain >= 0 else 'more'} than all of them "
        f"together ({by_chance})."
    )


def _intervals(row: dict) -> str:
    """Say whether the share of intervals that hold could be chance."""
    share, n, level = row["coverage"], row["test_subjects"], row["level"]
    low, high = plausible(share, n)
    return (
        f"{100 * share:.0f} % of {n} intervals hold: "
        f"{'consistent' if low <= level <= high else 'not consistent'} with {100 * level:.0f} % "
        f"(binomial 95 % interval {100 * low:.0f}-{100 * high:.0f} %)."
    )


def plausible(share: float, n: int) -> tuple[float, float]:
    """Return the exact binomial 95 % interval (Clopper-Pearson) of a share of n models."""
    from scipy.stats import binomtest

    interval = binomtest(round(share * n), n).proportion_ci()
    return float(interval.low), float(interval.high)
