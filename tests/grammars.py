"""Random grammars, and all their sentences by an independent reading of the templates."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import assume
from hypothesis import strategies as st

from edgevoice.think.template import Alternatives, ListRef, Node, Permutation, RuleRef, Sequence, Text, parse, unparse
from edgevoice.words import normalise

_LISTS: dict[str, dict[str, object]] = {
    "x": {"aa": "aa", "bb cc": "two", "cc": 3},
    "n": {"one": 1, "two": 2, "three": 3},
}
_LISTS_YAML = "  x: [aa, {in: bb cc, out: two}, {in: cc, out: 3}]\n  n: {range: {from: 1, to: 3}}\n"
_Reading = tuple[str, tuple[tuple[str, object], ...]]


def _readings(node: Node, rules: dict[str, Sequence]) -> Iterator[_Reading]:
    """All texts of a node with their slots, letter by letter as the notation says."""
    match node:
        case Text(text):
            yield text, ()
        case Sequence(items):
            yield from _product([list(_readings(item, rules)) for item in items], "")
        case Alternatives(options, optional):
            for option in options:
                yield from _readings(option, rules)
            if optional:
                yield "", ()
        case Permutation(parts, optional):
            read = [list(_readings(part, rules)) for part in parts]
            for order in itertools.permutations(read):
                yield from ((f" {text} ", slots) for text, slots in _product(list(order), " "))
            if optional:
                yield "", ()
        case ListRef(name, slot):
            for said, meaning in _LISTS[name].items():
                yield f" {said} ", ((slot, meaning),)
        case RuleRef(name):
            for text, slots in _readings(rules[name], rules):
                yield f" {text} ", slots


def _product(parts: list[list[_Reading]], glue: str) -> Iterator[_Reading]:
    for combination in itertools.product(*parts):
        yield glue.join(text for text, _ in combination), tuple(slot for _, slots in combination for slot in slots)


_words = st.sampled_from(["aa", "bb", "cc", "dd"])
_texts = st.builds(
    lambda words, left, right: Text(" " * left + " ".join(words) + " " * right),
    st.lists(_words, min_size=1, max_size=2),
    st.booleans(),
    st.booleans(),
)
_refs: st.SearchStrategy[Node] = st.one_of(
    st.builds(ListRef, st.sampled_from(["x", "n"]), st.sampled_from(["s", "t"])), st.just(RuleRef("r"))
)


def _spaced(items: list[Node]) -> Sequence:
    """With spaces where a text touches a list or rule, which is a mistake, or another text."""
    found: list[Node] = []
    for item in items:
        if found and isinstance(item, Text) and isinstance(found[-1], Text):
            found[-1] = Text(f"{found[-1].text} {item.text}")
            continue
        if found and isinstance(item, Text) and isinstance(found[-1], ListRef | RuleRef):
            item = Text(f" {item.text}")
        elif found and isinstance(item, ListRef | RuleRef) and isinstance(found[-1], Text):
            found[-1] = Text(f"{found[-1].text} ")
        found.append(item)
    return Sequence(tuple(found))


def _groups(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    rows = st.lists(children, min_size=1, max_size=3).map(_spaced)
    return st.one_of(
        st.builds(Alternatives, st.lists(rows, min_size=1, max_size=3).map(tuple), st.booleans()),
        st.builds(Permutation, st.lists(rows, min_size=2, max_size=2).map(tuple), st.booleans()),
    )


_rules = st.lists(st.recursive(_texts, _groups, max_leaves=3), min_size=1, max_size=2).map(_spaced)
_nodes: st.SearchStrategy[Node] = st.recursive(st.one_of(_texts, _refs), _groups, max_leaves=6)
_templates = st.lists(_nodes, min_size=1, max_size=3).map(_spaced)


@dataclass(frozen=True)
class Sample:
    """A grammar, and what it must accept."""

    pack: str
    """YAML. "zz" may be said before and after every sentence."""
    sentences: dict[tuple[str, ...], list[tuple[str, dict[str, object]]]]
    """All of them: words -> intents that claim them, with the slots. An empty sentence makes the pack invalid."""


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    templates = draw(st.lists(_templates, min_size=1, max_size=3))
    rule = draw(_rules)
    lines = [
        f"  I{number}: {{data: [{{sentences: ['{unparse(template)}']}}]}}\n"
        for number, template in enumerate(templates)
    ]
    pack = (
        f"intents:\n{''.join(lines)}lists:\n{_LISTS_YAML}expansion_rules: {{r: '{unparse(rule)}'}}\nskip_words: [zz]\n"
    )
    sentences: dict[tuple[str, ...], list[tuple[str, dict[str, object]]]] = {}
    for number, template in enumerate(templates):
        parsed = parse(unparse(template))
        readings = list(itertools.islice(_readings(parsed, {"r": parse(unparse(rule))}), 401))
        assume(len(readings) <= 400)
        for said, slots in readings:
            sentences.setdefault(normalise(said), []).append((f"I{number}", dict(slots)))
    return Sample(pack, sentences)


def salads() -> st.SearchStrategy[tuple[str, ...]]:
    """Words that these grammars know, in any order."""
    vocabulary = ["aa", "bb", "cc", "dd", "one", "two", "zz", "aabb"]
    return st.lists(st.sampled_from(vocabulary), min_size=1, max_size=6).map(tuple)


def bare(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without what may be skipped before and after a sentence."""
    while words[:1] == ("zz",):
        words = words[1:]
    while words[-1:] == ("zz",):
        words = words[:-1]
    return words
