"""The portable bank of a distilled suite: its folder, and what it says of models.

`folder` reads and writes it, `bank` scores; `model_scores`, `comparison` and `follow` work on the
evaluations of models; `power` says how many items a comparison needs.
"""
