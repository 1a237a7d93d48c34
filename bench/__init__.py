"""Measured comparisons; each prints a ratio."""
