"""Speech that no engine of ours made."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from edgevoice.audio.pcm import Audio, concatenate
from edgevoice.audio.wavefile import open_file

KOREAN = "아버지"  # "father": what the recogniser understands of the synthetic voice without doubt


def korean(path: Path) -> Audio:
    """``KOREAN``, spoken into a file by espeak-ng."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng speaks the Korean of this test and is not installed")
    subprocess.run(["espeak-ng", "-v", "ko", "-s", "130", "-w", str(path), KOREAN], check=True)

    async def read() -> Audio:
        source = open_file(path)
        pieces = [block async for block in source.blocks()]
        await source.close()
        return concatenate(pieces)

    return asyncio.run(read())
