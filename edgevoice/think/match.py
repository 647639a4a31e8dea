"""Text -> intent: exact matching over the automaton of words.

A breadth-first simulation, one step a word, that keeps the best way into every configuration (net, state, and the
calls it is inside of). What is best, in this order: fewest words swallowed by wildcards, fewest words skipped before
and after the sentence, fewest words that stand for a value of a list, and then the order of the templates. So the
answer is the same on every run, and the sentence that says most literally what was said wins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from edgevoice.automaton import (
    ROOT,
    SKIP,
    Accept,
    AnyWord,
    Automaton,
    Begin,
    Call,
    End,
    Jump,
    Kind,
    Meaning,
    Net,
    Typed,
)
from edgevoice.events import SlotValue
from edgevoice.think import clock
from edgevoice.think.pack import IntentSpec

MAX_WORDS = 100
"""Words of a text. Nobody gives a longer command in one breath (at a normal pace it takes 40 s)."""

_WILD = 1_000_000
_SKIPPED = 1_000
COST = {
    Kind.ROOT: 0,
    Kind.RULE: 0,
    Kind.LIST: 1,
    Kind.NUMBER: 1,
    Kind.DURATION: 1,
    Kind.TIME: 1,
    Kind.SKIP: _SKIPPED,
    Kind.WILDCARD: _WILD,
}
# What a word costs by the net it is found in; each class outweighs MAX_WORDS words of the one below it.

_ORIGIN = {
    Kind.ROOT: "word",
    Kind.RULE: "word",
    Kind.LIST: "value",
    Kind.NUMBER: "number",
    Kind.DURATION: "duration",
    Kind.TIME: "time",
    Kind.SKIP: "skipped",
    Kind.WILDCARD: "wildcard",
}


@dataclass(frozen=True, slots=True)
class Intent:
    name: str
    slots: Mapping[str, SlotValue]


@dataclass(frozen=True, slots=True)
class Step:
    """How one word of the text was used."""

    word: str
    kind: str
    """``word`` (of the template), ``value`` (of a list), ``number``, ``duration``, ``time``, ``wildcard`` or
    ``skipped``."""
    source: str
    """Name of the list or rule it was found in; empty for the template itself."""
    slot: str
    """The slot it belongs to; empty for none."""
    heard: str | None = None
    """The words of the text that were taken for it by their sound, empty for none; None: the word itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    template: str
    """The template that matched, as written."""
    place: str
    """``file:line`` of the template."""
    steps: tuple[Step, ...]
    ignored: tuple[str, ...] = ()
    """Words of the text that were taken for nothing. Only by sound."""

    def __str__(self) -> str:
        width = max(len(step.word) for step in self.steps)
        lines = [f"{self.place}: {self.template}"]
        for step in self.steps:
            slot = f" -> {step.slot}" if step.slot else ""
            source = f" of '{step.source}'" if step.source and step.kind != "skipped" else ""
            heard = "" if step.heard is None else f", heard as '{step.heard}'" if step.heard else ", not heard"
            lines.append(f"  {step.word:<{width}}  {step.kind}{source}{slot}{heard}")
        if self.ignored:
            lines.append("  ignored: " + ", ".join(f"'{word}'" for word in self.ignored))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Match:
    intent: Intent
    spec: IntentSpec
    text: str
    """The text as words."""
    score: float
    """0..1: the share of the words, skipped ones apart, that the grammar knows; a wildcard's words count half. By
    sound: the share of the sentence's sounds that were heard."""
    explanation: Explanation
    confidence: float | None = None
    """Probability that this intent was meant, 0..1; None when only a text was to go by and it matches word for word."""
    slot_confidence: Mapping[str, float] = field(default_factory=dict)
    """By slot: probability of its value. Empty when only a text was to go by."""

    @property
    def meaning(self) -> tuple[str, frozenset[tuple[str, SlotValue]]]:
        """Intent and slots, to be compared."""
        return self.intent.name, frozenset(self.intent.slots.items())


