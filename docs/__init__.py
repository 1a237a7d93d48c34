"""Pages for people; what in them the code declares is written by `docs.generate`."""
