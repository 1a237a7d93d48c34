"""Bad input, in one sentence that says what to do about it."""


class InputError(ValueError):
    """A study, or a file that it names, that cannot be used as it is."""
