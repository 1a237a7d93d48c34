"""`anchorlake schema`: the JSON Schema of study files, for editors."""

from __future__ import annotations

import json
import sys


def schema_command() -> None:
    """Print the JSON Schema of study files, by which editors complete and check them."""
    from assets.study.json_schema import study_schema

    sys.stdout.write(json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n")
