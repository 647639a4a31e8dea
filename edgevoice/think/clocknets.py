"""What may be said for a duration and for a time of day, as nets.

They are small because no value is written out in them: ``edgevoice.think.clock`` reads the words that were said.
Numbers are nets of their own, which all lists of an automaton share. In a picture, durations are

    start --number--> . --hours--> . --[and]--> . --number--> . --minutes--> . --[and]--> ... final

where every unit may be the first and the last, beside short cuts for halves and quarters.
"""

from collections.abc import Iterable

from edgevoice.automaton import Call, Jump, Kind, Meaning, Net, Typed
from edgevoice.think import clock

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

NUMBERS = ("number", "tens", "decimal", "minutes past", "minute", "hour", "hour of 24")
"""Names of the nets that are shared: 1 to 999; 1 to 99; 0.1 to 99.9; 1 to 30; the minutes "oh one" to "fifty nine"; the
hours 1 to 12; 0 and 13 to 23."""


def shared() -> dict[str, Net]:
    """The nets of ``NUMBERS``."""
    return {
        "number": _number(),
        "tens": _tens_net("tens"),
        "decimal": _decimal(),
        "minutes past": _minutes_past(),
        "minute": _minute(),
        "hour": _words("hour", Kind.TIME, (*_ONES, *_TEENS[:3])),
        "hour of 24": _late_hour(),
    }


def _words(name: str, kind: Kind, found: Iterable[str]) -> Net:
    net = Net(name, kind)
    _any_of(net, Net.START, found, Net.FINAL)
    return net


def _any_of(net: Net, start: int, found: Iterable[str], to: int) -> int:
    for word in found:
        net.add_word(start, word, to)
    return to


def _below_100(net: Net, start: int) -> None:
    _any_of(net, start, (*_ONES, *_TEENS), Net.FINAL)
    ten = _any_of(net, start, _TENS, net.add_state())
    net.add_arc(ten, Jump(Net.FINAL))
    _any_of(net, ten, _ONES, Net.FINAL)


def _tens_net(name: str) -> Net:
    net = Net(name, Kind.NUMBER)
    _below_100(net, Net.START)
    return net


def _number() -> Net:
    net = Net("number", Kind.NUMBER)
    one = _any_of(net, Net.START, _ONES, net.add_state())
    net.add_arc(one, Jump(Net.FINAL))
    _any_of(net, Net.START, _TEENS, Net.FINAL)
    ten = _any_of(net, Net.START, _TENS, net.add_state())
    net.add_arc(ten, Jump(Net.FINAL))
    _any_of(net, ten, _ONES, Net.FINAL)
    article, hundred, rest = net.add_state(), net.add_state(), net.add_state()
    net.add_word(Net.START, "a", article)
    net.add_word(article, "hundred", hundred)
    net.add_word(one, "hundred", hundred)
    net.add_arc(hundred, Jump(Net.FINAL))
    net.add_word(hundred, "and", rest)
    _below_100(net, hundred)
    _below_100(net, rest)
    return net


def _decimal() -> Net:
    """One digit behind the point, or 25 or 75: what is said of hours, and whole seconds of all but seconds."""
    net = Net("decimal", Kind.NUMBER)
    whole = _any_of(net, Net.START, ("zero", *_ONES, *_TEENS), net.add_state())
    ten = _any_of(net, Net.START, _TENS, net.add_state())
    _any_of(net, ten, _ONES, whole)
    point, quarter = net.add_state(), net.add_state()
    net.add_word(whole, "point", point)
    net.add_word(ten, "point", point)
    _any_of(net, point, _ONES, Net.FINAL)
    _any_of(net, point, ("two", "seven"), quarter)
    net.add_word(quarter, "five", Net.FINAL)
    return net


def _minutes_past() -> Net:
    net = _words("minutes past", Kind.NUMBER, (*_ONES, *_TEENS, "thirty"))
    twenty = _any_of(net, Net.START, ("twenty",), net.add_state())
    net.add_arc(twenty, Jump(Net.FINAL))
    _any_of(net, twenty, _ONES, Net.FINAL)
    return net


def _minute() -> Net:
    net = _words("minute", Kind.NUMBER, _TEENS)
    ten = _any_of(net, Net.START, _TENS[:4], net.add_state())
    net.add_arc(ten, Jump(Net.FINAL))
    _any_of(net, ten, _ONES, Net.FINAL)
    short = _any_of(net, Net.START, ("oh", "o"), net.add_state())
    _any_of(net, short, _ONES, Net.FINAL)
    return net


def _late_hour() -> Net:
    net = _words("hour", Kind.TIME, ("zero", *_TEENS[3:]))
    twenty = _any_of(net, Net.START, ("twenty",), net.add_state())
    net.add_arc(twenty, Jump(Net.FINAL))
    _any_of(net, twenty, _ONES[:3], Net.FINAL)
    return net


