"""The automaton over words that all intents compile into, and that everything else is derived from.

It is a recursive transition network without recursion: a set of nets, each with numbered states and arcs. Lists and
rules are nets of their own that other nets call; no sentence is ever written out, and replacing a list replaces its
nets alone.

Net 0 is the root: from its start a ``Jump`` leads to each template, and each template ends in an ``Accept``. Net 1
holds the words that may be skipped before and after a sentence (any number of passes through it).

What leads from a state to the next:

* a word (``Net.words``: word -> states), the only thing beside ``AnyWord`` that consumes a word of the text,
* ``AnyWord``: one word, whatever it is (inside of wildcard nets),
* ``Jump``: nothing,
* ``Call``: through the net of that number from its start to its final state, and on,
* ``Begin`` and ``End`` of a slot; between them a ``Meaning`` says what the slot gets. Without one it gets the words,
* ``Accept``: the template with that number is complete.
"""

import dataclasses
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgevoice.events import SlotValue


class Kind(enum.Enum):
    """What a net was made from; it decides what a word in it counts (see ``edgevoice.think.match``)."""

    ROOT = "sentences"
    SKIP = "skip words"
    RULE = "rule"
    LIST = "list"
    NUMBER = "number"
    DURATION = "duration"
    TIME = "time"
    WILDCARD = "wildcard"


class Typed(enum.Enum):
    """What a slot gets that is computed from the words said for it (see ``edgevoice.think.clock``)."""

    DURATION = "duration"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Jump:
    to: int


@dataclass(frozen=True, slots=True)
class Call:
    net: int
    to: int


@dataclass(frozen=True, slots=True)
class AnyWord:
    to: int


@dataclass(frozen=True, slots=True)
class Begin:
    slot: str
    to: int


@dataclass(frozen=True, slots=True)
class Meaning:
    value: SlotValue | Typed
    to: int


@dataclass(frozen=True, slots=True)
class End:
    slot: str
    to: int


@dataclass(frozen=True, slots=True)
class Accept:
    template: int


Arc = Jump | Call | AnyWord | Begin | Meaning | End | Accept

_NO_WORDS: dict[str, tuple[int, ...]] = {}


@dataclass(slots=True, eq=False, weakref_slot=True)
class Net:
    """States 0 (start), 1 (final) and up."""

    name: str
    kind: Kind
    words: list[dict[str, tuple[int, ...]]] = field(default_factory=list)
    """By state: the word arcs."""
    arcs: list[tuple[Arc, ...]] = field(default_factory=list)
    """By state: all other arcs, the preferred ones first."""
    nullable: bool = False
    """Whether it can be passed without a word."""

    START = 0
    FINAL = 1

    def __post_init__(self) -> None:
        if not self.words:
            self.add_state()
            self.add_state()

    def __len__(self) -> int:
        return len(self.words)

    def add_state(self) -> int:
        self.words.append(_NO_WORDS)  # shared until a word arc is added: most states have none or one
        self.arcs.append(())
        return len(self.words) - 1

    def add_word(self, state: int, word: str, to: int) -> None:
        if self.words[state] is _NO_WORDS:
            self.words[state] = {}
        targets = self.words[state].get(word, ())
        if to not in targets:
            self.words[state][word] = (*targets, to)

    def add_arc(self, state: int, arc: Arc) -> None:
        self.arcs[state] = (*self.arcs[state], arc)


ROOT = 0
SKIP = 1


@dataclass(frozen=True, slots=True)
class Automaton:
    nets: tuple[Net, ...]
    starts: tuple[int, ...]
    """By template: the state of the root net where it starts."""

    @property
    def states(self) -> int:
        return sum(map(len, self.nets))

    def replaced(self, nets: dict[int, Net]) -> "Automaton":
        """The same with some nets exchanged; the others are shared."""
        return dataclasses.replace(self, nets=tuple(nets.get(at, net) for at, net in enumerate(self.nets)))

    def vocabulary(self) -> set[str]:
        """Every word on an arc."""
        return {word for net in self.nets for state in net.words for word in state}


def passable(net: Net, nets: Sequence[Net | None], start: int = Net.START) -> set[int]:
    """The states that are reached from ``start`` without a word; ``nets`` say what calls can be passed so."""
    reached = {start}
    pending = [start]
    while pending:
        for to in _silent(net, nets, pending.pop()):
            if to not in reached:
                reached.add(to)
                pending.append(to)
    return reached


def _silent(net: Net, nets: Sequence[Net | None], state: int) -> Iterator[int]:
    for arc in net.arcs[state]:
        match arc:
            case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                yield to
            case Call(number, to):
                called = nets[number]
                if called is not None and called.nullable:
                    yield to
            case AnyWord() | Accept():
                pass
