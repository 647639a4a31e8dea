"""How long a silence has to be until the speaker has finished, by what they have said so far.

The longer a pause, the rarer it is inside of a command. So where it is ``r`` times as likely that something follows, it
takes ``ln(r)`` times some fraction of a second longer until as few commands are cut off. How likely that is, the
grammar tells: where nothing can follow, hardly anybody goes on.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from edgevoice.automaton import ROOT, SKIP, Accept, AnyWord, Automaton, Begin, Call, End, Jump, Meaning, Net
from edgevoice.engines.protocols import BELIEVED, Hypothesis
from edgevoice.listen.endpoint import Options

PER_ODDS = 0.156
"""Seconds for each factor of e in the odds that something follows."""
HESITANT = 3.3
"""Who has paused in a command before will sooner do so again, and for longer: as if the odds that something follows
were so many times higher.

206 coffee orders have 34 pauses of at least 0.1 s behind what is a complete order already. Where four times as many
templates go on as end, 7 of the 27 are made by those who had paused before, who are 5 of the 53 that end there: 2.7
times as many. Where as many go on as end, they are 4 of 7, against a quarter. The longest of the others are 0.46 and
0.22 s, theirs 0.62 (in noise 0.64) and 0.27 s.
"""

_Stack: TypeAlias = "tuple[int, int, _Stack] | None"
_Place: TypeAlias = "tuple[int, int, _Stack]"

_LEAD: _Stack = (-1, 0, None)
"""Where the words that are skipped before a sentence return to."""
_TAIL: _Stack = (-2, 0, None)
"""Where those after it return to."""


def patience(hypothesis: Hypothesis, automaton: Automaton | None, options: Options, *, hesitant: bool) -> float | None:
    """Seconds of silence that end the utterance, if that is all that was said; None when nobody can tell.

    Args:
        hesitant: the speaker has paused before, or may have in the noise.
    """
    if hypothesis.ending == "unfinished":
        return options.silence_unfinished
    text = hypothesis.readings[0].text if hypothesis.readings else hypothesis.text
    refused = hypothesis.confidence is not None and hypothesis.confidence < BELIEVED
    if refused or not text.strip():
        return None
    match hypothesis.ending:
        case None:
            return None
        case "closed":
            return options.silence_closed
        case "open":
            odds = 1.0 if automaton is None else odds_of_more(automaton, text.split())
            if not odds:
                return options.silence_closed
            wait = options.silence_open + PER_ODDS * math.log(odds * HESITANT if hesitant else odds)
            return min(max(wait, options.silence_closed), max(options.silence, options.silence_open))


def odds_of_more(automaton: Automaton, words: Sequence[str]) -> float:
    """Templates in which something can follow these words, to those in which nothing need follow.

    All templates are taken to be alike, and one with a part that may be left out counts on both sides. 0: nothing can
    follow. Infinite: no template is complete. 1 where no template fits.
    """
    walk = _Walk(automaton)
    ends = goes_on = 0
    for start in automaton.starts:
        places = walk.close([(SKIP, Net.START, _LEAD), (ROOT, start, None)], start)
        for word in words:
            places = walk.close(walk.step(places, word), start)
            if not places:
                break
        ends += _END in places
        goes_on += any(place != _END and _bottom(place[2]) not in (_TAIL, _LEAD) for place in places)
    if not ends:
        return math.inf if goes_on else 1.0
    return goes_on / ends


_END: _Place = (-3, 0, None)
"""The sentence is complete."""


class _Walk:
    """Follows one template after the other."""

    def __init__(self, automaton: Automaton) -> None:
        self._nets = automaton.nets

    def step(self, places: Iterable[_Place], word: str) -> list[_Place]:
        """What a word leads to."""
        following: list[_Place] = []
        for number, state, stack in places:
            if (number, state, stack) == _END:
                continue
            net = self._nets[number]
            following += [(number, to, stack) for to in net.words[state].get(word, ())]
            following += [(number, arc.to, stack) for arc in net.arcs[state] if isinstance(arc, AnyWord)]
        return following

    def close(self, places: Iterable[_Place], start: int) -> set[_Place]:
        """What takes a word or is the end, of what is reached without one."""
        pending = list(places)
        reached = set(pending)
        found: set[_Place] = set()
        while pending:
            place = number, state, stack = pending.pop()
            net = self._nets[number]
            if net.words[state] or any(isinstance(arc, AnyWord) for arc in net.arcs[state]):
                found.add(place)
            following: list[_Place] = []
            if state == Net.FINAL and stack is not None and number != ROOT:
                if stack == _LEAD:
                    following += [(ROOT, start, None), (SKIP, Net.START, _LEAD)]
                elif stack == _TAIL:
                    found.add(_END)
                    following.append((SKIP, Net.START, _TAIL))
                else:
                    following.append(stack)
            for arc in net.arcs[state]:
                match arc:
                    case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                        following.append((number, to, stack))
                    case Call(called, to):
                        following.append((called, Net.START, (number, to, stack)))
                    case Accept():
                        found.add(_END)
                        following.append((SKIP, Net.START, _TAIL))
                    case AnyWord():
                        pass
            for each in following:
                if each not in reached:
                    reached.add(each)
                    pending.append(each)
        return found


def _bottom(stack: _Stack) -> _Stack:
    while stack is not None and stack[2] is not None:
        stack = stack[2]
    return stack
