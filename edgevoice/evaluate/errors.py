"""How many words and characters of a text were misheard, and how sure such a rate is."""

from collections.abc import Sequence
from typing import Any

import msgspec

from edgevoice import bootstrap
from edgevoice.engines.registry import require
from edgevoice.evaluate.score import Interval


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Of a text against what was said, in words or in characters, along the shortest way from one to the other."""

    said: int
    """In the reference."""
    substitutions: int
    insertions: int
    deletions: int

    @property
    def wrong(self) -> int:
        return self.substitutions + self.insertions + self.deletions


def words(said: str, heard: str) -> Errors:
    """Errors in words; both texts have been normalised.

    Raises:
        EngineMissingError: jiwer is not installed.
    """
    return _errors(require("jiwer", extra="bench").process_words(said, heard))


def characters(said: str, heard: str) -> Errors:
    """Errors in characters, spaces included; both texts have been normalised.

    Raises:
        EngineMissingError: jiwer is not installed.
    """
    return _errors(require("jiwer", extra="bench").process_characters(said, heard))


def _errors(found: Any) -> Errors:
    return Errors(
        said=found.hits + found.substitutions + found.deletions,
        substitutions=found.substitutions,
        insertions=found.insertions,
        deletions=found.deletions,
    )


def total(each: Sequence[Errors]) -> Errors:
    return Errors(
        said=sum(one.said for one in each),
        substitutions=sum(one.substitutions for one in each),
        insertions=sum(one.insertions for one in each),
        deletions=sum(one.deletions for one in each),
    )


def rate(wrong: float, of: float) -> float | None:
    """None where there is nothing that could be wrong. An error rate may pass 1: insertions count."""
    return wrong / of if of else None


def interval(wrong: Sequence[float], of: Sequence[float], seed: int) -> Interval | None:
    """The 95 % interval of sum(wrong) / sum(of) by bootstrap over recordings (percentiles; Efron, 1979, Ann. Statist.
    7, 1), because errors within a recording go together. None for fewer than two recordings.

    Args:
        wrong, of: by recording.
    """
    if len(wrong) < 2:
        return None
    found = bootstrap.share(wrong, of, seed)
    return None if found is None else Interval(*found)
