"""The program ``edgevoice``: what comes before the command line is looked at."""

import signal


def main() -> int:
    """Run the command of this process and give its exit code.

    Ctrl-C ends the process at once while Python loads the modules: as an exception it would show where, and in the
    middle of numpy's loading the interpreter was seen to crash over it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from edgevoice.__main__ import main as run

    return run()
