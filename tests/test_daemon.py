"""Stopping: at once when asked, by force when it hangs."""

import signal
import subprocess
import sys

import pytest

STUBBORN = """
import asyncio
from edgevoice.daemon import until_stopped

async def work():
    print("ready", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("refused", flush=True)

print(asyncio.run(until_stopped(work, deadline={deadline}, push_to_talk=lambda: print("pushed", flush=True))))
"""
WILLING = STUBBORN.replace("while True:", "if True:")


def run(code: str, *signals: tuple[int, str], deadline: float = 30.0) -> tuple[int, str, str]:
    """Run the code; send each signal and wait for the line that answers it."""
    with subprocess.Popen(
        [sys.executable, "-c", code.format(deadline=deadline)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        said = process.stdout.readline()
        for number, answer in signals:
            process.send_signal(number)
            if answer:
                said += process.stdout.readline()
                assert said.endswith(f"{answer}\n")
        said += process.stdout.read()
        complaints = process.stderr.read()
        return process.wait(60), said, complaints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_work(number: int) -> None:
    code, said, complaints = run(WILLING, (number, "refused"))
    assert (code, complaints) == (0, "")
    assert said.endswith("True\n")


def test_a_stop_that_hangs_is_forced() -> None:
    code, _, complaints = run(STUBBORN, (signal.SIGTERM, "refused"), deadline=0.1)
    assert code == 70
    assert "the stop took more than 0.1 s and was forced" in complaints


def test_a_second_signal_ends_it_at_once() -> None:
    code, _, complaints = run(STUBBORN, (signal.SIGINT, "refused"), (signal.SIGINT, ""))
    assert code == 130
    assert "stopped at once" in complaints


def test_sigusr1_pushes_to_talk() -> None:
    code, said, _ = run(WILLING, (signal.SIGUSR1, "pushed"), (signal.SIGTERM, "refused"))
    assert code == 0
    assert "pushed" in said
