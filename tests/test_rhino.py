"""Grammars of Picovoice Rhino: what they mean, what is said about their mistakes, and what they are converted into."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevoice.__main__ import main
from edgevoice.errors import GrammarError
from edgevoice.think import rhino_syntax, template
from edgevoice.think.grammar import Entry, Grammar, Match, default_pack
from edgevoice.think.rhino_convert import convert

BAKERY = """\
context:
  expressions:
    order:
      - "@please [bake, could you make] (me) $count:loaves of $bread:kind (and $bread:second)"
      - "[bake, could you make] $bread:kind [with $pv.Percent:grain grain, for the $pv.TwoDigitOrdinal:day]"
      - "[bake, could you make] $bread"
    oven:
      - "set (the) oven to $pv.TwoDigitInteger:minutes minutes"
      - "shelf $pv.SingleDigitInteger:shelf row $pv.Alphabetic:row (box $pv.Alphanumeric:box)"
      - "@please open the $pv.SingleDigitOrdinal:door door"
  slots:
    bread: [rye, Sourdough loaf, twelve grain, "12 ounce roll"]
    count:
      - one loaf
      - 2 loaves
  macros:
    please:
      - (please)
      - "@polite (now)"
    polite:
      - be so kind and
"""

Load = Callable[..., Grammar]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(*texts: str) -> Grammar:
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"grammar{number}.yaml")
            paths[-1].write_text(text, encoding="utf-8")
        return Grammar.load(paths)

    return make


def expression(*lines: str, more: str = "  slots: {size: [small, large]}\n") -> str:
    written = "".join(f"      - {line}\n" for line in lines)
    return f"context:\n  expressions:\n    test:\n{written}{more}"


def meaning(grammar: Grammar, text: str) -> tuple[str, dict[str, object]] | None:
    found = grammar.match(text)
    return (found.intent.name, dict(found.intent.slots)) if isinstance(found, Match) else None


# What a grammar means ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("bake one loaf of rye", {"loaves": "one loaf", "kind": "rye"}),
        ("Please bake me two loaves of rye", {"loaves": "2 loaves", "kind": "rye"}),
        (
            "be so kind and now could you make one loaf of 12-grain and sourdough loaf",
            {"loaves": "one loaf", "kind": "twelve grain", "second": "Sourdough loaf"},
        ),
        ("bake twelve ounce roll with 20% grain", {"kind": "12 ounce roll", "grain": 20}),
        ("bake rye with twenty grain", {"kind": "rye", "grain": 20}),
        ("bake rye for the 31st", {"kind": "rye", "day": 31}),
        ("bake rye", {"bread": "rye"}),
    ],
)
def test_orders(load: Load, text: str, slots: dict[str, object]) -> None:
    assert meaning(load(BAKERY), text) == ("order", slots)


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("set the oven to 45 minutes", {"minutes": 45}),
        ("set oven to zero minutes", {"minutes": 0}),
        ("shelf 7 row b", {"shelf": 7, "row": "B"}),
        ("shelf zero row a box nine", {"shelf": 0, "row": "A", "box": "9"}),
        ("shelf zero row a box y", {"shelf": 0, "row": "A", "box": "Y"}),
        ("please open the third door", {"door": 3}),
        ("open the 9th door", {"door": 9}),
    ],
)
def test_built_in_slots(load: Load, text: str, slots: dict[str, object]) -> None:
    assert meaning(load(BAKERY), text) == ("oven", slots)


@pytest.mark.parametrize(
    "text",
    [
        "bake of rye",
        "one loaf of rye",
        "bake rye and rye",
        "bake could you make rye",
        "set the oven to a hundred minutes",
        "shelf ten row b",
        "shelf seven row seven",
        "open the tenth door",
        "bake rye for the hundredth",
        "bake rye with one hundred and one percent grain",
    ],
)
def test_other_sentences_do_not_match(load: Load, text: str) -> None:
    assert meaning(load(BAKERY), text) is None


def test_brackets_and_blanks(load: Load) -> None:
    made = load(expression('" make [ a (tiny),(  two,three  ) big ] cake "', '"[cut](now)"', '"$size:size(please)"'))
    for text in ("make a cake", "make a tiny cake", "make big cake", "make three big cake", "cut", "cut now"):
        assert meaning(made, text) == ("test", {})
    assert meaning(made, "make tiny cake") is None
    assert meaning(made, "cutnow") is None
    assert meaning(made, "small please") == ("test", {"size": "small"})


def test_values_are_texts_as_written(load: Load) -> None:
    made = load(expression('"say $word:word"', more="  slots: {word: [on, 5, 'true', O'Neill, twelve ounce]}\n"))
    for said, meant in (("on", "on"), ("five", "5"), ("true", "true"), ("o'neill", "O'Neill")):
        assert meaning(made, f"say {said}") == ("test", {"word": meant})
    assert meaning(made, "say 12 oz") is None  # "twelve ounces", as everywhere
    assert meaning(made, "say 12-ounce") == ("test", {"word": "twelve ounce"})


def test_a_match_names_the_expression(load: Load, tmp_path: Path) -> None:
    found = load(BAKERY).match("bake rye")
    assert isinstance(found, Match)
    assert found.explanation.template == "[bake, could you make] $bread"
    assert found.explanation.place == f"{tmp_path}/grammar0.yaml:6"


# With other packs ----------------------------------------------------------------------------------------------


def test_a_pack_gives_an_action_and_more_values(load: Load) -> None:
    made = load(
        expression('"brew $size:size tea"'),
        """
