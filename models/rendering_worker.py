"""A process that renders chat templates: who wrote one decides neither how long nor how large.

A template is a program. The sandbox that transformers runs it in keeps it from files and from the
interpreter, and lets it run and grow for ever; here both have an end, that of this process at the
worst. It is told what to render, a JSON object a line, and answers in the same way.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from contextlib import suppress

MEMORY = 1 << 30
"""Bytes that the process may take beside the libraries that it has loaded."""


def main() -> None:
    """Answers until there is nothing more to render."""
    from transformers.utils.chat_template_utils import render_jinja_template

    with suppress(OSError, ValueError):  # not every system lets itself be limited
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for line in sys.stdin:
        asked = json.loads(line)
        # The alarm ends the process, whatever it is doing: no handler is set.
        signal.alarm(asked["seconds"])
        try:
            (text,), _ = render_jinja_template(**asked["arguments"])
            answer = {"text": text} if len(text) <= asked["most"] else {"too_long": len(text)}
        except MemoryError:
            answer = {"no_memory": True}
        except Exception as error:  # a template raises what it likes
            answer = {"error": [type(error).__name__, str(error)[:10_000]]}
        written = json.dumps(answer)
        signal.alarm(0)
        print(written, flush=True)


if __name__ == "__main__":
    main()
