"""What `dagster` and `dg` load: the study `$ANCHORLAKE_STUDY` (the demo) in `$ANCHORLAKE_LAKE`."""

import os
from pathlib import Path

from assets.study.study import load_study
from orchestration.build import build_defs
from warehouse import Lake

_DEMO = Path(__file__).parent.parent / "studies" / "demo.yaml"

defs = build_defs(
    load_study(Path(os.environ.get("ANCHORLAKE_STUDY", _DEMO))),
    Lake.at(os.environ.get("ANCHORLAKE_LAKE", "lake")),
)
