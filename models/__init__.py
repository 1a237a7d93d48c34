"""Running a language model: its weights, prompting, sampling, scoring, hidden states, fine-tuning.

Nothing here knows of Dagster or of the lake.
"""

from models.decoding import Decoding
from models.errors import ModelError
from models.loading import LanguageModel, ModelPool
from models.prompting import check_prompt_format, encode_prompt
from models.reading import Text
from models.sampling import Completion, Request, sample
from models.scoring import Scored, score
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
