r"""Sentence templates: the notation of Home Assistant's intents (hassil), parsed into a tree with source positions.

    turn on the lights          words
    (light|lamp)                one of them
    [the]                       this or nothing; ``[the|my]`` one of them or nothing
    (in the kitchen;at once)    all of them, in any order
    {area}                      a value of the list ``area``, put into the slot ``area``
    {area:room}                 the same, put into the slot ``room``
    <greeting>                  the expansion rule ``greeting``
    \( \[ \{ \< \| \; \\        the character itself

What touches without a space belongs to one word: ``light[s]`` is "light" or "lights", ``[the ]light`` is
"the light" or "light".
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from edgevoice.errors import GrammarError

MAX_DEPTH = 40
"""How deep groups may be nested. Real templates stay below ten; the bound keeps the recursive parser within its
stack."""

MAX_LENGTH = 20_000
"""Characters of one template; a hundred times the longest of real packs."""


class TemplateError(GrammarError):
    """A template that cannot be read; ``at`` is the offset of the place in its text."""

    def __init__(self, cause: str, at: int, remedy: str = "") -> None:
        super().__init__(cause, remedy=remedy)
        self.at = at


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    """As written, spaces included, escapes undone."""
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    items: "tuple[Node, ...]"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Alternatives:
    options: tuple[Sequence, ...]
    optional: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Permutation:
    items: tuple[Sequence, ...]
    optional: bool = False
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListRef:
    name: str
    slot: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class RuleRef:
    name: str
    at: int = field(default=0, compare=False)


Node = Text | Sequence | Alternatives | Permutation | ListRef | RuleRef

_SPECIAL = frozenset("()[]{}<>|;\\")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
NAME = re.compile(r"[^\W\d][\w.-]*")
"""Of a list, a slot or a rule."""


def is_plain(text: str) -> bool:
    """Whether the text has none of the notation in it."""
    return _SPECIAL.isdisjoint(text)


def parse(text: str) -> Sequence:
    """The tree of a template.

    Raises:
        TemplateError: with the offset of the place.
    """
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"the template has more than {MAX_LENGTH} characters", 0, "split it up")
    parser = _Parser(text)
    options, separator = parser.options("")
    if separator == "|":
        return Sequence((Alternatives(options, at=0),), at=0)
    if separator == ";":
        return Sequence((Permutation(options, at=0),), at=0)
    return options[0]


def unparse(node: Node) -> str:
    """The template of a tree; ``parse`` of it gives the tree again."""
    match node:
        case Text(text):
            return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
        case Sequence(items):
            return "".join(map(unparse, items))
        case Alternatives(options, optional):
            inner = "|".join(map(unparse, options))
            return f"[{inner}]" if optional else f"({inner})"
        case Permutation(parts, optional):
            inner = ";".join(map(unparse, parts))
            return f"[{inner}]" if optional else f"({inner})"
        case ListRef(name, slot):
            return f"{{{name}}}" if name == slot else f"{{{name}:{slot}}}"
        case RuleRef(name):
            return f"<{name}>"


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def options(self, closing: str) -> tuple[tuple[Sequence, ...], str]:
        """Sequences up to ``closing`` (or the end of the text, when it is empty), and what separates them."""
        found: list[Sequence] = []
        separator = ""
        while True:
            found.append(self.sequence())
            char = self.text[self.at : self.at + 1]
            if char in ("|", ";") and char:
                if separator and char != separator:
                    self.fail(
                        "'|' (one of them) and ';' (all, in any order) in one group",
                        "put the inner ones into a group of their own with '( )'",
                    )
                separator = char
                self.at += 1
                continue
            if char == closing:
                return tuple(found), separator
            if char:
                opening = next(key for key, value in _CLOSING.items() if value == char)
                self.fail(f"'{char}' without a '{opening}' before it", f"write '\\{char}' for the character itself")
            return tuple(found), separator

    def sequence(self) -> Sequence:
        start = self.at
        items: list[Node] = []
        while self.at < len(self.text) and (char := self.text[self.at]) not in ")]}>|;":
            if char in "([":
                items.append(self.group(char))
            elif char == "{":
                items.append(self.list_ref())
            elif char == "<":
                items.append(self.rule_ref())
            else:
                items.append(self.words())
        return Sequence(tuple(items), at=start)

    def words(self) -> Text:
        start = self.at
        chars: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                if self.at + 1 == len(self.text):
                    self.fail("nothing follows the '\\'", "write '\\\\' for the character itself")
                self.at += 1
                char = self.text[self.at]
            elif char in _SPECIAL:
                break
            chars.append(char)
            self.at += 1
        return Text("".join(chars), at=start)

    def group(self, opening: str) -> Alternatives | Permutation:
        start = self.at
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"groups are nested deeper than {MAX_DEPTH}", "move some of them into expansion rules")
        self.at += 1
        options, separator = self.options(_CLOSING[opening])
        if self.at >= len(self.text):
            self.at = start
            self.fail(f"this '{opening}' is never closed", f"add a '{_CLOSING[opening]}'")
        self.at += 1
        self.depth -= 1
        if not separator and not options[0].items:
            self.at = start
            self.fail("an empty group", "put words into it or leave it out")
        if separator == ";":
            return Permutation(options, optional=opening == "[", at=start)
        return Alternatives(options, optional=opening == "[", at=start)

    def list_ref(self) -> ListRef:
        start = self.at
        name, slot = self.reference("{", "a list")
        return ListRef(name, slot or name, at=start)

    def rule_ref(self) -> RuleRef:
        start = self.at
        name, slot = self.reference("<", "an expansion rule")
        if slot:
            self.at = start
            self.fail("an expansion rule has no slot", f"write <{name}>; slots are named at the lists, {{list:slot}}")
        return RuleRef(name, at=start)

    def reference(self, opening: str, what: str) -> tuple[str, str]:
        start = self.at
        end = self.text.find(_CLOSING[opening], start)
        if end < 0:
            self.fail(f"this '{opening}' is never closed", f"add a '{_CLOSING[opening]}'")
        name, colon, slot = (part.strip() for part in self.text[start + 1 : end].partition(":"))
        if not NAME.fullmatch(name) or (colon and not NAME.fullmatch(slot)):
            self.fail(
                f"'{self.text[start : end + 1]}' does not name {what}",
                "a name is made of letters, digits, '_', '-' and '.', and starts with a letter or '_'",
            )
        self.at = end + 1
        return name, slot

    def fail(self, cause: str, remedy: str) -> NoReturn:
        raise TemplateError(cause, self.at, remedy)
