"""Running a language model: its weights, prompting, sampling, scoring, hidden states, fine-tuning.

Nothing here knows of Dagster or of the lake.
"""

from models.decoding import Decoding
from models.distributions import Kept
from models.endings import Ending, Reasoning
from models.errors import ModelError
from models.loading import LanguageModel, ModelPool
from models.prompting import PromptFormat
from models.reading import Text
from models.sampling import Completion, Request, sample
from models.scoring import Scored, score
from models.sources.source import Source

__all__ = [
    "Completion",
    "Decoding",
    "Ending",
    "Kept",
    "LanguageModel",
    "ModelError",
    "ModelPool",
    "PromptFormat",
    "Reasoning",
    "Request",
    "Scored",
    "Source",
    "Text",
    "sample",
    "score",
]
