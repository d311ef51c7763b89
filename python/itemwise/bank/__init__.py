"""The portable bank of a distilled suite: its folder, and what it says of models.

`bank` reads, writes and scores; `model_scores`, `comparison` and `follow` work on the
evaluations of models; `power` says how many items a comparison needs.
"""
