"""Packs: what they may hold, how they are laid over each other, and what is said about their mistakes."""

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevoice.engines.protocols import Hypothesis, Reading
from edgevoice.errors import GrammarError
from edgevoice.think import compiler
from edgevoice.think.grammar import Entry, Grammar, Match, NoMatch, default_pack

Load = Callable[..., Grammar]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load packs from their texts, each in a file of its own."""

    def make(*texts: str) -> Grammar:
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / ("pack.yaml" if number == 0 else f"pack{number}.yaml")
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return Grammar.load(paths)

    return make


def sentence(template: str, more: str = "") -> str:
    return f"intents:\n  Test:\n    data:\n      - sentences:\n          - {template}\n{more}"


def slots(found: object) -> dict[str, object]:
    assert isinstance(found, Match), found
    return dict(found.intent.slots)


# Lists ---------------------------------------------------------------------------------------------------------


def test_what_is_said_and_what_it_means(load: Load) -> None:
    made = load(
        sentence("set {value}")
        + """
lists:
  value:
    values:
      - plain words
      - in: (one|the first)
        out: 1
      - {in: [half, a bit], out: 0.5}
      - {in: always, out: true}
      - {in: "on", out: on}
      - off
      - "[the] rest"
      - 12 oz. cup
"""
    )
    said = {
        "plain words": "plain words",
        "one": 1,
        "the first": 1,
        "half": 0.5,
        "a bit": 0.5,
        "always": True,
        "on": "on",
        "off": "off",
        "rest": "rest",
        "the rest": "the rest",
        "twelve ounces cup": "12 oz. cup",
    }
    for text, value in said.items():
        assert slots(made.match(f"set {text}")) == {"value": value}, text
    assert type(slots(made.match("set one"))["value"]) is int


def test_ranges_are_said_in_words_or_digits(load: Load) -> None:
    made = load(
        sentence("set {level} now") + "lists:\n  level: {range: {from: -10, to: 110, step: 5, type: percentage}}\n"
    )
    for text in ("110", "110%", "one hundred ten percent", "a hundred and ten", "one hundred and ten"):
        assert slots(made.match(f"set {text} now")) == {"level": 110}
    assert slots(made.match("set -5 now")) == {"level": -5}
    assert slots(made.match("set 0% now")) == {"level": 0}
    for text in ("7", "115", "-15", "", "ten five"):
        assert not isinstance(made.match(f"set {text} now"), Match), text


def test_temperatures_may_have_degrees(load: Load) -> None:
    made = load(sentence("set {t}") + "lists:\n  t: {range: {from: 0, to: 30, type: temperature}}\n")
    assert slots(made.match("set 21°")) == slots(made.match("set twenty one")) == {"t": 21}


def test_units_behind_a_range_are_written_out(load: Load) -> None:
    made = load(sentence("a {n} oz cup") + "lists:\n  n: {range: {from: 1, to: 20}}\n")
    assert slots(made.match("a 12 oz. cup")) == slots(made.match("A 12-ounce cup")) == {"n": 12}


def test_a_list_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "intents.yaml").write_text(sentence("go to {place} {how}"))
    (tmp_path / "lists" / "place.yaml").write_text("- home\n- {in: work, out: office}\n")
    (tmp_path / "lists" / "how.yaml").write_text("values:\n  - slowly\n")
    assert slots(Grammar.load([tmp_path]).match("go to work slowly")) == {"place": "office", "how": "slowly"}


def test_a_list_that_a_context_chooses_from(load: Load) -> None:
    made = load(
        """
intents:
  Dim:
    data:
      - sentences: ["dim <what>"]
        requires_context: {domain: [light, lamp]}
  Close:
    data:
      - sentences: ["close <what> in {area}"]
        excludes_context: {domain: light}
expansion_rules: {what: "the {name}"}
lists:
  area: [kitchen]
  name:
    - {in: ceiling, context: {domain: light}}
    - {in: blind, context: {domain: cover}}
    - {in: thing}
