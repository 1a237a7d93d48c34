"""What the generations of a prompt share: alignments, and the anchor spans that they reveal."""
