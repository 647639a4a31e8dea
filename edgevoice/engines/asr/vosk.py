"""Vosk: Kaldi's streaming recogniser, with any Vosk model and a list of phrases given at run time."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import AsrHint, Hypothesis, ModelPaths
from edgevoice.engines.registry import require
from edgevoice.errors import EngineError, ModelError

UNKNOWN = ("[unk]", "<unk>", "<UNK>")
"""How models call speech that is in none of the phrases; some have no word for it. It stays in a text that also has
words of a phrase, so that no such text is taken for the phrase alone."""
_LAYOUTS = (
    # What the two published layouts must have; each entry lists the alternatives.
    (("am/final.mdl",), ("conf/mfcc.conf",), ("graph/HCLG.fst", "graph/HCLr.fst")),
    (("final.mdl",), ("mfcc.conf",), ("HCLG.fst", "HCLr.fst")),
)
_log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(description="Name of the model, or the path of a Vosk model's directory.")] = (
        "vosk-small-en-us"
    )
    partials: Annotated[bool, msgspec.Meta(description="Give a partial text while somebody speaks.")] = True
    use_phrases: Annotated[
        bool, msgspec.Meta(description="Listen for the phrases of the intents alone, where there are any.")
    ] = True


class VoskEngine:
    """The model; see ``edgevoice.engines.protocols.AsrEngine``."""

    def __init__(self, package: Any, model: Any, options: Options) -> None:
        self._package = package
        self._model = model
        self.options = options

    def open(self, hint: AsrHint | None = None) -> "VoskSession":
        """A session for one utterance.

        With phrases in the hint, only those are recognised, and the model's word for the unknown stands for everything
        else. A phrase with a word that the model does not have is left out, and a warning names the word; when no
        phrase is left, anything may be said.
        """
        if self._model is None:
            raise RuntimeError("the engine is closed")
        phrases = self.known(hint.phrases) if hint is not None and self.options.use_phrases else []
        unknown = [word for word in UNKNOWN if self._knows(word)][:1]
        arguments = [json.dumps([*phrases, *unknown], ensure_ascii=False)] if phrases else []
        recogniser = self._package.KaldiRecognizer(self._model, float(RATE), *arguments)
        recogniser.SetWords(True)  # for the confidence
        return VoskSession(recogniser, partials=self.options.partials)

    def known(self, phrases: Sequence[str]) -> list[str]:
        """The phrases of which the model knows every word; a warning names the others."""
        unknown: dict[str, None] = {}
        kept = []
        for phrase in phrases:
            missing = [word for word in phrase.split() if not self._knows(word)]
            unknown.update(dict.fromkeys(missing))
            if not missing:
                kept.append(phrase)
        if unknown:
            _log.warning(
                "the model does not know the words %s; %d of %d phrases cannot be recognised",
                ", ".join(f"'{word}'" for word in unknown),
                len(phrases) - len(kept),
                len(phrases),
            )
        return kept

    def _knows(self, word: str) -> bool:
        return bool(self._model.vosk_model_find_word(word) >= 0)

    def close(self) -> None:
        self._model = None


class VoskSession:
    """One utterance. What Vosk's own end of speech has closed will not change any more."""

    constrained = False

    def __init__(self, recogniser: Any, *, partials: bool) -> None:
        self._recogniser = recogniser
        self._partials = partials
        self._done: list[str] = []
        self._confidences: list[float] = []
        self._given = ""
        self._final: Hypothesis | None = None

    def feed(self, audio: Audio) -> Hypothesis | None:
        if len(audio) == 0:
            return None
        try:
            closed = self._recogniser.AcceptWaveform(audio.samples.tobytes())
        except Exception as error:
            raise EngineError(
                f"Vosk failed: {error}", remedy="check the model with: edgevoice models verify"
            ) from error
        if closed:
            self._take(self._recogniser.Result())
        if not self._partials:
            return None
        done = " ".join(self._done)
        partial = "" if closed else str(json.loads(self._recogniser.PartialResult())["partial"])
        text = " ".join(part for part in (done, partial) if part)
        if text == self._given:
            return None
        self._given = text
        return Hypothesis(text, len(done), self._confidence())

    def _take(self, result: str) -> None:
        content = json.loads(result)
        if content["text"] and content["text"] not in UNKNOWN:
            self._done.append(content["text"])
            self._confidences += [word["conf"] for word in content.get("result", ())]

    def _confidence(self) -> float | None:
        """Mean over the words that are final."""
        return min(sum(self._confidences) / len(self._confidences), 1.0) if self._confidences else None

    def pause(self, *, glance: bool = False) -> None:
        """Vosk has nothing to do before the end is certain: its final step takes milliseconds."""
        return

    def finish(self) -> Hypothesis:
        if self._final is None:
            self._take(self._recogniser.FinalResult())
            text = " ".join(self._done)
            self._final = Hypothesis(text, len(text), self._confidence())
        return self._final

    def close(self) -> None:
        self._recogniser = None


def load(options: Options, store: ModelPaths) -> VoskEngine:
    """Load the model.

    Raises:
        ModelError: it is missing, incomplete or damaged. EngineMissingError, EngineBrokenError: Vosk.
    """
    package = require("vosk", extra="vosk")
    folder = store.path(options.model)
    check(folder)
    package.SetLogLevel(-1)  # Vosk writes dozens of lines to stderr for every model
    try:
        model = package.Model(str(folder))
        # Some damage shows only here: a recogniser is what puts the graphs together.
        package.KaldiRecognizer(model, float(RATE))
    except Exception as error:
        raise ModelError(
            f"Vosk cannot load it: {error}", place=str(folder), remedy="it may be damaged; fetch it again"
        ) from error
    return VoskEngine(package, model, options)


def check(folder: Path) -> None:
    """That a directory has a Vosk model's files: Vosk itself ends the process over some that are missing.

    Raises:
        ModelError: one is missing or empty.
    """
    remedy = "it must be the directory of an unpacked Vosk model (with am, conf and graph)"
    if not folder.is_dir():
        raise ModelError("there is no such directory", place=str(folder), remedy=remedy)
    layout = next((layout for layout in _LAYOUTS if (folder / layout[0][0]).exists()), _LAYOUTS[0])
    for alternatives in layout:
        found = [name for name in alternatives if (folder / name).is_file()]
        if not found:
            raise ModelError(f"it has no file {' or '.join(alternatives)}", place=str(folder), remedy=remedy)
        needed = [*found, *(name.replace("HCLr", "Gr") for name in found if name.endswith("HCLr.fst"))]
        for name in needed:
            if not (folder / name).is_file() or (folder / name).stat().st_size == 0:
                raise ModelError("it is missing or empty", place=str(folder / name), remedy="fetch the model again")