intents:
  test: {action: {builtin: time}, response: "A {size} tea is coming."}
lists:
  size: {values: [{in: (giant|huge), out: giant}], extend: true}
""",
    )
    assert meaning(made, "brew small tea") == ("test", {"size": "small"})
    found = made.match("brew huge tea")
    assert isinstance(found, Match)
    assert found.intent.slots == {"size": "giant"}
    assert found.spec.action == {"builtin": "time"}
    assert found.spec.responses == ("A {size} tea is coming.",)


def test_beside_the_default_pack(tmp_path: Path) -> None:
    path = tmp_path / "own.rhino.yaml"
    path.write_text(BAKERY)
    made = Grammar.load([default_pack(), path])
    assert meaning(made, "please bake rye") == ("order", {"bread": "rye"})
    assert meaning(made, "turn on the kitchen light") == ("LightOn", {"area": "kitchen"})


def test_two_grammars_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(expression('"go $pv.Percent:x"', more=""))
    (tmp_path / "b.yaml").write_text(expression('"stop $pv.Percent:x"', more=""))
    made = Grammar.load([tmp_path])
    assert meaning(made, "go 5%") == meaning(made, "stop 5%") == ("test", {"x": 5})


def test_a_list_is_replaced_while_it_runs(load: Load) -> None:
    made = load(expression('"brew $size:size tea"'))
    made.replace_list("size", ["tiny", Entry("very big", 9)])
    assert meaning(made, "brew very big tea") == ("test", {"size": 9})
    assert meaning(made, "brew small tea") is None


# Mistakes ------------------------------------------------------------------------------------------------------

MISTAKES = {
    # name: (grammar, line with the pointer, cause and remedy)
    "unknown slot": (expression('"a $siez:x tea"'), '"a ^$siez', "there is no slot 'siez'; did you mean 'size'?"),
    "macro for slot": (
        expression('"a $hot tea"', more="  macros: {hot: [hot]}\n"),
        '"a ^$hot',
        "there is no slot 'hot'; there is a macro of that name, write @hot",
    ),
    "unknown macro": (
        expression('"@pleas go"', more="  macros: {please: [please]}\n"),
        '"^@pleas',
        "there is no macro 'pleas'; did you mean 'please'?",
    ),
    "slot for macro": (
        expression('"a @size tea"'),
        '"a ^@size',
        "there is no macro 'size'; there is a slot of that name, write $size:size",
    ),
    "unknown built-in": (
        expression('"for $pv.TwoDigitInt:x days"'),
        '"for ^$pv',
        "there is no built-in slot 'pv.TwoDigitInt'; did you mean 'pv.TwoDigitInteger'?",
    ),
    "built-in without pv": (
        expression('"for $TwoDigitInteger:x days"'),
        '"for ^$Two',
        "there is no slot 'TwoDigitInteger'; did you mean 'pv.TwoDigitInteger'?",
    ),
    "built-in name taken": (
        expression('"a tea"', more="  slots: {pv.Percent: [all]}\n"),
        "{^pv.Percent",
        "names with 'pv.' are those of built-in slots",
    ),
    "macro of itself": (
        expression('"@one go"', more='  macros:\n    one: ["a @two"]\n    two: [b, "c @one"]\n'),
        'one: ["a ^@two',
        "the macro refers to itself: @one -> @two -> @one",
    ),
    "macros in a circle": (
        expression('"go"', more='  macros:\n    z: ["@a"]\n    a: [b, "@b"]\n    b: ["@c"]\n    c: ["(@a)"]\n'),
        'a: [b, "^@b',
        "the macro refers to itself: @a -> @b -> @c -> @a",
    ),
    "no words in a macro": (
        expression('"@m tea"', more='  macros:\n    m: [a, "hot (...)", b]\n'),
        '"hot (^...',
        "nothing is left of '...' as words",
    ),
    "never closed": (expression('"go [left, right"'), '"go ^[left', "this '[' is never closed; add a ']'"),
    "never opened": (expression('"go left) now"'), "go left^)", "')' without a '(' before it"),
    "crossed": (expression('"go [left (now])"'), "now^]", "']' where ')' must come first"),
    "stray comma": (expression('"go, now"'), '"go^,', "a ',' outside of brackets"),
    "empty brackets": (expression('"go ( ) now"'), '"go ^(', "empty brackets; put words there or leave it out"),
    "empty choice": (expression('"go [left,, right] now"'), "left,^,", "nothing stands before this ','"),
    "last choice empty": (expression('"go [left, ] now"'), "left, ^]", "nothing stands before this ']'"),
    "letters touch": (expression('"light(s) on"'), '"light^(s)', "letters touch a bracket, a slot or a macro"),
    "letters touch behind": (expression('"$size:x\'s tea"'), "$size:x^'s", "letters touch a bracket"),
    "no name": (expression('"a $ tea"'), '"a ^$ tea', "the name of a slot is missing behind '$'"),
    "no slot name": (expression('"a $size: tea"'), "$size^:", "the name of the slot is missing behind ':'"),
    "no macro name": (expression('"a @(tea)"'), '"a ^@', "the name of a macro is missing behind '@'"),
    "our notation": (expression('"a {size} tea"'), '"a ^{size}', "'{' means nothing in an expression"),
    "no words": (expression('"a tea (!)"'), "(^!)", "nothing is left of '!' as words"),
    "may be empty": (expression('"(please) (now)"'), '- ^"(please)', "this template matches the empty sentence"),
    "empty text": (expression('""'), '- ^""', "an empty expression"),
    "unquoted": (expression("[go, run]"), "- ^[go", "an expression must be a text; put it into quotes"),
    "no text": (expression("{a: b}"), "- ^{a", "an expression must be a text"),
    "too deep": (expression(f'"{"(" * 50}a{")" * 50}"'), '"' + "(" * 40 + "^", "brackets are nested deeper than 40"),
    "bracket in value": (expression('"a $b:b"', more="  slots:\n    b: [(one) two]\n"), "[^(one)", "'(' in a value"),
    "value of no words": (expression('"a $b:b"', more='  slots:\n    b: ["?"]\n'), '^"?"', "nothing is left of '?'"),
    "value is no text": (expression('"a $b:b"', more="  slots:\n    b: [{c: d}]\n"), "^{c", "must be a text"),
    "slot twice": (
        expression('"a tea"', more="  slots:\n    b: [c]\n    b: [d]\n"),
        "    ^b: [d]",
        "'b' stands twice; the first is in line 6",
    ),
    "bad name": (expression('"a tea"', more="  slots: {1st: [c]}\n"), "{^1st", "'1st' is no name of a slot"),
    "macro without phrases": (
        expression('"@m tea"', more="  macros:\n    m: []\n"),
        "    ^m: []",
        "the macro 'm' has no phrases",
    ),
    "in a macro": (
        expression('"@m tea"', more='  macros:\n    m: [a, "b $x:x", "@m2"]\n    m2: [a]\n'),
        '"b ^$x:x',
        "there is no slot 'x'",
    ),
    "unknown section": (
        expression('"a tea"', more="  slot: {a: [b]}\n"),
        "  ^slot:",
        "context has no 'slot'; did you mean 'slots'?",
    ),
    "unknown root": ("contxt: 1\n" + expression('"a tea"'), "^contxt", "a grammar of Rhino has no 'contxt'"),
    "no expressions": ("context:\n  slots: {a: [b]}\n", "^context:", "the grammar has no expressions"),
    "expressions empty": ("context:\n  expressions: {}\n", "  ^expressions", "there is not a single expression"),
    "intent empty": ("context:\n  expressions:\n    go: []\n", "    ^go:", "the intent 'go' has no expressions"),
    "context of nothing": ("context:\n", "^context:", "the grammar has no expressions"),
    "context is a list": ("context: [a]\n", "context: ^[a]", "context must be a mapping"),
}


@pytest.mark.parametrize(("text", "pointer", "told"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_pointed_at(load: Load, tmp_path: Path, text: str, pointer: str, told: str) -> None:
    """In ``pointer`` a '^' stands before the character that the message points at."""
    before, _, after = pointer.partition("^")
    number, column = next(
        (number, line.index(before + after) + len(before) + 1)
        for number, line in enumerate(text.splitlines(), 1)
        if before + after in line
    )
    with pytest.raises(GrammarError) as caught:
        load(text)
    first = str(caught.value)
    if first.split(" ", 1)[0].isdigit():  # several problems: the first one of the file
        first = first.partition("\n")[2]
    assert first.startswith(f"{tmp_path}/grammar0.yaml:{number}:{column}: ")
    assert told in first
    lines = first.splitlines()
    assert lines[1].strip() == text.splitlines()[number - 1].strip()
    assert lines[2].index("^") == column + 3


def test_all_mistakes_are_told_at_once(load: Load) -> None:
    with pytest.raises(GrammarError) as caught:
        load(expression('"$a:a and $b:b"', '"@c"', '"go ["') + "  macros: {d: ['@d'], e: ['@f'], f: ['@e']}\n")
    told = str(caught.value)
    assert told.startswith("6 problems in the intents")
    for cause in ("slot 'a'", "slot 'b'", "macro 'c'", "never closed", "@d -> @d", "@e -> @f -> @e"):
        assert cause in told


def test_a_file_without_context_is_no_grammar(load: Load) -> None:
    with pytest.raises(GrammarError, match="an intent pack has no 'expressions'"):
        load("expressions: {a: [b]}\n")


# Converted -----------------------------------------------------------------------------------------------------

PHRASE = st.lists(
    st.sampled_from(["go", "to", "the", "red", "big house", "twelve", "oz", "I'd"]), min_size=1, max_size=3
)
REFERENCE = st.sampled_from(
    ["$room:where", "$room", "@polite", "@way", "$pv.Percent:p", "$pv.SingleDigitOrdinal:n", "$pv.Alphanumeric:c"]
)
GROUP = ["[turn on, switch on, start up, get going]", "(could you be so kind and, would you)"]


def groups(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    options = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return st.one_of(options.map("[{}]".format), options.map("({})".format))


PIECES = st.one_of(PHRASE.map(" ".join), REFERENCE, st.sampled_from(GROUP))
NESTED = st.recursive(PIECES, groups, max_leaves=6)
EXPRESSIONS = st.lists(NESTED, min_size=1, max_size=4).map(lambda pieces: " ".join(["then", *pieces]))


@st.composite
def grammars(draw: st.DrawFn) -> str:
    def lines(strategy: st.SearchStrategy[str], most: int) -> list[str]:
        return [f'      - "{each}"' for each in draw(st.lists(strategy, min_size=1, max_size=most))]

    return "\n".join(
        [
            "context:",
            "  expressions:",
            *["    first:", *lines(EXPRESSIONS, 5)],
            *["    second:", *lines(EXPRESSIONS, 3)],
            "  slots:",
            *["    room:", *lines(st.sampled_from(["red room", "Hall", "on", "5", "no", "null", "big house"]), 4)],
            "  macros:",
            *["    way:", *lines(st.sampled_from(["the @polite way", "$room:way", "(in, out) there"]), 3)],
            *["    polite:", *lines(st.sampled_from(["please", "(now)", "be [good, quick] and"]), 2)],
            "",
        ]
    )


@given(EXPRESSIONS)
def test_an_expression_is_a_template(text: str) -> None:
    tree = rhino_syntax.parse(text).tree
    assert template.parse(template.unparse(tree)) == tree


@given(st.text("ab'1 [](),$@:.{!-é%\n", max_size=30))
def test_any_text_is_an_expression_or_told_of(text: str) -> None:
    try:
        tree = rhino_syntax.parse(text).tree
    except template.TemplateError as error:
        assert 0 <= error.at <= len(text)
    else:
        assert template.parse(template.unparse(tree)) == tree


@given(grammars())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_converted_grammar_matches_the_same(tmp_path: Path, text: str) -> None:
    check_conversion(text, tmp_path, 30)


def check_conversion(text: str, folder: Path, limit: int) -> bool:
    """The pack that a grammar is converted into has its sentences, with the same meanings.

    Returns:
        Whether all of the sentences were understood. "twelve oz" is one that is not, where "oz" is no word of a
        number's own text.
    """
    grammar, pack = folder / "own.rhino.yaml", folder / "own.yaml"
    grammar.write_text(text, "utf-8")
    pack.write_text(convert(grammar), "utf-8")
    original, converted = Grammar.load([grammar]), Grammar.load([pack])
    phrases = original.phrases(limit)
    assert phrases
    assert set(phrases) == set(converted.phrases(limit)) or phrases.cut
    understood = True
    for phrase in [*phrases, *converted.phrases(limit)]:
        first, second = original.match(phrase), converted.match(phrase)
        assert isinstance(first, Match) == isinstance(second, Match)
        understood &= isinstance(first, Match)
        if isinstance(first, Match) and isinstance(second, Match):
            assert (first.intent, first.text, first.score) == (second.intent, second.text, second.score)
    return understood


def test_the_bakery_converted(tmp_path: Path) -> None:
    assert check_conversion(BAKERY, tmp_path, 500)


def test_a_pack_reads_well(tmp_path: Path) -> None:
    grammar = tmp_path / "tea.rhino.yaml"
    grammar.write_text(
        expression(
            *['"[make me, I would like] a $size:cup tea"', '"[make me, I would like] tea (now)"'],
            '"[make me, I would like] $pv.Percent:milk milk @end"',
            more="  slots: {size: [small, 'on']}\n  macros:\n    end: [for me, for all]\n    make_me: [up]\n",
        )
    )
    assert convert(grammar) == (
        "# Made of tea.rhino.yaml, a grammar of Rhino.\n"
        "# An intent does something when you give it an 'action:', and answers when you give it a 'response:'.\n"
        "\n"
        "intents:\n"
        "  test:\n"
        "    data:\n"
        "      - sentences:\n"
        "          - <make_me_2> a {size:cup} tea\n"
        "          - <make_me_2> tea [now]\n"
        "          - <make_me_2> {pv.Percent:milk} milk <end>\n"
        "expansion_rules:\n"
        "  make_me_2: (make me|I would like)\n"
        "  end: (for me|for all)\n"
        "  make_me: up\n"
        "lists:\n"
        "  size:\n"
        "    values:\n"
        "      - small\n"
        "      - 'on'\n"
        "  pv.Percent:\n"
        "    range:\n"
        "      from: 0\n"
        "      to: 100\n"
        "      type: percentage\n"
    )


def test_what_is_no_grammar_is_not_converted(tmp_path: Path) -> None:
    path = tmp_path / "pack.yaml"
    path.write_text("intents: {}\n")
    with pytest.raises(GrammarError, match=r"pack\.yaml: this is no grammar of Rhino; one begins with 'context:'"):
        convert(path)
    path.write_text(expression('"(please)"', '"a $b:b"'))
    with pytest.raises(GrammarError, match="2 problems in the grammar"):
        convert(path)
    with pytest.raises(GrammarError, match="it cannot be read"):
        convert(tmp_path / "no.yaml")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bakery.rhino.yaml"
    path.write_text(BAKERY)
    assert main(["intents", "convert", str(path)]) == 0
    text = capsys.readouterr().out
    assert text == convert(path)

    assert main(["intents", "convert", str(path), "--output", str(tmp_path)]) == 0
    written = tmp_path / "bakery.yaml"
    assert capsys.readouterr().err == f"wrote {written}\n"
    assert written.read_text("utf-8") == text

    written.write_text("mine")
    assert main(["intents", "convert", str(path), "-o", str(written)]) == 10
    assert "there is such a file already; name another one, or add --force" in capsys.readouterr().err
    assert written.read_text() == "mine"
    assert main(["intents", "convert", str(path), "-o", str(written), "--force"]) == 0
    assert written.read_text("utf-8") == text

    assert main(["intents", "convert", str(path), "-o", str(tmp_path / "no" / "where.yaml")]) == 10
    assert "where.yaml: it cannot be written: No such file or directory" in capsys.readouterr().err
    assert main(["intents", "convert", str(written)]) == 7


# A grammar of others -------------------------------------------------------------------------------------------


@pytest.fixture
def barista() -> Iterator[Path]:
    path = Path(os.environ.get("EDGEVOICE_DATA", "")) / "barista" / "coffee_maker.rhino.yaml"
    if "EDGEVOICE_DATA" not in os.environ or not path.is_file():
        pytest.skip("EDGEVOICE_DATA names no folder with barista/coffee_maker.rhino.yaml")
    yield path


def test_the_coffee_maker(barista: Path, tmp_path: Path) -> None:
    made = Grammar.load([barista])
    assert meaning(made, "Can I have a 12-ounce dark roast latte with some milk and lots of sugar?") == (
        "orderDrink",
        {
            "size": "twelve ounce",
            "roast": "dark roast",
            "coffeeDrink": "latte",
            "milkAmount": "some milk",
            "sugarAmount": "lots of sugar",
        },
    )
    assert check_conversion(barista.read_text("utf-8"), tmp_path, 500)
