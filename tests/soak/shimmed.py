"""Runs a study under the shim: `python -m tests.soak.shimmed FOLDER SHIM SEED FAULTS`.

It prints a line for each fault: the error's name, a colon, and what the run said of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2"}

from models import ModelPool
from tests.soak.lakes import few_assets, materialize_all

_WRITES = 60
"""A fault comes within so many writes of where a run begins or goes on."""


def main(folder: Path, shim: str, seed: int, n_faults: int) -> None:
    """Has writes fail at seeded moments, once or for as long as the run lasts, and goes on."""
    library = ctypes.CDLL(shim)
    moments = random.Random(seed)
    study, lake = folder / "s.yaml", folder / "lake"
    pool = ModelPool()
    with few_assets():
        while n_faults:
            number = moments.choice((errno.EIO, errno.ENOSPC))
            count = moments.choice((1, 1 << 40))  # a bad sector, or a full disk
            library.shim_arm(
                os.fsencode(lake),
                ctypes.c_long(moments.randrange(_WRITES)),
                ctypes.c_long(count),
                number,
            )
            said = ""
            try:
                materialize_all(study, lake, pool)
            except Exception as error:
                said = f"{type(error).__name__}: {error}".replace("\n", " ")
            was_hit = library.shim_left() != count
            library.shim_arm(b"", ctypes.c_long(0), ctypes.c_long(0), 0)
            if was_hit:
                n_faults -= 1
                print(f"{errno.errorcode[number]}: {said}", flush=True)
            elif not said:
                break  # all is there
            else:
                raise RuntimeError(said)
        materialize_all(study, lake, pool)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
