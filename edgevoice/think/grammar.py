"""A grammar: packs of intents, compiled and ready to match."""

import itertools
import logging
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import overload

from edgevoice import yamlfile
from edgevoice.automaton import Automaton
from edgevoice.engines.protocols import Hypothesis
from edgevoice.errors import GrammarError
from edgevoice.events import SlotValue
from edgevoice.problems import Problems, Value
from edgevoice.suggest import did_you_mean
from edgevoice.think import compiler
from edgevoice.think import pack as packs
from edgevoice.think.claims import Claims
from edgevoice.think.compiler import Compiled, compile_list, compile_pack
from edgevoice.think.match import (
    MAX_WORDS,
    Explanation,
    Intent,
    Match,
    Matcher,
    NoMatch,
    read_slots,
    read_steps,
    score,
)
from edgevoice.think.nearest import Searcher
from edgevoice.think.pack import Block, Entry, IntentSpec, Pack
from edgevoice.think.phonetic import MAX_EXCESS, MIN_CONFIDENCE, SoundSearcher, explain
from edgevoice.think.phrases import sentences
from edgevoice.words import name_words, normalise

log = logging.getLogger("edgevoice.think")

_MAX_WARNINGS = 20

ENOUGH = 0.99
"""Probability of the readings that are compared; the others can hardly change the answer, and each takes time."""


def default_pack(language: str = "en") -> Path:
    """The directory of the pack for a home that comes with edgevoice.

    Raises:
        GrammarError: there is none for this language.
    """
    root = Path(__file__).parent.parent / "data" / "intents"
    found = root / language
    if not found.is_dir():
        known = sorted(path.name for path in root.iterdir() if path.is_dir())
        raise GrammarError(
            f"there is no default pack for the language '{language}'",
            remedy=f"there are: {', '.join(known)}; or write a pack of your own",
        )
    return found


@dataclass(frozen=True)
class Phrases(Sequence[str]):
    """Complete sentences in lower case, numbers as words."""

    phrases: tuple[str, ...]
    cut: bool
    """There are more sentences than were asked for."""
    open: bool
    """Some sentences have a free text in them and cannot be listed."""

    @property
    def complete(self) -> bool:
        """Whether nothing can be said but these."""
        return not self.cut and not self.open

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self.phrases[index]

    def __len__(self) -> int:
        return len(self.phrases)


class _Ready:
    """What matching reads; exchanged as a whole when a list is replaced."""

    def __init__(self, automaton: Automaton, meanings: Sequence[tuple[str, Mapping[str, SlotValue]]]) -> None:
        self.automaton = automaton
        self.meanings = meanings
        self.matcher = Matcher(automaton)

    @cached_property
    def searcher(self) -> Searcher:
        """Made when the first text does not match."""
        return Searcher(self.automaton)

    @cached_property
    def sounds(self) -> SoundSearcher:
        """Made when the first text is matched by sound."""
        return SoundSearcher(self.automaton, self.meanings)