"""
    )
    assert slots(made.match("dim the ceiling")) == {"name": "ceiling"}
    assert not isinstance(made.match("dim the blind"), Match)
    assert not isinstance(made.match("dim the thing"), Match)
    assert slots(made.match("close the blind in kitchen")) == {"name": "blind", "area": "kitchen"}
    assert not isinstance(made.match("close the ceiling in kitchen"), Match)
    made.replace_list("name", [Entry("door", 7, {"domain": "cover"}), Entry("spot", None, {"domain": "light"})])
    assert slots(made.match("close the door in kitchen")) == {"name": 7, "area": "kitchen"}
    assert slots(made.match("dim the spot")) == {"name": "spot"}
    assert not isinstance(made.match("dim the door"), Match)


def test_a_list_is_replaced_while_it_is_used(load: Load) -> None:
    made = load(sentence("call {name} [now]") + "lists:\n  name: [anna]\n")
    before = made.automaton
    made.replace_list("name", ["Ben (work)", "Zoë"])
    assert slots(made.match("call ben work now")) == {"name": "Ben (work)"}
    assert slots(made.match("Call Zoë!")) == {"name": "Zoë"}
    assert not isinstance(made.match("call anna"), Match)
    assert made.automaton is not before
    assert made.automaton.nets[0] is before.nets[0]  # only the list was made anew
    assert made.phrases(10).phrases == ("call ben work now", "call zoë", "call ben work", "call zoë now")
    made.replace_list("name", [])
    assert not isinstance(made.match("call ben work"), Match)


@pytest.mark.parametrize(
    ("name", "values", "cause"),
    [
        ("nam", ["x"], "there is no list 'nam'"),
        ("n", ["x"], "'n' is no list of values"),
        ("d", ["x"], "'d' is no list of values"),
        ("name", ["a", "?!"], "nothing is left"),
    ],
)
def test_a_list_that_cannot_be_replaced_stays(load: Load, name: str, values: list[str], cause: str) -> None:
    made = load(
        sentence("call {name} {n}") + "lists:\n  name: [anna]\n  n: {range: {from: 1, to: 2}}\n  d: {time: true}\n"
    )
    with pytest.raises(GrammarError, match=cause):
        made.replace_list(name, values)
    assert slots(made.match("call anna two")) == {"name": "anna", "n": 2}


def test_the_limit_of_states_holds_for_packs_and_for_replaced_lists(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load(sentence("call {name}") + "lists:\n  name: [anna]\n")
    monkeypatch.setattr(compiler, "MAX_STATES", 100)
    with pytest.raises(GrammarError, match="the limit of 100 states is reached with these 200 values"):
        made.replace_list("name", [f"name {number}" for number in range(200)])
    assert isinstance(made.match("call anna"), Match)
    made.replace_list("name", [f"name {number}" for number in range(20)])
    assert isinstance(made.match("call name 19"), Match)
    many = "".join(f"    - name {number}\n" for number in range(200))
    with pytest.raises(
        GrammarError, match=r"pack.yaml:\d+:7: the automaton has reached its limit of 100 states"
    ) as caught:
        load(sentence("call {name}") + f"lists:\n  name:\n{many}")
    assert "use smaller lists" in str(caught.value)


# Pieces that touch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("light[s] on", ["light on", "lights on"]),
        ("turn[ing] (up|down)stairs[ now]", ["turn upstairs", "turning downstairs now"]),
        ("turn on[ the] light", ["turn on light", "turn on the light"]),
        ("[the ][big ]light", ["light", "the light", "big light", "the big light"]),
        ("a[ b ]c", ["ac", "a b c"]),
        ("a[b;c]d", ["ad", "a b c d", "a c b d"]),
        ("a[{x} ]d", ["ad", "a one d"]),
        ("({x}|all )lights", ["one lights", "all lights"]),
        ("set {x}[%| percent]", ["set one", "set one percent"]),
        ("[pre]heat|cool[ing]", ["preheat", "heat", "cool", "cooling"]),
    ],
)
def test_pieces_that_touch_are_one_word(load: Load, template: str, said: list[str]) -> None:
    made = load(sentence(f"'{template}'", "lists: {x: [one]}\n"))
    assert set(said) <= set(made.phrases(100))
    allowed = {word for phrase in said for word in phrase.split()}
    assert made.automaton.vocabulary() <= allowed | {"turning", "upstairs", "downstairs", "one"}


# Packs over each other -----------------------------------------------------------------------------------------


def test_a_later_pack_extends_and_overrides(load: Load) -> None:
    first = """
