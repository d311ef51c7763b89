"""Words of the report that not everybody knows; the page links them where they occur."""

from __future__ import annotations

GLOSSARY = {
    "rmse": (
        "RMSE, MAE, SE",
        "Root mean squared and mean absolute difference between rebuilt and full scores, in points "
        "from 0 to 100. SE is the standard error of the RMSE: how far it would move with other "
        "test models.",
    ),
    "random-form": (
        "random form",
        "As many items as the selected form has, drawn at random and read out in the same way. "
        "What a selection is worth shows in comparison with these.",
    ),
    "read-out": (
        "read-out",
        "The reconstruction model: the regression that turns the answers to a form into a full "
        "score with an interval. It is fitted to training models.",
    ),
    "process": (
        "Gaussian process",
        "A reconstruction model: the score that the calibrated items imply, corrected by the "
        "full scores of the training models that answer most nearly alike. Its interval is wide "
        "where there are none.",
    ),
    "linear-predictor": (
        "linear predictor",
        "A weighted sum of the answers to the form, one weight an item (ridge regression).",
    ),
    "sub-score": ("sub-score", "The share of right answers to the form, in points."),
    "interval": (
        "interval, covered",
        "A prediction interval of 90 % should hold the full score of 90 % of all unseen models "
        "that are like the training models. Covered is the share of test models for which it does.",
    ),
    "ability": (
        "ability (theta)",
        "Where a model stands on the one scale that explains its answers best. The unit is the "
        "standard deviation of the training models, whose mean is 0.",
    ),
    "information": (
        "information",
        "How precisely items measure ability, 1 / (standard error)², at each ability. It adds up "
        "over items.",
    ),
    "slope": (
        "slope a, intercept d",
        "P(right) = g + (u - g) / (1 + exp(-(a theta + d))). A steep slope tells models just below "
        "and just above one ability apart. Beyond 8 the curve is almost a step, and the estimate "
        "rests on few models. A negative slope means that better models fail more often: look at "
        "the item, its key may be wrong.",
    ),
    "asymptote": (
        "asymptotes g, u",
        "Chance of a right answer for the weakest and for the strongest models. At a bound: the "
        "estimate stopped at the end of the allowed range, so that the data say little about it.",
    ),
    "item-total": (
        "item-total correlation",
        "Correlation of the answers to one item with the score on all others.",
    ),
    "exposure": (
        "exposure, overlap",
        "Share of tests that ask the item asked most, and share of the items that two tests "
        "have in common.",
    ),
    "factors": (
        "variance, RMSEA, TLI, CFI, RMSR",
        "Factor analysis: the share of variance that each factor explains, and indices of how well "
        "so few factors fit. Usual signs of a good fit: RMSEA below 0.06, TLI and CFI above 0.95.",
    ),
    "engine": (
        "engine, reference",
        "The program that calibrates the items: the native one, or mirt, an R package, to compare.",
    ),
}
"""Anchor to the words and what they mean."""
