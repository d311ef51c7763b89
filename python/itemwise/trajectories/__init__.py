"""Measures of models over their training: smoothed, judged, compared, correlated."""
