"""Other projects' engines, measured by the same code as ours.

A peer is a module with

* ``TASK``: ``wake``, ``asr`` or ``tts``.
* ``MODEL``: the model it is measured with unless another is named: a name of our catalog, empty when the package brings
  one of its own, or None when one must be named.
* ``THREADS``: whether it can be told how many to use; if not, ``OWN_THREADS`` says what it does by itself.
* ``STREAMS``: whether it takes audio in blocks and gives partial texts.
* ``load(model, threads)``: the engine, as ``edgevoice.engines.protocols`` has it for the task, set up as its authors
  recommend. ``model`` is a path, or None when the package brings its own.

and one line in ``PEERS``.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgevoice.errors import ModelError

PEERS = {
    "faster-whisper": "edgevoice.bench.peers.faster_whisper",
    "vosk": "edgevoice.bench.peers.vosk",
    "sherpa-onnx": "edgevoice.bench.peers.sherpa_onnx",
    "pocketsphinx": "edgevoice.bench.peers.pocketsphinx",
    "piper": "edgevoice.bench.peers.piper",
    "openwakeword": "edgevoice.bench.peers.openwakeword",
}
"""Name -> module."""


def module(name: str) -> ModuleType:
    return importlib.import_module(PEERS[name])


@dataclass(frozen=True)
class Theirs:
    """A peer, to be loaded in another process."""

    name: str
    model: str | None
    """Of the catalog, or a path; empty for the package's own."""
    threads: int

    def __call__(self) -> Any:
        """
        Raises:
            EngineMissingError: its package is not installed. ModelError: its model is not here.
        """
        from edgevoice.modelstore import ModelStore

        peer = module(self.name)
        if self.model is None:
            peer.package()  # that it is not installed is said first
            raise ModelError(
                "it brings no model, and none is named",
                place=f"peer {self.name}",
                remedy=f"name one with: --peer-model {self.name}=FOLDER",
            )
        return peer.load(ModelStore().path(self.model) if self.model else None, self.threads)