intents:
  Go:
    data: [{sentences: ["go {place}"]}]
    action: {builtin: one}
    response: Going to {place}.
  Stop: {data: [{sentences: [stop]}]}
lists: {place: [home], when: [now]}
expansion_rules: {nice: please}
"""
    second = """
intents:
  Go:
    data: [{sentences: ["walk {place} {when}"]}]
    action: {builtin: two}
  Stop:
    replace: true
    data: [{sentences: [halt]}]
lists:
  place: [work]
  when: {extend: true, values: [later]}
"""
    made = load(first, second)
    assert slots(made.match("go work")) == {"place": "work"}
    assert not isinstance(made.match("go home"), Match)
    assert slots(made.match("walk work later")) == {"place": "work", "when": "later"}
    assert isinstance(made.match("walk work now"), Match)
    assert made.intents["Go"].action == {"builtin": "two"}
    assert made.intents["Go"].responses == ("Going to {place}.",)
    assert isinstance(made.match("halt"), Match)
    assert not isinstance(made.match("stop"), Match)


def test_where_two_packs_claim_a_sentence_the_later_one_gets_it(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    made = load("intents: {A: {data: [{sentences: [go]}]}}", "intents: {B: {data: [{sentences: [go]}]}}")
    found = made.match("go")
    assert isinstance(found, Match)
    assert found.intent.name == "B"


def test_two_intents_with_one_sentence_are_a_warning(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    load(
        "intents:\n  A:\n    data:\n    - sentences: ['turn (on|off) {x}']\n"
        "  B:\n    data:\n    - sentences: [hello, '(start|turn off) the fan', 'turn off (it|that)']\n"
        "lists: {x: [light, the fan]}\n"
    )
    assert caplog.messages == []  # A says "the fan" with a list, B word by word: B is the better one
    load(
        "intents:\n  A:\n    data:\n    - sentences: ['(go|turn off) [now]']\n"
        "  B:\n    data:\n    - sentences: ['[please] turn off']\n"
    )
    assert [(record.name, record.levelno) for record in caplog.records] == [("edgevoice.think", logging.WARNING)]
    (message,) = caplog.messages
    assert "'turn off' is a sentence of B and of A" in message
    assert message.count("pack.yaml:") == 2
    assert "pack.yaml:4" in message and "pack.yaml:7" in message


def test_actions_and_responses(load: Load) -> None:
    made = load(
        """
intents:
  Light:
    data:
      - sentences: ["light {area}"]
        slots: {state: on, level: 5}
      - sentences: [lights]
        response: [All., "All {result.n}."]
    action: {command: [all, "on", on, 1, 2.5, true, ~]}
    response: done
lists: {area: [kitchen]}
responses:
  done: ["The {area} light is {state}.", Done.]
