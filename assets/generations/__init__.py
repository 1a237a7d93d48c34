"""Models act: samples of every prompt."""
