"""Whisper (Radford et al., 2022) in ONNX Runtime. It streams by decoding again while somebody speaks."""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Float32
from edgevoice.automaton import Automaton
from edgevoice.engines import onnx
from edgevoice.engines.asr import whisper_tokens
from edgevoice.engines.asr.spelling import is_latin
from edgevoice.engines.asr.whisper_decode import Decoded, Rules, decode, rules
from edgevoice.engines.asr.whisper_grammar import GrammarReader, Read
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.engines.asr.whisper_stream import Agreement, Schedule, quietest
from edgevoice.engines.protocols import BELIEVED, AsrHint, Hypothesis, ModelPaths

_WINDOW = 28 * RATE
"""Longer audio is cut. Below the 30 s that Whisper can see, so that some silence always follows."""
_CUT_AFTER = 20 * RATE
"""The cut is made at the quietest place between this and the window's end."""
_SHORTEST = RATE // 10
"""Less audio than this holds no word."""
_TRIED = 10
"""Frames of 10 ms with which the graphs are tried: enough to run every part of them."""
_SILENCE = 1e-4
"""A peak below this (-80 dB) is digital silence, in which Whisper would hear things."""

_HASTY_BEAMS = 2
"""Beams in haste. One costs much accuracy in noise (docs/speech-to-intent.md)."""
_PROOF_BEAMS = 4
"""Spellings of a phrase that are followed when it is to be proved: it has one sentence."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[str, msgspec.Meta(description="Name of the model, or the path of a directory.")] = (
        "whisper-tiny.en-int8"
    )
    language: Annotated[
        str | None, msgspec.Meta(description="What is spoken, for example 'de'. Multilingual models only.")
    ] = None
    threads: Annotated[int, msgspec.Meta(description="Processor threads.", ge=1, le=64)] = 1
    partials: Annotated[bool, msgspec.Meta(description="Give a partial text while somebody speaks.")] = True
    partial_interval: Annotated[
        float,
        msgspec.Meta(
            description="Seconds of new audio after which there is a new partial text at the earliest; the intervals "
            "grow with the utterance.",
            ge=0.2,
            le=30.0,
        ),
    ] = 1.0
    padding: Annotated[
        float, msgspec.Meta(description="Seconds of silence that the recogniser sees after the audio.", ge=0.0, le=30.0)
    ] = 1.0
    min_context: Annotated[
        float,
        msgspec.Meta(
            description="Seconds of audio and silence that the recogniser sees at least. Less is faster; where it "
            "makes the text repeat itself, more is used, at last the full 30 s. 30: always those.",
            ge=1.0,
            le=30.0,
        ),
    ] = 12.0
    max_tokens: Annotated[
        int, msgspec.Meta(description="Tokens of one text (of at most 28 s of audio) at most.", ge=1, le=444)
    ] = 224
    suppress_symbols: Annotated[
        bool, msgspec.Meta(description="Never write brackets, notes and other signs that nobody speaks.")
    ] = True
    constrain: Annotated[
        bool,
        msgspec.Meta(description="Hear only what the intents' sentences allow; else write freely, and match the text."),
    ] = True
    beams: Annotated[
        int,
        msgspec.Meta(
            description="Sentences of the intents that are followed at the same time. Fewer are faster, and a little "
            "less accurate in noise.",
            ge=1,
            le=32,
        ),
    ] = 8
    prompt: Annotated[
        bool, msgspec.Meta(description="Tell the recogniser beforehand which words the intents have.")
    ] = True
    doubt_below: Annotated[
        float,
        msgspec.Meta(
            description="Probability of the likeliest sentence of the intents below which the audio is read a second "
            "time; the mean of both counts. 0: never, which is faster for one command in ten and a little less "
            "accurate in noise.",
            ge=0.0,
            le=1.0,
        ),
    ] = 0.9
    no_speech_threshold: Annotated[
        float,
        msgspec.Meta(
            description="Probability of 'no speech' above which an unsure text is dropped. 1: never.", ge=0.0, le=1.0
        ),
    ] = 0.6
    min_log_probability: Annotated[
        float,
        msgspec.Meta(description="Mean log-probability of a token below which a text is unsure.", ge=-20.0, le=0.0),
    ] = -0.6


class WhisperEngine:
    """The weights and options; see ``edgevoice.engines.protocols.AsrEngine``."""

    def __init__(self, options: Options, net: WhisperNet, tokens: whisper_tokens.Tokens) -> None:
        self.options = options
        self.tokens = tokens
        self._net: WhisperNet | None = net
        self._rules: Rules = rules(tokens, options.language, options.suppress_symbols, options.max_tokens)
        self._reader: GrammarReader | None = GrammarReader(net, tokens, self._rules, prompt=options.prompt)
        # Of its own, so that what is prepared for the intents stays.
        self._prover: GrammarReader | None = GrammarReader(net, tokens, self._rules, prompt=options.prompt)

    def open(self, hint: AsrHint | None = None) -> "WhisperSession | CommandSession":
        """A session for one utterance: held to the sentences of the hint's automaton, if there is one."""
        if hint is not None and hint.automaton is not None and self.options.constrain:
            if self._reader is None:
                raise RuntimeError("the engine is closed")
            self._reader.prepare(hint.automaton)  # now, while the command is being spoken
            return CommandSession(self, hint.automaton, haste=hint.haste)
        return WhisperSession(self, partials=self.options.partials and not (hint is not None and hint.haste))

    def unwritable(self, words: Iterable[str]) -> list[str]:
        """See ``edgevoice.engines.protocols.Writer``."""
        return [] if self.tokens.languages else [word for word in words if not is_latin(word)]

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        """See ``edgevoice.engines.protocols.Prover``."""
        if self._prover is None:
            raise RuntimeError("the engine is closed")
        samples = audio.float32()[-_WINDOW:]
        if _silent(samples):
            return 0.0
        context = len(samples) / RATE + self.options.padding
        return self._prover.read(samples, phrase, context=context, width=_PROOF_BEAMS).confidence

    def close(self) -> None:
        self._net = self._reader = self._prover = None

    def read(self, samples: Float32, automaton: Automaton, *, haste: bool = False) -> Read:
        """The sentence of the automaton that at most 30 s of audio hold."""
        if self._reader is None:
            raise RuntimeError("the engine is closed")
        if _silent(samples):
            return Read((), 0.0, None)
        options = self.options
        return self._reader.read(
            samples,
            automaton,
            context=len(samples) / RATE + options.padding,
            width=min(_HASTY_BEAMS, options.beams) if haste else options.beams,
            doubt_below=0.0 if haste else options.doubt_below,
        )

    def decode(self, samples: Float32, forced: Sequence[int] = (), *, retry: bool = True) -> Decoded:
        """At most 30 s of audio; the text begins with the tokens ``forced``. Silence and noise give no tokens.
        ``retry``: whether a text that repeats itself is tried again with more context."""
        if self._net is None:
            raise RuntimeError("the engine is closed")
        nothing = Decoded([], 0.0, 1.0, False)
        if _silent(samples):
            return nothing
        options = self.options
        context = max(len(samples) / RATE + options.padding, options.min_context)
        result = decode(self._net, self._rules, samples, context=context, forced=forced, retry=retry)
        unsure = result.log_probability < options.min_log_probability
        if not forced and unsure and result.no_speech > options.no_speech_threshold:
            return nothing
        return result


