"""Tiny language models of a made-up world, trained on the spot: the demo."""