def duration(name: str, numbers: dict[str, int]) -> Net:
    """``numbers``: of the shared nets, their numbers."""
    net = Net(name, Kind.DURATION)
    units = list(clock.UNITS)
    end = _end(net, Typed.DURATION)
    before = [Net.START, *(net.add_state() for _ in units[1:])]
    after = [net.add_state() for _ in units]
    for at, state in enumerate(before):
        counted, article = net.add_state(), net.add_state()
        net.add_arc(state, Call(numbers["number" if at == 0 else "tens"], counted))
        net.add_word(state, "a", article)
        for unit in range(at, len(units)):
            _any_of(net, counted, (units[unit], f"{units[unit]}s"), after[unit])
            if units[unit] != "hour":
                net.add_word(article, units[unit], after[unit])
        if at <= units.index("hour"):
            an = _any_of(net, state, ("an",), net.add_state())
            net.add_word(an, "hour", after[units.index("hour")])
        if units[at] in ("minute", "second"):
            net.add_arc(counted, Jump(end))  # "one hour twenty": this place is behind hours or minutes only
    for at, state in enumerate(after):
        net.add_arc(state, Jump(end))
        if at + 1 < len(units):
            _any_of(net, state, ("and",), before[at + 1])
            net.add_arc(state, Jump(before[at + 1]))
            half = _any_of(net, state, ("and",), net.add_state())
            _fraction(net, half, end)
    _short_cuts(net, numbers, units, after, end)
    return net


def _short_cuts(net: Net, numbers: dict[str, int], units: list[str], after: list[int], end: int) -> None:
    long, plural = units[:-1], [f"{unit}s" for unit in units[:-1]]  # no fractions of seconds
    part = net.add_state()  # "half an hour", "a quarter of an hour", "three quarters hour"
    _fraction(net, Net.START, part)
    of, a, an = net.add_state(), net.add_state(), net.add_state()
    net.add_word(part, "of", of)
    for state in (part, of):
        net.add_word(state, "a", a)
        net.add_word(state, "an", an)
    _any_of(net, part, (*long, *plural), end)
    _any_of(net, a, [unit for unit in long if unit != "hour"], end)
    net.add_word(an, "hour", end)
    mixed, half, number = net.add_state(), net.add_state(), net.add_state()  # "two and a half hours", "1.5 hours"
    net.add_arc(Net.START, Call(numbers["tens"], number))
    net.add_word(number, "and", half)
    _fraction(net, half, mixed)
    net.add_arc(Net.START, Call(numbers["decimal"], mixed))
    _any_of(net, mixed, (*long, *plural), end)
    article, couple, many = net.add_state(), net.add_state(), net.add_state()  # "a couple of minutes"
    net.add_word(Net.START, "a", article)
    net.add_arc(Net.START, Jump(article))
    net.add_word(article, "couple", couple)
    net.add_word(couple, "of", many)
    net.add_arc(couple, Jump(many))
    for unit, to in zip(units, after, strict=True):
        net.add_word(many, f"{unit}s", to)


def _fraction(net: Net, start: int, end: int) -> None:
    article, three = net.add_state(), net.add_state()
    _any_of(net, start, ("a", "one"), article)
    net.add_word(start, "three", three)
    for state in (start, article):
        _any_of(net, state, ("half", "quarter"), end)
    net.add_word(three, "quarters", end)


def time(name: str, numbers: dict[str, int]) -> Net:
    """``numbers``: of the shared nets, their numbers."""
    net = Net(name, Kind.TIME)
    end = _end(net, Typed.TIME)
    whole, told, late = (net.add_state() for _ in range(3))
    net.add_arc(Net.START, Call(numbers["hour"], whole))
    net.add_word(whole, "o'clock", told)
    net.add_arc(whole, Jump(told))
    net.add_arc(whole, Call(numbers["minute"], told))
    net.add_arc(Net.START, Call(numbers["hour of 24"], late))
    net.add_arc(late, Jump(end))
    net.add_arc(late, Call(numbers["minute"], end))
    net.add_arc(told, Jump(end))
    for words in clock.HALVES_OF_DAY:
        state = told
        for word in words[:-1]:
            known = net.words[state].get(word)
            state = known[0] if known else _any_of(net, state, (word,), net.add_state())
        net.add_word(state, words[-1], end)
    offset, counted, hour, struck, twelve = (net.add_state() for _ in range(5))
    net.add_arc(Net.START, Call(numbers["minutes past"], counted))
    net.add_arc(counted, Jump(offset))
    _any_of(net, counted, ("minute", "minutes"), offset)
    article = _any_of(net, Net.START, ("a",), net.add_state())
    half = _any_of(net, Net.START, ("half",), net.add_state())
    for state in (Net.START, article):
        net.add_word(state, "quarter", offset)
    _any_of(net, half, clock.AFTER, hour)
    _any_of(net, offset, (*clock.AFTER, *clock.BEFORE), hour)
    net.add_arc(hour, Call(numbers["hour"], struck))
    net.add_word(struck, "o'clock", told)
    net.add_arc(struck, Jump(told))
    _any_of(net, hour, (*clock.NOON, *clock.MIDNIGHT), end)
    net.add_word(Net.START, "twelve", twelve)
    for state in (Net.START, twelve):
        _any_of(net, state, (*clock.NOON, *clock.MIDNIGHT), end)
    return net


def _end(net: Net, typed: Typed) -> int:
    end = net.add_state()
    net.add_arc(end, Meaning(typed, Net.FINAL))
    return end