class Grammar:
    """Made by ``Grammar.load``. May be used by several threads."""

    def __init__(
        self,
        pack: Pack,
        compiled: Compiled,
        specs: Mapping[str, IntentSpec],
        blocks: Mapping[int, IntentSpec],
        by_sound: bool,
    ):
        self._pack = pack
        self._compiled = compiled
        self._intents = specs
        self._specs = blocks
        self._by_sound = by_sound
        meanings = [(blocks[id(block)].name, block.slots) for _, block in compiled.templates]
        self._ready = _Ready(compiled.automaton, meanings)
        self._replacing = Lock()

    @classmethod
    def load(cls, paths: Sequence[Path], *, by_sound: bool = False) -> "Grammar":
        """Read and compile packs (directories or files). Later ones extend and override earlier ones.

        Sentences that two intents claim, and lists without values, are logged as warnings.

        Args:
            by_sound: whether texts that are no sentence are matched by their sound.

        Raises:
            GrammarError: with every problem of the packs, each with file, line, column and a pointer.
        """
        pack, problems = packs.load(paths)
        compiled = compile_pack(pack, problems)
        specs, blocks = _specs(pack, compiled, problems)
        problems.raise_any(GrammarError, "problems in the intents")
        if compiled is None or not compiled.templates:
            where = ", ".join(map(str, paths)) or "no pack"
            raise GrammarError("there is not a single sentence", place=where, remedy="add an intent with sentences")
        grammar = cls(pack, compiled, specs, blocks, by_sound)
        for warning in itertools.islice(itertools.chain(compiled.warnings, grammar._claims()), _MAX_WARNINGS):
            log.warning("%s", warning)
        return grammar

    @property
    def intents(self) -> Mapping[str, IntentSpec]:
        return self._intents

    @property
    def automaton(self) -> Automaton:
        """The automaton as it is now; a replaced list makes a new one."""
        return self._ready.automaton

    @property
    def lists(self) -> Sequence[str]:
        """Names of the lists."""
        return list(self._pack.lists)

    @property
    def slots(self) -> Mapping[str, Mapping[str, set[SlotValue]]]:
        """By intent: the slots that its sentences may fill, each with the values that stand in a block's ``slots``."""
        found: dict[str, dict[str, set[SlotValue]]] = {name: {} for name in self._intents}
        for (_, block), names in zip(self._compiled.templates, self._compiled.slots, strict=True):
            slots = found[self._specs[id(block)].name]
            for name in names:
                slots.setdefault(name, set())
            for name, value in block.slots.items():
                slots.setdefault(name, set()).add(value)
        return found

    def places(self, words: Collection[str]) -> Mapping[str, str]:
        """By word: ``file:line`` of where the packs have it first. Words that they do not have are left out."""
        pack, found = self._pack, dict[str, str]()
        templates = [*pack.rules.values(), *pack.skip_words]
        for intent in pack.intents.values():
            for block in intent.blocks:
                templates += [*block.sentences, *block.rules.values()]
        said = [(template.text, template.value) for template in templates]
        said += [(entry.text, entry.place) for list_ in pack.lists.values() for entry in list_.entries if entry.place]
        for text, value in said:
            for word in normalise(text):
                if word in words:
                    found.setdefault(word, value.place.short)
        return found

    def match(self, text: str, refuse_below: float = 0.0) -> Match | NoMatch:
        """The intent of a text, or why there is none.

        Args:
            refuse_below: confidence below which what sounds like a sentence is no command.
        """
        ready, words = self._ready, normalise(text)
        found = self._exact(text) or (self._sounding(ready, words, refuse_below) if self._by_sound else None)
        return found or self._no_match(ready, words)

    def _exact(self, text: str) -> Match | None:
        ready, words = self._ready, normalise(text)
        found = ready.matcher.candidates(words)
        if not found:
            return None
        best = found[0]
        template, block = self._compiled.templates[best.template]
        steps = read_steps(best, words, ready.automaton.nets)
        slots = {**block.slots, **read_slots(best.events(), words, best.lead)}
        spec = self._specs[id(block)]
        explanation = Explanation(template.text, template.place.short, steps)
        return Match(Intent(spec.name, slots), spec, " ".join(words), score(steps), explanation)

    def _sounding(self, ready: _Ready, words: Sequence[str], refuse_below: float) -> Match | NoMatch | None:
        """The sentence that a text sounds like; None when it sounds like none."""
        if not 0 < len(words) <= MAX_WORDS:
            return None
        lead, end = ready.matcher.trim(words)
        if lead >= end:
            return None
        sounding, _ = ready.sounds.search(words[lead:end])
        if sounding is None or sounding.excess > MAX_EXCESS:
            return None
        match = self._exact(" ".join(sounding.words))
        if match is None:  # a sentence of its own template alone, once a list was replaced meanwhile
            return None
        text, confidence = " ".join(words), round(sounding.confidence, 3)
        if confidence < max(MIN_CONFIDENCE, refuse_below):
            like = f"it sounds as much like '{' '.join(sounding.rival)}'" if sounding.rival else "it is too unsure"
            why = like if confidence < MIN_CONFIDENCE else f"confidence {confidence:.2f}, needed is {refuse_below:g}"
            return NoMatch(text, match.text, match.intent.name, match.explanation.place, None, why)
        explanation = explain(match.explanation, sounding, words[:lead], words[end:])
        share = round(max(0.0, 1 - sounding.cost / sounding.weight), 3)
        return replace(match, text=text, score=share, explanation=explanation, confidence=confidence)

    def understand(self, hypothesis: Hypothesis, refuse_below: float = 0.0) -> Match | NoMatch:
        """The intent of what a recogniser gives.

        Where it has readings of this grammar, those of one meaning are taken together: "get me a latte" and "I want a
        latte" are one answer. Otherwise its text is matched.

        Args:
            refuse_below: confidence below which a reading, or what sounds like a sentence, is no command.
        """
        if hypothesis.readings is None:
            return self.match(hypothesis.text, refuse_below)
        text = " ".join(normalise(hypothesis.text))
        heard = 1.0 if hypothesis.confidence is None else hypothesis.confidence
        found: list[tuple[Match, float]] = []
        compared = 0.0
        for reading in hypothesis.readings:
            if compared >= ENOUGH:
                break
            compared += reading.probability
            if match := self._exact(reading.text):
                found.append((match, reading.probability))
        if not found:
            return NoMatch(text, None, None, None, None, "no sentence fits what was heard")
        meanings: dict[Hashable, float] = {}
        for match, probability in found:
            meanings[match.meaning] = meanings.get(match.meaning, 0.0) + probability
        likeliest = max(meanings, key=lambda meaning: meanings[meaning])
        best = next(match for match, _ in found if match.meaning == likeliest)
        if heard < refuse_below:
            why = f"it does not sound like a command: confidence {heard:.2f}, needed is {refuse_below:g}"
            return NoMatch(text, best.text, best.intent.name, best.explanation.place, None, why)
        intent = best.intent
        alike = [(match.intent.slots, probability) for match, probability in found if match.intent.name == intent.name]
        slots = {
            name: heard * sum(probability for slots, probability in alike if slots.get(name) == value)
            for name, value in intent.slots.items()
        }
        confidence = heard * sum(probability for _, probability in alike)
        return replace(best, confidence=confidence, slot_confidence=slots)

    def phrases(self, limit: int) -> Phrases:
        """At most ``limit`` sentences, every template having its turn; see ``Phrases.cut``."""
        automaton = self._ready.automaton
        found, cut, open_ = sentences(automaton, limit)
        return Phrases(tuple(found), cut, open_)

    def replace_list(self, name: str, values: Iterable[str | Entry]) -> None:
        """Give a list other values, at once for all that is matched from now on.

        Args:
            name: of a list of the packs.
            values: what is said, as plain text (no template); or entries, which have a meaning and a context besides.

        Raises:
            GrammarError: there is no such list, it is no list of values, a value has no word in it, or there are too
                many. The list stays as it was.
        """
        definition = self._pack.lists.get(name)
        if definition is None:
            raise GrammarError(f"there is no list '{name}'", remedy=did_you_mean(name, self._pack.lists))
        if definition.numbers is not None or definition.typed is not None or definition.wildcard:
            raise GrammarError(f"'{name}' is no list of values", place=definition.origin.place.short)
        entries = []
        for value in values:
            entry = Entry(value) if isinstance(value, str) else replace(value, origin=None, place=None)
            if not name_words(entry.text):
                raise GrammarError(f"nothing is left of '{entry.text}' as words", place=f"list '{name}'")
            entries.append(entry)
        changed = replace(definition, entries=tuple(entries))
        with self._replacing:
            old = self._ready.automaton
            made = self._compiled.list_nets[name]
            budget = compiler.MAX_STATES - old.states + sum(len(old.nets[number]) for number in made.values())
            nets = {}
            for filter_, number in made.items():
                net = compile_list(changed, filter_, budget)
                if net is None:
                    raise GrammarError(
                        f"the limit of {compiler.MAX_STATES} states is reached with these {len(entries)} values",
                        place=f"list '{name}'",
                        remedy="use fewer values",
                    )
                budget -= len(net)
                nets[number] = net
            self._ready = _Ready(old.replaced(nets), self._ready.meanings)

    def _no_match(self, ready: _Ready, words: Sequence[str]) -> NoMatch:
        text = " ".join(words)
        if not words:
            return NoMatch(text, None, None, None, None, "there are no words in it")
        if len(words) > MAX_WORDS:
            return NoMatch(text, None, None, None, None, f"more than {MAX_WORDS} words")
        lead, end = ready.matcher.trim(words)
        found = ready.searcher.nearest(words[lead:end]) if lead < end else None
        if found is None:
            why = "nothing comes close" if lead < end else "nothing is left without the words that are skipped"
            return NoMatch(text, None, None, None, None, why)
        template, block = self._compiled.templates[found.template]
        name = self._specs[id(block)].name
        return NoMatch(text, found.sentence, name, template.place.short, found.distance, "; ".join(found.differences))

    def _claims(self) -> Iterable[str]:
        """Warnings about sentences that are as good a sentence of another intent."""
        compiled, matcher = self._compiled, self._ready.matcher
        if len(self._intents) < 2:
            return
        claims = Claims(compiled.automaton)
        for first, second in claims.pairs():
            (template, block), (theirs, their_block) = compiled.templates[first], compiled.templates[second]
            names = self._specs[id(block)].name, self._specs[id(their_block)].name
            if names[0] == names[1]:
                continue

            def alike(words: Sequence[str], numbers: Collection[int] = (first, second)) -> bool:
                costs = [found.cost for found in matcher.candidates(words) if found.template in numbers]
                return len(costs) == 2 and costs[0] == costs[1]

            words = claims.shared(first, second, alike)
            if words is not None:
                yield (
                    f"{theirs.place.short}: '{' '.join(words)}' is a sentence of {names[1]} and of {names[0]} "
                    f"({template.place.short}); {names[0]} gets it"
                )
        if not claims.complete:
            log.info("there may be more sentences of two intents: not all of the search was finished")


