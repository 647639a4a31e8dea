"""Download one file over HTTP, going on where an interrupted download stopped."""

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from edgevoice.errors import ModelError
from edgevoice.modelcatalog import FileSpec
from edgevoice.modelfiles import BLOCK, Progress, difference

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each new attempt: a Wi-Fi that drops out is back within a few seconds, or not for long."""


def download(
    url: str,
    target: Path,
    spec: FileSpec,
    progress: Progress,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch ``url`` into ``target`` and check it. What is in ``target`` already is taken as the file's beginning.

    A lost connection is taken up again where it stopped. The part that arrived stays behind when it is lost for good,
    for the next time; a file that is complete and wrong does not.

    Raises:
        ModelError: no such file there, no connection, or another size or hash. OSError: it cannot be written.
    """
    resumed = _size(target) > 0
    _complete(url, target, spec, progress, pause)
    wrong = difference(target, spec)
    if wrong and resumed:  # The beginning was of another file: once more, from the start.
        target.unlink()
        _complete(url, target, spec, progress, pause)
        wrong = difference(target, spec)
    if wrong:
        target.unlink()
        raise ModelError(wrong, place=url)


def _complete(url: str, target: Path, spec: FileSpec, progress: Progress, pause: Callable[[float], None]) -> None:
    failures = 0
    while (before := _size(target)) < spec.size:
        try:
            _once(url, target, before, spec, progress)
            continue
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # There is no more than what we have: the check will say that it is too short.
                return
            cause = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                raise ModelError(cause, place=url) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            cause = f"the connection failed: {getattr(error, 'reason', None) or str(error) or type(error).__name__}"
        if _size(target) > before:
            failures = 0
            continue
        if failures == len(PAUSES):
            raise ModelError(cause, place=url, remedy="try again; what has arrived is kept")
        pause(PAUSES[failures])
        failures += 1


def _once(url: str, target: Path, have: int, spec: FileSpec, progress: Progress) -> None:
    """One request, for what is missing.

    Raises:
        ConnectionError: it ended before the file did.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "edgevoice", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        done = have if resumes else 0
        with target.open("ab" if resumes else "wb") as out:
            while done <= spec.size:  # What is too long is wrong, whatever follows; the check will say so.
                try:
                    block = answer.read1(BLOCK)
                except OSError as error:
                    raise ConnectionError(str(error)) from error
                if not block:
                    break
                out.write(block)
                done += len(block)
                progress.advance(done, spec.size)
            out.flush()
            os.fsync(out.fileno())
    if done < spec.size:
        raise ConnectionError(f"it ended after {done} of {spec.size} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
