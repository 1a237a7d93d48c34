"""What figures have in common: marks, style, pages, and the asset with its files."""
