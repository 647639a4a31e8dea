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

def say(what):
    return lambda: print(what, flush=True)

acts = {{"push_to_talk": say("pushed"), "reload": say("reloads"), "toggle_mute": say("toggled")}}
print(asyncio.run(until_stopped(work, deadline={deadline}, stopping=say("stopping"), **acts)))
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
    code, said, complaints = run(WILLING, (number, "stopping"))
    assert (code, complaints) == (0, "")
    assert said.endswith("True\n")


def test_a_stop_that_hangs_is_forced() -> None:
    code, _, complaints = run(STUBBORN, (signal.SIGTERM, "stopping"), deadline=0.1)
    assert code == 70
    assert "the stop took more than 0.1 s and was forced" in complaints


def test_a_second_signal_ends_it_at_once() -> None:
    code, _, complaints = run(STUBBORN, (signal.SIGINT, "stopping"), (signal.SIGINT, ""))
    assert code == 130
    assert "stopped at once" in complaints


def test_sigusr1_pushes_to_talk() -> None:
    code, said, _ = run(WILLING, (signal.SIGUSR1, "pushed"), (signal.SIGTERM, "stopping"))
    assert code == 0
    assert "pushed" in said


def test_sigusr2_toggles_the_mute_and_sighup_reloads() -> None:
    acts = (signal.SIGUSR2, "toggled"), (signal.SIGHUP, "reloads"), (signal.SIGUSR2, "toggled")
    code, said, _ = run(WILLING, *acts, (signal.SIGTERM, "stopping"))
    assert code == 0
    assert said.splitlines()[-2:] == ["refused", "True"]


def test_a_stop_is_announced_before_anything_ends() -> None:
    _, said, _ = run(WILLING, (signal.SIGTERM, "stopping"))
    assert said.splitlines() == ["ready", "stopping", "refused", "True"]


EARLY = """
from edgevoice.daemon import not_yet

with not_yet():
    print("loading", flush=True)
    input()
print("loaded", flush=True)
input()
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_who_asks_before_anybody_listens_ends_nothing(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EARLY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "loaded\n"
        process.send_signal(number)
        assert process.wait(60) == -number  # afterwards it is as it was before


HANGS = """
import threading
from edgevoice.daemon import bounded_end

with bounded_end() as end_within:
    end_within(0.05)
    print("hangs", flush=True)
    threading.Event().wait({seconds})
print("ended", flush=True)
threading.Event().wait(0.1)
"""


@pytest.mark.parametrize(("seconds", "code", "said"), [(60, -signal.SIGALRM, ["hangs"]), (0, 0, ["hangs", "ended"])])
def test_an_end_that_hangs_is_ended_by_the_kernel_and_no_other(seconds: int, code: int, said: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HANGS.format(seconds=seconds)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.split()) == (code, said)