@dataclass(frozen=True, slots=True)
class NoMatch:
    text: str
    """The text as words."""
    closest: str | None
    """The nearest sentence with its slots filled; None when nothing comes close."""
    intent: str | None
    """The intent of that sentence."""
    place: str | None
    """``file:line`` of its template."""
    distance: float | None
    """How far it is away, about 1 a word."""
    why: str
    """What is extra, missing or different, or why there is nothing to compare with."""


Stack: TypeAlias = "tuple[int, int, Stack] | None"
"""The calls that are open: (net to return to, state there, the rest)."""
Config: TypeAlias = tuple[int, int, Stack]
"""(net, state, calls)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word was consumed, in that net."""

    net: int


Event = Word | Begin | Meaning | End
Path: TypeAlias = "tuple[Path, Event] | None"
"""What happened on the way, the last first."""
_Threads: TypeAlias = dict[Config, tuple[int, Path]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read a whole text."""

    cost: int
    template: int
    lead: int
    """Words skipped before the sentence."""
    end: int
    """Index of the first word skipped after it."""
    path: Path

    def events(self) -> list[Event]:
        found: list[Event] = []
        path = self.path
        while path is not None:
            path, event = path
            found.append(event)
        return found[::-1]


class Matcher:
    """An automaton prepared for matching. Holds no state of a text; may be used by several threads."""

    def __init__(self, automaton: Automaton) -> None:
        self._nets = automaton.nets
        self._costs = [COST[net.kind] for net in automaton.nets]
        accepted: list[tuple[int, int, Path]] = []
        opening = self._close([((ROOT, Net.START, None), 0, None)], accepted)
        # The first word finds its way without walking through all templates.
        self._first: dict[str, list[tuple[Config, Path]]] = {}
        self._first_any: list[tuple[Config, Path]] = []
        for config, (_, path) in opening.items():
            net, state, _ = config
            for word in self._nets[net].words[state]:
                self._first.setdefault(word, []).append((config, path))
            if any(isinstance(arc, AnyWord) for arc in self._nets[net].arcs[state]):
                self._first_any.append((config, path))

    def candidates(self, words: Sequence[str]) -> list[Candidate]:
        """The best reading by every template that accepts the words, the best first."""
        if len(words) > MAX_WORDS:
            return []
        leads = self._leads(words)
        tails = self._tails(words)
        best: dict[int, Candidate] = {}
        for lead in sorted(leads):
            threads: _Threads = {}
            for at in range(lead, len(words)):
                word = words[at]
                if at == lead:
                    entries = (*self._first.get(word, ()), *self._first_any)
                    stepped = self._step(((config, 0, path) for config, path in entries), word)
                else:
                    stepped = self._step(((config, cost, path) for config, (cost, path) in threads.items()), word)
                accepted: list[tuple[int, int, Path]] = []
                threads = self._close(stepped, accepted)
                if at + 1 in tails:
                    skipped = (lead + len(words) - at - 1) * _SKIPPED
                    for template, cost, path in accepted:
                        if template not in best or cost + skipped < best[template].cost:
                            best[template] = Candidate(cost + skipped, template, lead, at + 1, path)
                if not threads:
                    break
        return sorted(best.values(), key=lambda found: (found.cost, found.template))

    def trim(self, words: Sequence[str]) -> tuple[int, int]:
        """Without what can be skipped at most: index of the first word and of the one after the last."""
        lead = max(self._leads(words))
        return lead, min(tail for tail in self._tails(words) if tail >= lead)

    def _leads(self, words: Sequence[str]) -> set[int]:
        return self._spans(words, 0)

    def _tails(self, words: Sequence[str]) -> set[int]:
        return {at for at in range(len(words) + 1) if len(words) in self._spans(words, at)}

    def _spans(self, words: Sequence[str], start: int) -> set[int]:
        """Where skipped words that begin at ``start`` may end."""
        ends = {start}
        pending = [start]
        while pending:
            begin = pending.pop()
            threads: Iterable[tuple[Config, int, Path]] = [((SKIP, Net.START, None), 0, None)]
            for at in range(begin, len(words)):
                closed = self._close(threads, [])
                threads = list(self._step(((config, 0, None) for config in closed), words[at]))
                if not threads:
                    break
                if (SKIP, Net.FINAL, None) in self._close(threads, []) and at + 1 not in ends:
                    ends.add(at + 1)
                    pending.append(at + 1)
        return ends

    def _step(self, threads: Iterable[tuple[Config, int, Path]], word: str) -> Iterator[tuple[Config, int, Path]]:
        """Consume a word."""
        for (number, state, stack), cost, path in threads:
            net = self._nets[number]
            for to in net.words[state].get(word, ()):
                yield (number, to, stack), cost + self._costs[number], (path, Word(number))
            for arc in net.arcs[state]:
                if isinstance(arc, AnyWord):
                    yield (number, arc.to, stack), cost + _WILD, (path, Word(number))

    def _close(self, threads: Iterable[tuple[Config, int, Path]], accepted: list[tuple[int, int, Path]]) -> _Threads:
        """Everything that is reached without a further word. What comes first stays, unless something cheaper comes.
        Templates that are complete are added to ``accepted``: (template, cost, path)."""
        found: _Threads = {}
        for thread in threads:
            pending = [thread]
            while pending:
                config, cost, path = pending.pop()
                known = found.get(config)
                if known is not None and known[0] <= cost:
                    continue
                found[config] = cost, path
                number, state, stack = config
                following: list[tuple[Config, int, Path]] = []
                if state == Net.FINAL and stack is not None:
                    following.append((stack, cost, path))
                for arc in self._nets[number].arcs[state]:
                    match arc:
                        case Jump(to):
                            following.append(((number, to, stack), cost, path))
                        case Call(net, to):
                            following.append(((net, Net.START, (number, to, stack)), cost, path))
                        case Begin(_, to) | Meaning(_, to) | End(_, to):
                            following.append(((number, to, stack), cost, (path, arc)))
                        case Accept(template):
                            accepted.append((template, cost, path))
                        case AnyWord():
                            pass  # it takes a word
                pending += reversed(following)
        return found


def read_slots(events: Sequence[Event], words: Sequence[str], lead: int) -> dict[str, SlotValue]:
    """The slots that a path fills; the last one wins where a slot is filled twice."""
    slots: dict[str, SlotValue] = {}
    at = begin = lead
    value: SlotValue | Typed | None = None
    for event in events:
        match event:
            case Word():
                at += 1
            case Begin():
                begin, value = at, None
            case Meaning(meaning):
                value = meaning
            case End(slot):
                said = words[begin:at]
                if isinstance(value, Typed):
                    value = clock.value(value, said)
                slots[slot] = " ".join(said) if value is None else value
    return slots


def read_steps(candidate: Candidate, words: Sequence[str], nets: Sequence[Net]) -> tuple[Step, ...]:
    steps = [Step(word, "skipped", "", "") for word in words[: candidate.lead]]
    slot = ""
    for event in candidate.events():
        match event:
            case Word(number):
                net = nets[number]
                source = "" if number == ROOT else net.name
                steps.append(Step(words[len(steps)], _ORIGIN[net.kind], source, slot))
            case Begin(name):
                slot = name
            case End():
                slot = ""
            case Meaning():
                pass
    steps += [Step(word, "skipped", "", "") for word in words[candidate.end :]]
    return tuple(steps)


def score(steps: Sequence[Step]) -> float:
    counted = [step for step in steps if step.kind != "skipped"]
    return sum(0.5 if step.kind == "wildcard" else 1.0 for step in counted) / len(counted)
