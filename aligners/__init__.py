"""Multiple sequence alignment of texts; a library of its own, which knows nothing of the rest.

`open_aligner` gives an `Aligner` by its name: `anchorlake`, which is built in, or `mafft`, which
runs the program of that name.
"""

from aligners.aligner import Aligner, open_aligner
from aligners.anchorlake import WordsFirst
from aligners.errors import AlignerError, NotInstalledError
from aligners.mafft import Mafft

__all__ = [
    "Aligner",
    "AlignerError",
    "Mafft",
    "NotInstalledError",
    "WordsFirst",
    "open_aligner",
]
