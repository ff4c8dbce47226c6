"""The command ``gammajax``: outside of the package, as importing that takes a second in which it may be interrupted."""

import os
import signal
import sys
from typing import NoReturn

ENDED = {signal.SIGINT: (130, b"gammajax: interrupted\n"), signal.SIGTERM: (143, b"gammajax: terminated\n")}


def main() -> int:
    """Run the command line; the exit code."""
    # XLA's words about processors are for its developers. It reads this when it is loaded; 1 is what JAX sets, which
    # a Python that starts this command may have done
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # extensions that are being imported turn exceptions into errors of their own; there is nothing to clean up yet
    before = {number: signal.signal(number, _end) for number in ENDED}
    from gammajax.cli.main import main as run

    for number, handler in before.items():
        signal.signal(number, handler)
    return run()


def _end(number: int, _: object) -> NoReturn:
    code, line = ENDED[signal.Signals(number)]
    os.write(2, line)
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