"""
    )
    found = made.match("light kitchen")
    assert isinstance(found, Match)
    assert found.intent.slots == {"area": "kitchen", "state": "on", "level": 5}
    assert found.spec is made.intents["Light"]
    assert found.spec.action == {"command": ["all", "on", "on", 1, 2.5, True, None]}
    assert found.spec.responses == ("The {area} light is {state}.", "Done.")
    assert found.spec.action_place.endswith("pack.yaml:9")
    assert found.spec.place.endswith("pack.yaml:3")
    other = made.match("lights")
    assert isinstance(other, Match)
    assert other.spec.action == found.spec.action
    assert other.spec.responses == ("All.", "All {result.n}.")


# Phrases -------------------------------------------------------------------------------------------------------


def test_phrases_are_complete_sentences(load: Load) -> None:
    made = load(
        "intents:\n  A: {data: [{sentences: ['(switch|turn) on [the] light[s]', 'set {n}']}]}\n"
        "  B: {data: [{sentences: ['say {text}']}]}\n"
        "lists:\n  n: {range: {from: 20, to: 21}}\n  text: {wildcard: true}\n"
    )
    found = made.phrases(100)
    assert set(found) == {
        *(
            f"{verb} on {noun}"
            for verb in ("switch", "turn")
            for noun in ("light", "lights", "the light", "the lights")
        ),
        "set twenty",
        "set twenty one",
    }
    assert len(found) == len(set(found)) == 10
    assert (found.cut, found.open, found.complete) == (False, True, False)
    some = made.phrases(3)
    assert len(some) == 3 and some.cut
    assert any(phrase.startswith("set") for phrase in some)  # every template has its turn
    assert all(isinstance(made.match(phrase), Match) for phrase in found)


def test_phrases_are_given_up_where_sentences_are_too_long_to_be_said(load: Load) -> None:
    made = load(sentence("(a|b) " * 150) + "  B: {data: [{sentences: [c]}]}\n")
    assert made.phrases(10).phrases == ("c",)
    assert made.phrases(10).cut


# The default pack ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home() -> Grammar:
    return Grammar.load([default_pack()])


@pytest.mark.parametrize(
    ("text", "intent", "filled"),
    [
        ("Turn on the kitchen light.", "LightOn", {"area": "kitchen"}),
        ("Could you please switch the lights in the living room on?", "LightOn", {"area": "living room"}),
        ("turn on the lights", "LightOn", {"area": "house"}),
        ("lights off", "LightsOff", {}),
        ("turn off the kitchen light", "LightOff", {"area": "kitchen"}),
        ("turn off the lamp in my office", "LightOff", {"area": "office"}),
        ("Dim the bedroom lights to 20%.", "LightBrightness", {"area": "bedroom", "brightness": 20}),
        ("set the kitchen brightness to fifty", "LightBrightness", {"area": "kitchen", "brightness": 50}),
        ("make the hallway light warm white", "LightColor", {"area": "hallway", "color": "warm white"}),
        ("is the garage light on", "LightState", {"area": "garage"}),
        ("turn on the coffee maker", "DeviceOn", {"device": "coffee machine"}),
        ("switch the bedroom fan off", "AreaDeviceOff", {"area": "bedroom", "device": "fan"}),
        ("is the heater on", "DeviceState", {"device": "heater"}),
        ("turn everything off", "EverythingOff", {}),
        ("set the volume to 30", "VolumeSet", {"level": 30}),
        ("volume up", "VolumeUp", {}),
        ("turn it down", "VolumeDown", {}),
        ("mute", "VolumeMute", {}),
        ("What time is it?", "Time", {}),
        ("what's the date", "Date", {}),
        ("what day is it today", "Date", {}),
        ("repeat that", "Repeat", {}),
        ("Never mind.", "Stop", {}),
        ("stop", "Stop", {}),
        ("cancel", "Stop", {}),
        ("hello", "Hello", {}),
        ("thank you", "Thanks", {}),
        ("what can you do", "Help", {}),
    ],
)
def test_the_default_pack(home: Grammar, text: str, intent: str, filled: dict[str, object]) -> None:
    found = home.match(text)
    assert isinstance(found, Match), found
    assert (found.intent.name, found.intent.slots) == (intent, filled)


def test_no_two_intents_of_the_default_pack_claim_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    Grammar.load([default_pack()])
    assert caplog.messages == []


def test_there_is_no_default_pack_for_every_language() -> None:
    with pytest.raises(GrammarError, match=r"no default pack for the language 'tlh'; there are: en"):
        default_pack("tlh")


# Mistakes ------------------------------------------------------------------------------------------------------


_ALIASES = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 20)}]\n" for before, name in itertools.pairwise("abcdefghi")
)

# 2**25 states with the rules written out:
_DOUBLED = (
    "expansion_rules:\n"
    + "".join(f"  r{n}: '[<r{n + 1}>] [<r{n + 1}>]'\n" for n in range(25))
    + "  r25: x\n"
    + sentence("go <r0>")
)
_CHAINED = "expansion_rules:\n" + "".join(f"  r{n}: <r{n + 1}>\n" for n in range(50)) + "  r50: x\n" + sentence("<r0>")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            sentence("turn (on|off the light"),
            "pack.yaml:5:18: this '(' is never closed; add a ')'\n"
            "              - turn (on|off the light\n"
            "                     ^",
        ),
        (
            sentence("turn on the {aera} light", "lists: {area: [x]}\n"),
            "pack.yaml:5:25: there is no list 'aera'; did you mean 'area'?\n"
            "              - turn on the {aera} light\n"
            "                            ^",
        ),
        (sentence("'turn \"it'' {aera}'"), "pack.yaml:5:25: there is no list 'aera'"),
        (sentence('"turn \\"it\\" {aera}"'), "pack.yaml:5:26: there is no list 'aera'"),
        (sentence(">-\n            turn it\n            on {aera}"), "pack.yaml:7:16: there is no list 'aera'"),
        (sentence("turn <teh> x", "expansion_rules: {the: '[the]'}\n"), ":5:18: there is no rule 'teh'; did you mean"),
        (sentence("turn {the} x", "expansion_rules: {the: '[the]'}\n"), "there is a rule of that name, write <the>"),
        (sentence("turn <a> x", "lists: {a: [b]}\n"), "there is a list of that name, write {a}"),
        (
            sentence("go <a>", "expansion_rules:\n  a: x <b>\n  b: y <c>\n  c: z <a>\n"),
            "pack.yaml:9:8: the rule refers to itself: <a> -> <b> -> <c> -> <a>",
        ),
        (sentence("go", "expansion_rules:\n  a: x [<a>]\n"), "pack.yaml:7:9: the rule refers to itself: <a> -> <a>"),
        (sentence("'[please] [<a>]'", "expansion_rules: {a: x}\n"), ":5:13: this template matches the empty sentence"),
        (sentence("<a>", "expansion_rules: {a: '[x]'}\n"), ":5:13: this template matches the empty sentence"),
        (sentence("go - {a} there", "lists: {a: [b]}\n"), None),
        (sentence("(go|?!) there"), ":5:17: nothing is left of '?!' as words"),
        (sentence("go {a}", "lists:\n  a:\n    - b\n    - '...'\n"), "yaml:9:7: nothing is left of '...' as words"),
        (sentence("go {a}", "lists:\n  a:\n    - '[b]'\n"), "a value of 'a' matches nothing at all"),
        (sentence("go {a}", "lists:\n  a:\n    - 'x {a}'\n"), "a list's value cannot contain a list"),
        (sentence("go {a}s", "lists: {a: [b]}\n"), ":5:19: 's' touches a list or rule; put a space between them"),
        (sentence("go", "lists:\n  a: [b]\n  a: [c]\n"), "pack.yaml:8:3: 'a' stands twice; the first is in line 7"),
        (sentence("go", "lists:\n  a: {values: [b], wildcard: true}\n"), "needs exactly one of 'values', 'range'"),
        (sentence("go", "lists:\n  a: {rnage: {from: 1, to: 2}}\n"), "list 'a' has no 'rnage'; did you mean 'range'?"),
        (sentence("go", "lists:\n  a: {range: {from: 1}}\n"), "the range has no 'to'"),
        (sentence("go", "lists:\n  a: {range: {from: 5, to: 1}}\n"), "the range ends (1) before it starts (5)"),
        (sentence("go", "lists:\n  a: {range: {from: 1, to: 5, step: 0}}\n"), "the step must be 1 or more"),
        (sentence("go", "lists:\n  a: {range: {from: 1, to: 1000000}}\n"), "more than 10001 numbers in one range"),
        (sentence("go", "lists:\n  a: {range: {from: 1.5, to: 5}}\n"), "'from' must be a whole number"),
        (sentence("go", "lists:\n  a: {range: {from: 1, to: 5, type: percent}}\n"), "did you mean 'percentage'?"),
        (sentence("go", "lists:\n  a: {wildcard: maybe}\n"), "wildcard must be true or false"),
        (sentence("go", "lists:\n  a: {duration: 5}\n"), "pack.yaml:7:17: duration must be true or false"),
        (sentence("go", "lists:\n  a: {time: false}\n"), "pack.yaml:7:13: only 'time: true' makes sense"),
        (sentence("go", "lists:\n  a: {time: true, extend: true}\n"), "only a list of values can be extended"),
        (sentence("(" * 60 + "go" + ")" * 60), "pack.yaml:5:53: groups are nested deeper than 40"),
        (sentence("go", "lists:\n  a:\n    - out: x\n"), "a value needs 'in', what is said for it"),
        (sentence("go", "lists: {a: 5}\n"), "list 'a' must be a mapping (name: value)"),
        (sentence("go", "skip_words: ['[um]']\n"), "this matches nothing at all"),
        ("intnets: {}\n", "pack.yaml:1:1: an intent pack has no 'intnets'; did you mean 'intents'?"),
        ("intents:\n  A:\n    data:\n      - sentence: [x]\n", "did you mean 'sentences'?"),
        ("intents:\n  A:\n    data: {sentences: [x]}\n", "data must be a list"),
        ("intents:\n  A:\n    data: [x]\n", "an item of 'A' must be a mapping with 'sentences'"),
        ("intents:\n  A:\n    action: {builtin: x}\n", "pack.yaml:2:3: the intent 'A' has no sentences"),
        ("intents:\n  A:\n    data: [{sentences: [[x]]}]\n", "a sentence must be a text"),
        (sentence("go", "    action: time\n"), "an action must be a mapping"),
        (sentence("go", "    action: {http: {url: a, url: b}}\n"), ":6:29: 'url' stands twice; the first is in line 6"),
        (
            sentence("go {a}", "    response: To {b}.\nlists: {a: [x]}\n"),
            ":6:18: the intent has no slot 'b'; there are",
        ),
        (sentence("go", "    response: To {.\n"), ":6:18: a single '{'; write '{{' for the character"),
        (sentence("go", "    response: [a, {b: c}]\n"), "a response must be a text"),
        ("intents: [\n", "pack.yaml:2:1: it is no YAML"),
        ("\tintents: x\n", "pack.yaml:1:1: it is no YAML"),
        ("", "pack.yaml: there is not a single sentence"),
        ("# nothing\n", "there is not a single sentence"),
        ("intents:\n", "there is not a single sentence"),
        ("lists: {a: [b]}\n", "there is not a single sentence"),
        ("just text\n", "an intent pack must be a mapping (name: value)"),
        ("a: \x07\n", "pack.yaml: a character that YAML does not allow, U+0007"),
        ("[" * 100 + "]" * 100, "pack.yaml:1:31: nested deeper than 30"),
        ("[" * 100_000, "pack.yaml:1:31: nested deeper than 30"),
        ("- " * 50_000, "pack.yaml:1:61: nested deeper than 30"),
        (_ALIASES, "more than 2000000 values (aliases followed)"),
        ("a: &a [*a]\n", "nested deeper than 30 (aliases followed)"),
        (sentence("(a|b|c|d|e|f|g|h|i|j)" * 3 + "(a|b)"), "have more than 1000 spellings"),
        (_DOUBLED, ":13: with its rules written out this template has more than 20000 states"),
        (_CHAINED, "rules are nested deeper than 30"),
        (sentence("'(a;b;c;d;e;f;g;h;i)'"), "a permutation of 9 items; the limit is 8"),
    ],
)
def test_every_mistake_has_its_place_and_remedy(load: Load, text: str, message: str | None) -> None:
    if message is None:
        load(text)
        return
    with pytest.raises(GrammarError) as caught:
        load(text)
    assert message in str(caught.value)


def test_all_mistakes_are_shown_together(load: Load) -> None:
    with pytest.raises(GrammarError) as caught:
        load(sentence("go {a} <b> (", "lists: {c: {}}\n"), sentence("go {x} <y>"))
    text = str(caught.value)
    assert text.startswith("4 problems in the intents\n")
    for part in ("this '(' is never closed", "list 'c' needs", "no list 'x'", "no rule 'y'"):
        assert part in text


def test_many_mistakes_are_counted(load: Load) -> None:
    with pytest.raises(GrammarError, match="and 30 more"):
        load("intents:\n  A:\n    data:\n    - sentences:\n" + "".join(f"      - go {{x{n}}}\n" for n in range(50)))


def test_a_list_in_two_files_of_a_pack(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(sentence("go {x}", "lists: {x: [b]}\n"))
    (tmp_path / "x.yaml").write_text("- c\n")
    with pytest.raises(GrammarError, match=r"x.yaml:1:1: the list 'x' stands twice; the first is in .*a.yaml:6"):
        Grammar.load([tmp_path])


def test_a_list_without_values_is_a_warning(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    made = load(sentence("go {x}", "lists: {x: []}\n"))
    assert "the list 'x' has no values" in caplog.text
    made.replace_list("x", ["home"])
    assert slots(made.match("go home")) == {"x": "home"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(GrammarError, match="there is no such file or directory"):
        Grammar.load([tmp_path / "no.yaml"])
    with pytest.raises(GrammarError, match=r"there is no \.yaml file in this directory"):
        Grammar.load([tmp_path])
    with pytest.raises(GrammarError, match="there is not a single sentence"):
        Grammar.load([])
    (tmp_path / "latin.yaml").write_bytes(b"intents: {\xe4: 1}")
    with pytest.raises(GrammarError, match=r"latin.yaml: it is not UTF-8 text \(byte 10\)"):
        Grammar.load([tmp_path])


# Readings ------------------------------------------------------------------------------------------------------

TEA = """
intents:
  Tea: {data: [{sentences: ["(make|bring) [a] {size} tea"]}]}
  Door: {data: [{sentences: [open the door]}]}
