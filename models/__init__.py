"""Running a language model: where its weights come from, how it is prompted, how it is sampled.

Nothing here knows of Dagster or of the lake.
"""

from models.decoding import Decoding
from models.errors import ModelError
from models.loading import LanguageModel, ModelPool
from models.prompting import check_prompt_format, encode_prompt
from models.sampling import Completion, Request, sample
from models.scoring import Scored, Text, score
from models.sources import Source

__all__ = [
    "Completion",
    "Decoding",
    "LanguageModel",
    "ModelError",
    "ModelPool",
    "Request",
    "Scored",
    "Source",
    "Text",
    "check_prompt_format",
    "encode_prompt",
    "sample",
    "score",
]
