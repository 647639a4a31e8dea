"""Piper voices (VITS networks with espeak-ng's pronunciation) in some forty languages.

A voice is an ONNX file with a JSON file of the same name beside it, see https://github.com/OHF-Voice/piper1-gpl.
"""

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
from edgevoice.engines.tts.script import NOT_LATIN, check_latin
from edgevoice.engines.tts.silence import trim
from edgevoice.errors import ConfigError, EngineError, ModelError, TextError

WARM_UP = "Warming up."

LEVEL = 0.5
"""Peak of every sentence. The networks' own level differs from voice to voice and from sentence to sentence; this one
is as loud as hibari, whose speech peaks between 0.3 and 0.5."""

_Scale = Annotated[float, msgspec.Meta(ge=0.0, le=2.0)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[
        str,
        msgspec.Meta(min_length=1, description="Name in the catalog, or path of a voice's folder or ONNX file."),
    ] = "piper-en_US-joe-medium"
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2.0, description="1.0 is the voice's own pace, 2.0 twice it.")] = (
        1.0
    )
    noise: Annotated[
        _Scale | None, msgspec.Meta(description="Variation of the sound; null: as the voice's file says.")
    ] = None
    rhythm_noise: Annotated[
        _Scale | None, msgspec.Meta(description="Variation of the rhythm; null: as the voice's file says.")
    ] = None
    speaker: Annotated[
        int | str | None, msgspec.Meta(description="Number or name of a speaker, for voices with several.")
    ] = None
    threads: Annotated[int, msgspec.Meta(ge=1, le=16, description="Threads of the network.")] = 1


class _AudioSection(msgspec.Struct):
    sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=48000)]


class _EspeakSection(msgspec.Struct):
    voice: Annotated[str, msgspec.Meta(min_length=1)]


class _InferenceSection(msgspec.Struct, frozen=True):
    noise_scale: _Scale = 0.667
    length_scale: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] = 1.0
    noise_w: _Scale = 0.8


class _VoiceFile(msgspec.Struct):
    """What a voice's JSON must hold."""

    audio: _AudioSection
    espeak: _EspeakSection
    num_symbols: Annotated[int, msgspec.Meta(ge=1)]
    num_speakers: Annotated[int, msgspec.Meta(ge=1)]
    phoneme_id_map: dict[str, list[int]]
    speaker_id_map: dict[str, int] = {}
    inference: _InferenceSection = _InferenceSection()
    """Checked here and read by the package, whose defaults are these."""


def load(options: Options, store: ModelPaths) -> "PiperTts":
    """Load a voice and speak once in silence.

    Raises:
        EngineMissingError, EngineBrokenError: the package. ModelError: the voice is missing, damaged or of another
        kind. ConfigError: it has no such speaker.
    """
    package = require("piper", extra="piper", distribution="piper-tts")
    path = _onnx_file(store.path(options.model))
    return PiperTts(package, path, options)


def _onnx_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.onnx"))
    if len(found) != 1:
        raise ModelError(
            f"here are {len(found)} ONNX files, not one", place=str(path), remedy="give the path of the file"
        )
    return found[0]


def _description(path: Path) -> tuple[dict[str, Any], _VoiceFile]:
    """The voice's JSON, as it is and checked."""
    remedy = "put the file that came with the voice there, or fetch the voice again with: edgevoice models pull"
    try:
        content = json.loads(path.read_bytes())
        return content, msgspec.convert(content, _VoiceFile)
    except FileNotFoundError:
        raise ModelError("there is no such file", place=str(path), remedy=remedy) from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or a field that is missing or wrong
        raise ModelError(f"it describes no Piper voice: {error}", place=str(path), remedy=remedy) from error
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}", place=str(path), remedy=remedy) from error


class PiperTts:
    def __init__(self, package: Any, path: Path, options: Options) -> None:
        description = path.with_name(path.name + ".json")
        content, checked = _description(description)
        session = onnx.session(path, threads=options.threads, varying=True)
        inputs = {given.name for given in session.get_inputs()}
        wanted = {"input", "input_lengths", "scales"} | ({"sid"} if checked.num_speakers > 1 else set())
        if inputs != wanted:
            raise ModelError(
                f"its inputs are {sorted(inputs)}, those of such a Piper voice are {sorted(wanted)}",
                place=str(path),
                remedy="give the ONNX file of a Piper voice and the JSON file that belongs to it",
            )
        try:
            config = package.PiperConfig.from_dict(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"it describes no Piper voice: {error}", place=str(description)) from error
        self._voice: Any = package.PiperVoice(session=session, config=config)
        self._rate = checked.audio.sample_rate
        self._name = path.stem
        self._config = package.SynthesisConfig(
            speaker_id=_speaker(options.speaker, checked),
            length_scale=config.length_scale / options.speed,
            noise_scale=options.noise,
            noise_w_scale=options.rhythm_noise,
        )
        try:
            for _ in self.synthesize(WARM_UP):
                pass
        except RuntimeError as error:  # espeak-ng has no such voice
            raise ModelError(
                f"espeak-ng cannot pronounce for it: {error}",
                place=f"{description}: espeak.voice",
                remedy="put the file that came with the voice there",
            ) from error

    @property
    def rate(self) -> int:
        return self._rate

    def synthesize(self, text: str) -> Iterator[Audio]:
        """Speak one clause; one piece per sentence in it. The noise is the network's own: no two times are alike.

        Raises:
            TextError: nothing in it can be pronounced. EngineError: the network refuses what the text became.
        """
        if self.language not in NOT_LATIN:
            check_latin(text, self._name)
        # Double brackets hold raw phonemes for the package; in a reply they are no more than brackets.
        plain = text.replace("[[", "[").replace("]]", "]")
        known = self._voice.config.phoneme_id_map
        silent = True
        for sentence in self._voice.phonemize(plain):
            phonemes = [phoneme for phoneme in sentence if phoneme in known]
            if not any(phoneme[0].isalpha() for phoneme in phonemes):
                continue
            silent = False
            try:
                samples = self._voice.phoneme_ids_to_audio(self._voice.phonemes_to_ids(phonemes), self._config)
            except Exception as error:
                raise EngineError(
                    f"it failed on '{plain:.60}': {str(error).splitlines()[0]}",
                    place=f"voice {self._name}",
                    remedy="the ONNX and the JSON file may be of different voices; fetch them again",
                ) from error
            peak = float(np.max(np.abs(samples), initial=0.0))
            audio = from_float32(samples * np.float32(LEVEL / max(peak, 1e-6)), self._rate)
            yield trim(audio, sentence=phonemes[-1] in ".!?")
        if silent:
            raise TextError(
                f"nothing in '{text:.60}' can be pronounced",
                place=f"voice {self._name}",
                remedy="use a voice of the text's language",
            )

    @property
    def language(self) -> str:
        return str(self._voice.config.espeak_voice).partition("-")[0]

    def close(self) -> None:
        self._voice = None


def _speaker(wanted: int | str | None, voice: _VoiceFile) -> int | None:
    if wanted is None:
        return None
    names = ", ".join(list(voice.speaker_id_map)[:8]) or "no names"
    if isinstance(wanted, str):
        if wanted in voice.speaker_id_map:
            return voice.speaker_id_map[wanted]
    elif 0 <= wanted < voice.num_speakers:
        return wanted
    raise ConfigError(
        f"this voice has no speaker '{wanted}'",
        place="tts.piper.speaker",
        remedy=f"it has {voice.num_speakers}, numbered from 0 ({names})",
    )