def _silent(samples: Float32) -> bool:
    return len(samples) < _SHORTEST or bool(np.abs(samples).max() < _SILENCE)


class CommandSession:
    """One command. Only the last 28 s are listened to: nobody speaks a longer one."""

    constrained = True

    def __init__(self, engine: WhisperEngine, automaton: Automaton, *, haste: bool) -> None:
        self._engine = engine
        self._automaton = automaton
        self._haste = haste
        self._heard = np.zeros(0, np.float32)
        self._paused: Hypothesis | None = None

    def feed(self, audio: Audio) -> None:
        """Give nothing yet: half a command is no sentence."""
        if len(audio):
            self._heard = np.concatenate([self._heard, audio.float32()])[-_WINDOW:]
            self._paused = None

    def pause(self, *, glance: bool = False) -> Hypothesis | None:
        if self._paused is None:
            read = self._engine.read(self._heard, self._automaton, haste=self._haste)
            text = read.readings[0].text if read.readings else ""
            if read.confidence < BELIEVED:  # no command: what was said instead?
                if glance:
                    return None
                text = self._engine.tokens.text(self._engine.decode(self._heard).tokens).strip()
            self._paused = Hypothesis(text, len(text), read.confidence, read.readings, read.ending)
        return self._paused

    def finish(self) -> Hypothesis:
        final = self.pause()
        assert final is not None
        return final

    def close(self) -> None:
        self._heard = np.zeros(0, np.float32)


