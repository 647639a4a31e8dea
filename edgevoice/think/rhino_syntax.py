"""Expressions of Picovoice Rhino, parsed into the tree of our own templates.

    make coffee              words
    [brew, make]             one of them
    (please)                 this or nothing; ``(the, my)`` one of them or nothing
    $size:cup                a value of the slot type ``size``, put into the slot ``cup``; ``$size`` into ``size``
    $pv.Percent:level        the same with a built-in slot type
    @order                   the macro ``order``

The notation is described in the "Rhino Syntax Cheat Sheet" (picovoice.ai/docs/tips/syntax-cheat-sheet). Groups within
groups are read too, although it does not mention them.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from edgevoice.think.template import (
    MAX_DEPTH,
    MAX_LENGTH,
    Alternatives,
    ListRef,
    Node,
    RuleRef,
    Sequence,
    TemplateError,
    Text,
)
from edgevoice.words import normalise

NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
"""Of an intent's slot, a slot type or a macro. A full stop only as in ``pv.Percent``: one behind a name ends it."""

RESERVED = frozenset("{}<>|;\\")
"""Means something in our templates and nothing in an expression; nobody can say it."""

_CLOSING = {"[": "]", "(": ")"}
_STRUCTURE = frozenset("[](),$@")


@dataclass(frozen=True, slots=True)
class Expression:
    tree: Sequence
    references: tuple[ListRef | RuleRef, ...]
    """The slots and macros in it, from left to right."""


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        TemplateError: with the offset of the place.
    """
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"the expression has more than {MAX_LENGTH} characters", 0, "split it up")
    parser = _Parser(text)
    tree = parser.sequence("")
    if not tree.items:
        raise TemplateError("an empty expression", 0, "put words into it or leave it out")
    return Expression(tree, tuple(parser.references))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.references: list[ListRef | RuleRef] = []

    def sequence(self, closing: str) -> Sequence:
        """Up to a ',' or ``closing`` (or the end of the text, when it is empty), which is left to be read."""
        start = self.at
        items: list[Node] = []
        while self.skip_spaces():
            char = self.text[self.at]
            if char in "[(":
                items.append(self.group(char))
            elif char == "$":
                items.append(self.slot())
            elif char == "@":
                items.append(self.macro())
            elif closing and (char == "," or char == closing):
                break
            elif char in _STRUCTURE:
                self.stray(char, closing)
            else:
                items.append(self.words(after_item=bool(items)))
        return Sequence(_spaced(items), at=start)

    def skip_spaces(self) -> bool:
        """Whether something follows."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def stray(self, char: str, closing: str) -> NoReturn:
        if char == ",":
            self.fail("a ',' outside of brackets", "leave it out, or put the choices into [ ]")
        if closing:
            self.fail(f"'{char}' where '{closing}' must come first", f"close the inner bracket with '{closing}'")
        opening = next(key for key, value in _CLOSING.items() if value == char)
        self.fail(f"'{char}' without a '{opening}' before it", f"add a '{opening}' or take the '{char}' away")

    def words(self, *, after_item: bool) -> Text:
        start = self.at
        if after_item and not self.text[start - 1].isspace():
            self.fail("letters touch a bracket, a slot or a macro", "put a space between them, or write both words out")
        while self.at < len(self.text) and self.text[self.at] not in _STRUCTURE:
            if self.text[self.at] in RESERVED:
                self.fail(f"'{self.text[self.at]}' means nothing in an expression", "leave it out")
            self.at += 1
        raw = self.text[start : self.at]
        if self.text[self.at : self.at + 1] in ("[", "(", "$", "@") and not raw[-1].isspace():
            self.fail("letters touch a bracket, a slot or a macro", "put a space between them, or write both words out")
        if not normalise(raw):
            self.at = start
            self.fail(f"nothing is left of '{raw.strip()}' as words", "leave it out, or write it as a word")
        return Text(" ".join(raw.split()), at=start)

    def group(self, opening: str) -> Alternatives:
        start, closing = self.at, _CLOSING[opening]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"brackets are nested deeper than {MAX_DEPTH}", "move some of them into macros")
        options: list[Sequence] = []
        while True:
            self.at += 1
            option = self.sequence(closing)
            if self.at >= len(self.text):
                self.at = start
                self.fail(f"this '{opening}' is never closed", f"add a '{closing}'")
            if not option.items:
                single = not options and self.text[self.at] == closing
                what = "empty brackets" if single else f"nothing stands before this '{self.text[self.at]}'"
                self.at = start if single else self.at
                self.fail(what, "put words there or leave it out")
            options.append(option)
            if self.text[self.at] == closing:
                break
        self.at += 1
        self.depth -= 1
        return Alternatives(tuple(options), optional=opening == "(", at=start)

    def slot(self) -> ListRef:
        start = self.at
        name = self.name("$", "a slot")
        slot = name
        if self.text[self.at : self.at + 1] == ":":
            slot = self.name(":", "the slot")
        found = ListRef(name, slot, at=start)
        self.references.append(found)
        return found

    def macro(self) -> RuleRef:
        start = self.at
        found = RuleRef(self.name("@", "a macro"), at=start)
        self.references.append(found)
        return found

    def name(self, sign: str, what: str) -> str:
        found = NAME.match(self.text, self.at + 1)
        if found is None:
            self.fail(
                f"the name of {what} is missing behind '{sign}'",
                "slots are written $type:name, macros @name, without spaces; a name begins with a letter",
            )
        self.at = found.end()
        return found[0]

    def fail(self, cause: str, remedy: str) -> NoReturn:
        raise TemplateError(cause, self.at, remedy)


def _spaced(items: list[Node]) -> tuple[Node, ...]:
    """Items with one space between them, as a template of ours would have it: in a text where there is one."""
    found: list[Node] = []
    for number, item in enumerate(items):
        if isinstance(item, Text):
            before, after = number > 0, number + 1 < len(items)
            item = Text(" " * before + item.text + " " * after, item.at - before)
        elif number and not isinstance(items[number - 1], Text):
            found.append(Text(" ", item.at))
        found.append(item)
    return tuple(found)