def _specs(
    pack: Pack, compiled: Compiled | None, problems: Problems
) -> tuple[dict[str, IntentSpec], dict[int, IntentSpec]]:
    """The intents' specs by name, and those of the blocks by the blocks' ``id``."""
    filled: dict[int, set[str]] = {}
    if compiled is not None:
        for (_, block), slots in zip(compiled.templates, compiled.slots, strict=True):
            filled.setdefault(id(block), set()).update(slots, block.slots)
    by_name: dict[str, IntentSpec] = {}
    by_block: dict[int, IntentSpec] = {}
    for intent in pack.intents.values():

        def texts(values: Iterable[Value], blocks: Sequence[Block]) -> tuple[str, ...]:
            known = {slot for block in blocks for slot in filled.get(id(block), ())}
            resolved = [text for value in values for text in pack.responses.get(value.text, [value])]
            if compiled is None:  # the slots are not known: say nothing about them
                return ()
            return tuple(packs.check_response(value, known, problems) for value in resolved)

        if not any(block.sentences for block in intent.blocks) and not problems.found:
            problems.add(intent.origin, f"the intent '{intent.name}' has no sentences")
        place = intent.origin.place.short
        plain = [block for block in intent.blocks if not block.responses]
        spec = IntentSpec(
            intent.name,
            yamlfile.plain(intent.action, problems) if intent.action else None,
            intent.action.place.short if intent.action else place,
            texts(intent.responses, plain or intent.blocks),
            place,
        )
        by_name[intent.name] = spec
        for block in intent.blocks:
            own = texts(block.responses, [block])
            by_block[id(block)] = replace(spec, responses=own) if block.responses else spec
    return by_name, by_block


__all__ = ["Entry", "Grammar", "Intent", "IntentSpec", "Match", "NoMatch", "Phrases", "SlotValue", "default_pack"]
