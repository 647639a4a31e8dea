"""hibari: English voices of 8 MB that speak far faster than real time on one core.

The package carries the voice ``heart``. It would download its other voices when they are first used; here a voice that
is not on the disk is an error instead.
"""

import ctypes
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from edgevoice.audio.pcm import Audio, from_float32
from edgevoice.engines import onnx
from edgevoice.engines.protocols import ModelPaths
from edgevoice.engines.registry import require
from edgevoice.engines.tts.packed import Packed
from edgevoice.engines.tts.script import check_latin
from edgevoice.engines.tts.silence import trim
from edgevoice.errors import EngineBrokenError, ModelError, TextError

WARM_UP = "Zorblax: warming up."
"""Spoken once while loading. The word in no dictionary makes the package load its spelling model, too."""

PEAK = 0.97
"""Audio above this is turned down as a whole instead of being clipped. The voices seldom get there."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    voice: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="'heart', another voice of hibari that is on the disk, or the path of a voice's ONNX file.",
        ),
    ] = "heart"
    british: Annotated[
        bool | None,
        msgspec.Meta(description="Pronounce as in Britain; null: as the voice is meant, and American for a path."),
    ] = None
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2.0, description="1.0 is the voice's own pace, 2.0 twice it.")] = (
        1.0
    )
    threads: Annotated[int, msgspec.Meta(ge=1, le=16, description="Threads of the network.")] = 1
    seed: Annotated[
        int, msgspec.Meta(ge=0, description="Of the noise in the voice: the same text gives the same audio.")
    ] = 0


def load(options: Options, store: ModelPaths) -> "HibariTts":
    """Load the voice, the lexicon and the tagger, and speak once in silence.

    Raises:
        EngineMissingError, EngineBrokenError: the package. ModelError: the voice is not there or is no voice.
    """
    package = require("hibari", distribution="hibari-tts")
    voices = require("hibari.voices", distribution="hibari-tts")
    path, british = _voice(options, voices, store)
    try:
        return HibariTts(package, path, options, british=british)
    except (AttributeError, TypeError, KeyError) as error:
        raise EngineBrokenError(
            f"this version of it has another interface: {type(error).__name__}: {error}",
            place="package hibari-tts",
            remedy="install the version that edgevoice was made for: pip install 'hibari-tts==0.2.1'",
        ) from error


def _voice(options: Options, voices: Any, store: ModelPaths) -> tuple[Path, bool]:
    """The voice's file, and whether its pronunciation is British."""
    if "/" in options.voice:
        return store.path(options.voice), bool(options.british)
    try:
        path = Path(voices.voice_path(options.voice, download_missing=False))
    except ValueError:
        raise ModelError(
            f"there is no voice '{options.voice}'",
            place="tts.hibari.voice",
            remedy=f"choose of: {', '.join(voices.VOICES)}; or give the path of an ONNX file",
        ) from None
    except FileNotFoundError as error:
        raise ModelError(
            f"the voice '{options.voice}' is not on this machine",
            place=str(error.args[0]),
            remedy=f"put the file there (with a network: hibari --voice {options.voice} 'Hello.'), "
            "or use the voice 'heart', which comes with the package",
        ) from None
    british = voices.VOICES[options.voice]["british"] if options.british is None else options.british
    return path, bool(british)


class HibariTts:
    def __init__(self, package: Any, path: Path, options: Options, *, british: bool) -> None:
        session = onnx.session(path, threads=options.threads, varying=True)
        inputs = {given.name for given in session.get_inputs()}
        if inputs != {"ids", "speed"} or len(session.get_outputs()) != 6:
            raise ModelError(
                f"its inputs are {sorted(inputs)}, those of a hibari voice are ['ids', 'speed']",
                place=str(path),
                remedy="give the ONNX file of a hibari voice",
            )
        assets = Path(package.tts.ASSETS)

        # Not through the package's constructor: it would load the dictionaries and a session of its own.
        self._voice: Any = package.Hibari.__new__(package.Hibari)
        self._voice.voice = options.voice
        self._voice.model_path = str(path)
        self._voice.sess = session
        self._voice.vocab = json.loads((assets / "vocab.json").read_bytes())
        self._voice._g2p = _pronunciation(assets, british=british)
        self._speed = options.speed
        self._seed = options.seed
        self._rate = int(package.SAMPLE_RATE)
        for _ in self.synthesize(WARM_UP):
            pass
        _give_back_memory()

    @property
    def rate(self) -> int:
        return self._rate

    def synthesize(self, text: str) -> Iterator[Audio]:
        """Speak one clause; one piece per sentence in it.

        Raises:
            TextError: nothing in it can be pronounced.
        """
        check_latin(text, "hibari")
        noise = np.random.default_rng(self._seed)
        silent = True
        try:
            sentences = self._voice.phonemize(text)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:  # seen with numbers of 40 digits
            raise TextError(
                f"'{text:.40}' cannot be read: {type(error).__name__}: {error}",
                place="voice hibari",
                remedy="write it in words",
            ) from error
        for phonemes in sentences:
            ids = self._voice.ids(phonemes)
            if len(ids) < 3 or not any(character.isalpha() for character in phonemes):
                continue
            silent = False
            samples = self._voice.from_ids(ids, self._speed, noise)
            peak = float(np.max(np.abs(samples), initial=0.0))
            if peak > PEAK:
                samples = samples * np.float32(PEAK / peak)
            yield trim(from_float32(samples, self._rate), sentence=phonemes.rstrip()[-1:] in ".!?…")
        if silent:
            raise TextError(
                f"nothing in '{text:.60}' can be pronounced",
                place="voice hibari",
                remedy="it speaks English; use another engine for another language",
            )

    @property
    def language(self) -> str:
        return "en"

    def close(self) -> None:
        self._voice = None


def _pronunciation(assets: Path, *, british: bool) -> Any:
    """The package's conversion of text into phonemes with its dictionaries packed, which spares some 75 MB."""
    g2p = require("hibari.g2p", distribution="hibari-tts")
    lexicon = require("hibari.g2p.lexicon", distribution="hibari-tts")
    oov = require("hibari.g2p.oov", distribution="hibari-tts")
    tagger = require("hibari.g2p.tagger", distribution="hibari-tts")
    tokenize = require("hibari.g2p.tokenize", distribution="hibari-tts")
    accent = "gb" if british else "us"
    spelling = assets / ("oov_gb.onnx" if british else "oov.onnx")
    words = [Packed.from_json(_unzipped(assets / f"lexicon_{accent}_{part}.json.gz")) for part in ("gold", "silver")]
    tags = msgspec.json.decode(_unzipped(assets / "tagger.json.gz"), type=dict[str, msgspec.Raw])
    found = g2p.G2P.__new__(g2p.G2P)
    found.lexicon = lexicon.Lexicon(*words, british)
    found.tokenizer = tokenize.Tokenizer(json.loads((assets / "tokenizer_exceptions.json").read_bytes()))
    found.tagger = tagger.Tagger(
        {
            key: Packed.from_json(bytes(value)) if key in ("weights", "tagdict") else msgspec.json.decode(value)
            for key, value in tags.items()
        }
    )
    found._oov = oov.OOV(str(spelling), onnx.session(spelling, varying=True))
    found.unk = ""
    found.british = british
    return found


def _unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _give_back_memory() -> None:
    """What loading took and freed stays with the C library unless asked for: 12 MB here, measured with glibc 2.36."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
