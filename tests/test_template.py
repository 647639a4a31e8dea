import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.think.template import (
    MAX_DEPTH,
    Alternatives,
    ListRef,
    Node,
    Permutation,
    RuleRef,
    Sequence,
    TemplateError,
    Text,
    is_plain,
    parse,
    unparse,
)


def row(*items: Node) -> Sequence:
    return Sequence(items)


def test_the_whole_notation() -> None:
    tree = parse("turn (on|off) [the] {area:room} light[s] <now> (a;b) {name}")
    assert tree == row(
        Text("turn "),
        Alternatives((row(Text("on")), row(Text("off")))),
        Text(" "),
        Alternatives((row(Text("the")),), optional=True),
        Text(" "),
        ListRef("area", "room"),
        Text(" light"),
        Alternatives((row(Text("s")),), optional=True),
        Text(" "),
        RuleRef("now"),
        Text(" "),
        Permutation((row(Text("a")), row(Text("b")))),
        Text(" "),
        ListRef("name", "name"),
    )


def test_places_are_offsets_in_the_text() -> None:
    tree = parse("turn [the {area}] <now>")
    group = tree.items[1]
    assert isinstance(group, Alternatives)
    assert (group.at, group.options[0].items[1].at, tree.items[3].at) == (5, 10, 18)


def test_alternatives_without_brackets_at_the_top() -> None:
    assert parse("a|b") == row(Alternatives((row(Text("a")), row(Text("b")))))
    assert parse("a;b") == row(Permutation((row(Text("a")), row(Text("b")))))


def test_an_empty_alternative_is_nothing() -> None:
    assert parse("(a|)") == row(Alternatives((row(Text("a")), row())))


def test_escapes_stand_for_the_character() -> None:
    assert parse(r"\(a\|b\) \\ \{c\}") == row(Text(r"(a|b) \ {c}"))


@pytest.mark.parametrize(
    ("text", "at", "cause"),
    [
        ("turn (on|off the light", 5, "this '(' is never closed"),
        ("turn [on", 5, "this '[' is never closed"),
        ("turn {area on", 5, "this '{' is never closed"),
        ("turn <area on", 5, "this '<' is never closed"),
        ("turn on)", 7, "')' without a '(' before it"),
        ("turn (on] it)", 8, "']' without a '[' before it"),
        ("turn on}", 7, "'}' without a '{' before it"),
        ("turn {}", 5, "'{}' does not name a list"),
        ("turn {my area}", 5, "'{my area}' does not name a list"),
        ("turn {area:}", 5, "'{area:}' does not name a list"),
        ("turn <>", 5, "'<>' does not name an expansion rule"),
        ("turn <a:b>", 5, "an expansion rule has no slot"),
        ("turn ()", 5, "an empty group"),
        ("turn []", 5, "an empty group"),
        ("(a|b;c)", 4, "'|' (one of them) and ';' (all, in any order) in one group"),
        ("turn on\\", 7, "nothing follows the '\\'"),
        ("[" * (MAX_DEPTH + 1), MAX_DEPTH, f"groups are nested deeper than {MAX_DEPTH}"),
        ("a" * 20_001, 0, "the template has more than 20000 characters"),
    ],
)
def test_what_is_wrong_and_where(text: str, at: int, cause: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert (caught.value.cause, caught.value.at) == (cause, at)


_names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
_texts = st.text(alphabet="ab ()[]{}<>|;\\'ä", min_size=1, max_size=8).map(Text)
_leaves: st.SearchStrategy[Node] = st.one_of(_texts, st.builds(ListRef, _names, _names), st.builds(RuleRef, _names))


def _joined(items: list[Node]) -> Sequence:
    """Two texts in a row are one text."""
    found: list[Node] = []
    for item in items:
        if isinstance(item, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(found[-1].text + item.text)
        else:
            found.append(item)
    return Sequence(tuple(found))


def _groups(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    rows = st.lists(children, min_size=1, max_size=3).map(_joined)
    return st.one_of(
        st.builds(Alternatives, st.lists(rows, min_size=1, max_size=3).map(tuple), st.booleans()),
        st.builds(Permutation, st.lists(rows, min_size=2, max_size=3).map(tuple), st.booleans()),
    )


_trees = st.lists(st.recursive(_leaves, _groups, max_leaves=8), max_size=4).map(_joined)


@given(_trees)
def test_a_written_tree_is_read_again(tree: Sequence) -> None:
    assert parse(unparse(tree)) == tree


@given(st.text(alphabet="ab ()[]{}<>|;\\:", max_size=30))
def test_any_text_is_a_tree_or_an_error_with_a_place_in_it(text: str) -> None:
    try:
        tree = parse(text)
    except TemplateError as error:
        assert 0 <= error.at <= len(text)
        assert error.cause
    else:
        assert parse(unparse(tree)) == tree


def test_plain_texts_have_no_notation_in_them() -> None:
    assert is_plain("living room, 2nd floor")
    assert not is_plain("living room[s]")
