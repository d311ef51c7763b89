"""Distil LLM benchmark suites to the items that matter, and follow models with them."""