class WhisperSession:
    """One utterance of any length. What lies more than 28 s back is decided and no longer decoded."""

    constrained = False

    def __init__(self, engine: WhisperEngine, *, partials: bool) -> None:
        self._engine = engine
        self._partials = partials
        self._pieces: list[Float32] = []
        self._length = 0
        """Samples in the pieces."""
        self._done = ""
        """Text of the audio that was cut off."""
        self._log_probabilities: list[tuple[float, int]] = []
        """Of the pieces that were cut off: mean and number of tokens."""
        self._schedule = Schedule(engine.options.partial_interval)
        self._agreement = self._new_agreement()
        self._paused: Hypothesis | None = None
        self._given: Hypothesis | None = None

    def _new_agreement(self) -> Agreement:
        texts = self._engine.tokens.texts
        return Agreement(lambda token: texts[token].startswith(_SPACE))

    def feed(self, audio: Audio) -> Hypothesis | None:
        if len(audio) == 0:
            return None
        self._paused = None
        samples = audio.float32()
        newest = None
        # Every decision falls on a length of audio, wherever the blocks end, so any blocks give the same texts.
        while len(samples):
            end = min(self._schedule.next, _WINDOW) - self._length
            self._pieces.append(samples[:end])
            self._length += len(samples[:end])
            samples = samples[end:]
            if self._length == _WINDOW:
                self._cut()
            elif self._length == self._schedule.next:
                newest = self._partial() or newest
        return newest

    def _partial(self) -> Hypothesis | None:
        self._schedule.advance(self._length)
        if not self._partials:
            return None
        decoded = self._engine.decode(self._heard(), self._agreement.committed, retry=False)
        self._agreement.push(decoded.tokens)
        hypothesis = self._hypothesis(decoded, final=False)
        if self._given is not None and (hypothesis.text, hypothesis.stable) == (self._given.text, self._given.stable):
            return None
        self._given = hypothesis
        return hypothesis

    def _heard(self) -> Float32:
        """All audio that is not decided yet, as one piece."""
        self._pieces = [np.concatenate([np.zeros(0, np.float32), *self._pieces])]
        return self._pieces[0]

    def _cut(self) -> None:
        samples = self._heard()
        end = quietest(samples, _CUT_AFTER, _WINDOW)
        decoded = self._engine.decode(samples[:end])
        self._done = _join(self._done, self._engine.tokens.text(decoded.tokens))
        self._log_probabilities.append((decoded.log_probability, len(decoded.tokens)))
        self._pieces = [samples[end:]]
        self._length -= end
        self._schedule.advance(self._length)
        self._agreement = self._new_agreement()

    def pause(self, *, glance: bool = False) -> Hypothesis:
        if self._paused is None:
            # Without what partial texts have committed: knowing all audio, the text may correct them.
            decoded = self._engine.decode(self._heard())
            self._paused = self._hypothesis(decoded, final=True)
        return self._paused

    def finish(self) -> Hypothesis:
        return self.pause()

    def close(self) -> None:
        self._pieces = []
        self._length = 0

    def _hypothesis(self, decoded: Decoded, *, final: bool) -> Hypothesis:
        text = _join(self._done, self._engine.tokens.text(decoded.tokens))
        committed = _join(self._done, self._engine.tokens.text(self._agreement.committed))
        parts = [*self._log_probabilities, (decoded.log_probability, len(decoded.tokens))]
        count = sum(tokens for _, tokens in parts)
        mean = sum(value * tokens for value, tokens in parts) / count if count else 0.0
        return Hypothesis(text, len(text) if final else len(committed), math.exp(mean) if count else 0.0)


_SPACE = whisper_tokens.write(b" ")


def _join(before: str, after: str) -> str:
    after = after.strip()
    return f"{before} {after}" if before and after else before or after


def load(options: Options, store: ModelPaths) -> WhisperEngine:
    """Load the weights.

    Raises:
        ModelError: the model is missing or damaged. ConfigError: the model does not know the language.
        EngineMissingError, EngineBrokenError: ONNX Runtime.
    """
    folder = store.path(options.model)
    net = WhisperNet(folder, options.threads)
    tokens = whisper_tokens.load(folder / "tokens.json", net.vocabulary)
    engine = WhisperEngine(options, net, tokens)
    with onnx.trial(folder):
        net.open(net.encode(np.zeros((net.mels, _TRIED), np.float32))).step(tokens.prefix(options.language))
    return engine
