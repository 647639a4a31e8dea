"""The grammar that commands are measured with, and whether the manifest's labels fit it."""

import os
from collections.abc import Sequence
from pathlib import Path

from edgevoice import config as configuration
from edgevoice.config import Config
from edgevoice.evaluate import listening, manifest
from edgevoice.think.grammar import Grammar


def config(grammars: Sequence[Path]) -> Config:
    """The defaults, with these intents in place of their own where there are any."""
    return listening.with_grammars(configuration.load(Path(os.devnull), environ={}), grammars)


def check(commands: Path, limit: int | None, grammars: Sequence[Path]) -> list[str]:
    """Warnings about labels that the grammar cannot give, each with file and line.

    Raises:
        ConfigError: that is so for every line, or something else is wrong with the manifest. GrammarError: a grammar.
    """
    return manifest.check(manifest.load(commands, limit), Grammar.load(config(grammars).packs()), commands)
