"""What goes wrong with a model, in one sentence that says what to do about it."""


class ModelError(ValueError):
    """A model that cannot be found, loaded or prompted as asked."""
