"""PocketSphinx 5 with the American English model that its package brings."""

from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import AsrHint, Hypothesis
from edgevoice.engines.registry import require

TASK = "asr"
MODEL = ""
THREADS = False
OWN_THREADS = 1
STREAMS = True


def package() -> Any:
    return require("pocketsphinx")


def load(model: Path | None, threads: int) -> "PocketSphinx":
    """
    Args:
        model: a folder with ``en-us`` (the sounds), ``en-us.lm.bin`` and ``cmudict-en-us.dict``; None: the package's.
    """
    sphinx = package()
    options: dict[str, Any] = {"samprate": RATE, "loglevel": "ERROR"}
    if model is not None:
        options |= {
            "hmm": str(model / "en-us"),
            "lm": str(model / "en-us.lm.bin"),
            "dict": str(model / "cmudict-en-us.dict"),
        }
    return PocketSphinx(sphinx.Decoder(**options))


class PocketSphinx:
    """One session at a time: the decoder holds the state."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def open(self, hint: AsrHint | None = None) -> "PocketSphinxSession":
        return PocketSphinxSession(self._decoder)

    def close(self) -> None:
        self._decoder = None


class PocketSphinxSession:
    constrained = False

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        decoder.start_utt()

    def feed(self, audio: Audio) -> Hypothesis:
        self._decoder.process_raw(audio.samples.tobytes(), no_search=False, full_utt=False)
        return self._hypothesis()

    def pause(self, *, glance: bool = False) -> None:
        """Nothing is gained by it."""

    def finish(self) -> Hypothesis:
        self._decoder.end_utt()
        return self._hypothesis()

    def close(self) -> None:
        self._decoder = None

    def _hypothesis(self) -> Hypothesis:
        found = self._decoder.hyp()
        return Hypothesis(found.hypstr if found is not None else "")