lists:
  size: {values: [small, large]}
"""


def heard(**probabilities: float) -> Hypothesis:
    readings = [Reading(text.replace("_", " "), probability) for text, probability in probabilities.items()]
    return Hypothesis(readings[0].text, confidence=0.8, readings=readings)


def test_readings_of_one_meaning_count_together(load: Load) -> None:
    grammar = load(TEA)
    readings = heard(make_a_small_tea=0.4, make_large_tea=0.3, bring_a_large_tea=0.2, open_the_door=0.1)
    found = grammar.understand(readings)
    assert isinstance(found, Match)
    assert (found.intent.name, slots(found)) == ("Tea", {"size": "large"})
    assert found.confidence == pytest.approx(0.8 * 0.9)
    assert found.slot_confidence == {"size": pytest.approx(0.8 * 0.5)}
    refused = grammar.understand(heard(make_a_small_tea=1.0), refuse_below=0.81)
    assert isinstance(refused, NoMatch)
    assert refused.intent == "Tea"


def test_what_can_hardly_have_been_said_is_not_compared(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar, compared = load(TEA), list[str]()
    exact = grammar._exact

    def noted(text: str) -> Match | None:
        compared.append(text)
        return exact(text)

    monkeypatch.setattr(grammar, "_exact", noted)
    grammar.understand(heard(make_a_small_tea=0.6, make_large_tea=0.395, open_the_door=0.004, make_small_tea=0.001))
    assert compared == ["make a small tea", "make large tea"]
