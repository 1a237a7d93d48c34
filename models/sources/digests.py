"""What tells weights from any others, without loading them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from models.errors import ModelError
from models.files import remembered

if TYPE_CHECKING:
    from models.files import File

_SAMPLED = 1 << 20
"""Bytes read at the start, the middle and the end of a weights file to tell it from another."""


def digest_text(text: str) -> str:
    """32 hexadecimal digits that tell a text from any other."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@remembered
def digest_files(files: tuple[File, ...]) -> str:
    """Digests names, sizes and content; of large files only samples of it, to stay fast."""
    digest = hashlib.sha256()
    for path, size, _, _ in files:
        digest.update(f"{path.name}\x1f{size}\x1f".encode())
        try:
            with path.open("rb") as file:
                if size <= 3 * _SAMPLED or path.suffix not in (".gguf", ".safetensors", ".bin"):
                    digest.update(file.read())
                else:
                    for offset in (0, (size - _SAMPLED) // 2, size - _SAMPLED):
                        file.seek(offset)
                        digest.update(file.read(_SAMPLED))
        except OSError as error:  # such as of a training run that deletes its older checkpoints
            raise ModelError(
                f"{path} cannot be read: {error.strerror}; see what changes it"
            ) from error
    return digest.hexdigest()[:32]
