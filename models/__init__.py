"""Running a language model: its weights, prompting, sampling, scoring, hidden states, fine-tuning.

Nothing here knows of Dagster or of the lake.
"""

import os

# PyTorch's threads otherwise spin while they wait for each other, at every operation. Beside
# another process one of them is often not running, and small operations take many times as long.
# OpenMP reads this once, when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from models.completions import Completion, Request
from models.decoding import Cautious, Decoding, Rules
from models.distributions import Kept
from models.endings import Ending, Reasoning
from models.errors import ModelError
from models.language_model import LanguageModel
from models.pool import ModelPool
from models.prompting import PromptFormat
from models.reading import Text
from models.sampling import sample
from models.scoring import Scored, score
from models.sources.source import Source

__all__ = [
    "Cautious",
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
    "Rules",
    "Scored",
    "Source",
    "Text",
    "sample",
    "score",
]
