"""What a process has used."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path


def cpu_seconds() -> float:
    """Of this process so far, and of those that it ran."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_memory() -> float:
    """Of this process, so far; in bytes."""
    # On Linux `ru_maxrss` starts at what the process had that this one was started by.
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
