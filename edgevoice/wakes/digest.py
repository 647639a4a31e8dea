"""Which model a score came from."""

import hashlib
from pathlib import Path

from edgevoice.config import Config
from edgevoice.engines.protocols import ModelPaths, WakeModel
from edgevoice.errors import EdgeVoiceError

DIGITS = 16
"""Of SHA-256: 64 bits tell the few models of a home apart."""
_CARD = ".json"


def digests(config: Config, words: list[WakeModel], store: ModelPaths) -> dict[str, str]:
    """By wake word: a digest of the files that its scores come from; a word's thresholds are not among them. Empty
    where a file cannot be read."""
    options = config.wake.chosen
    shared = getattr(options, "model", None)
    found = {}
    for word, name in zip(words, getattr(options, "models", ()), strict=False):
        try:
            content = [_digest(store.path(each)) for each in (shared, name) if each is not None]
        except (EdgeVoiceError, OSError):
            found[word.name] = ""
        else:
            found[word.name] = hashlib.sha256(b"".join(content)).hexdigest()[:DIGITS]
    return found


def _digest(path: Path) -> bytes:
    """Of a file, of all files of a folder, or of those that are called as the card."""
    if path.is_dir():
        files = [each for each in path.iterdir() if each.is_file()]
    elif path.suffix == _CARD:
        files = [each for each in path.parent.iterdir() if each.stem == path.stem]
    else:
        files = [path]
    made = hashlib.sha256()
    for file in sorted(each for each in files if each.suffix != _CARD):
        made.update(hashlib.sha256(file.read_bytes()).digest())
    return made.digest()
