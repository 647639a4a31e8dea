"""Sentences out of the automaton: for a recogniser's phrase list, and to try a grammar on itself."""

import itertools
from collections.abc import Iterator
from typing import TypeAlias

from edgevoice.automaton import ROOT, Accept, AnyWord, Automaton, Begin, Call, End, Jump, Meaning, Net
from edgevoice.think.match import MAX_WORDS

_Words = tuple[str, ...]
_GIVEN_UP = ""
_Calls: TypeAlias = "tuple[int, int, _Calls] | None"

_IN_TURN = 64
"""Sentences of a template in which all its choices take turns together, before they are gone through one by one. So
even a short list of phrases has most words in it."""

_TRIES = 10_000
"""Sentences that a template may give in a row without a new one among them, before it is taken for exhausted."""


_STEPS = 100_000
"""States that are walked through in search of a further sentence before it is given up."""


def sentences(automaton: Automaton, limit: int) -> tuple[list[str], bool, bool]:
    """Sentences, templates taking turns; whether there are more; whether some have a free text in them and are left
    out."""
    closed = [number for number in range(len(automaton.starts)) if not _has_wildcard(automaton, number)]
    found: dict[str, None] = {}
    running = [template_sentences(automaton, number) for number in closed]
    cut = False
    while running:
        still = []
        for generator in running:
            tries = itertools.islice(generator, _TRIES)
            text = next((text for words in tries if (text := " ".join(words)) not in found), None)
            if text is None or text == _GIVEN_UP:
                cut = cut or text == _GIVEN_UP or next(generator, None) is not None
            elif len(found) >= limit:
                return list(found), True, len(closed) < len(automaton.starts)
            else:
                found[text] = None
                still.append(generator)
        running = still
    return list(found), cut, len(closed) < len(automaton.starts)


def template_sentences(automaton: Automaton, template: int) -> Iterator[_Words]:
    """All sentences of a template that are short enough to be matched, some of them twice. One with a free text is left
    out. An empty one at the end means that the search was given up."""
    for turn in range(_IN_TURN):
        words = _walk(automaton, automaton.starts[template], turn)
        if words is not None:
            yield words
    yield from _all(automaton, automaton.starts[template])


def _options(net: Net, state: int) -> list[object]:
    return [*((word, to) for word, targets in net.words[state].items() for to in targets), *net.arcs[state]]


def _walk(automaton: Automaton, start: int, turn: int) -> _Words | None:
    """One sentence: at every state the choice number ``turn`` of those there are; None when it is no use."""
    words: list[str] = []
    net, state = ROOT, start
    calls: list[tuple[int, int]] = []
    for _ in range(_STEPS):
        if net != ROOT and state == Net.FINAL:
            net, state = calls.pop()
            continue
        options = _options(automaton.nets[net], state)
        if not options:
            return None
        match options[turn % len(options)]:
            case (str(word), int(to)):
                words.append(word)
                if len(words) > MAX_WORDS:
                    return None
                state = to
            case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                state = to
            case Call(called, to):
                calls.append((net, to))
                net, state = called, Net.START
            case Accept():
                return tuple(words)
            case _:
                return None
    return None


def _all(automaton: Automaton, start: int) -> Iterator[_Words]:
    """All sentences from a state of the root, depth first; see ``template_sentences``."""
    steps = 0
    pending: list[tuple[int, int, _Calls, _Words]] = [(ROOT, start, None, ())]
    while pending:
        number, state, calls, words = pending.pop()
        steps += 1
        if steps > _STEPS:
            yield ()
            return
        if number != ROOT and state == Net.FINAL and calls is not None:
            net, to, rest = calls
            pending.append((net, to, rest, words))
            continue
        for option in reversed(_options(automaton.nets[number], state)):
            match option:
                case (str(word), int(to)):
                    if len(words) < MAX_WORDS:
                        pending.append((number, to, calls, (*words, word)))
                case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                    pending.append((number, to, calls, words))
                case Call(called, to):
                    pending.append((called, Net.START, (number, to, calls), words))
                case Accept():
                    steps = 0
                    yield words
                case _:
                    pass


def _has_wildcard(automaton: Automaton, template: int) -> bool:
    """Whether some way through a template has a free text in it."""
    seen: set[tuple[int, int]] = set()
    pending = [(ROOT, automaton.starts[template])]
    while pending:
        at = pending.pop()
        if at in seen:
            continue
        seen.add(at)
        number, state = at
        net = automaton.nets[number]
        pending += [(number, to) for to in itertools.chain.from_iterable(net.words[state].values())]
        for arc in net.arcs[state]:
            match arc:
                case AnyWord():
                    return True
                case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                    pending.append((number, to))
                case Call(called, to):
                    pending += [(called, Net.START), (number, to)]
                case Accept():
                    pass
    return False
