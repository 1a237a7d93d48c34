"""Models predict: what they make of human text, their own and others'."""
