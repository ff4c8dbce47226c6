"""The terminal: tables and progress that are good to read on a screen, in a pipe and in a log file."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

LOG_WIDTH = 100
"""Columns of output that does not go to a terminal."""

QUIET_SECONDS = 1.0
"""A fit that takes less shows no progress."""

LOG_SECONDS = 10.0
"""Time between lines of progress in a log."""


def shown(text: str) -> str:
    """The text with control characters as escapes: names may hold what a terminal takes for orders."""
    return "".join(c if c == "\n" or c.isprintable() or not c.isascii() else repr(c)[1:-1] for c in text)


def prepare_streams() -> None:
    """Standard output and error take every text: characters that they do not know are replaced, closed ones drop it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # for the rest of the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Nothing more goes to standard output, nor is flushed to it at exit: its reader has gone, or its disk is full."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console(stream: TextIO | None = None) -> "Console":
    """A rich console on standard output. Away from a terminal it writes plain text of fixed width."""
    from rich.console import Console
    from rich.text import Text

    class Escaping(Console):
        """A console on which names are text, and whose broken pipe is for the caller to see."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(shown(text), **options)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stdout if stream is None else stream
    # names in brackets are names, and not markup
    plain: dict[str, Any] = {"file": stream, "highlight": False, "markup": False, "emoji": False}
    if not stream.isatty():
        plain |= {"width": LOG_WIDTH, "force_terminal": False, "force_interactive": False, "color_system": None}
    return Escaping(**plain)


def is_ascii(console: "Console") -> bool:
    """Whether the output cannot show characters such as plus-minus."""
    return not (console.encoding or "").lower().replace("_", "-").startswith("utf")


class Progress:
    """Progress of a fit, from its ``progress`` callback, or of many fits (`steps`); silent in the first second.

    On a terminal it is one line that disappears at the end; in a log a plain line from time to time. It is a context
    manager.
    """

    def __init__(self, console_of: "Callable[[], Console]", quiet: bool = False):
        # a function, so that a fit that is over at once pays for no console
        self._console_of, self._quiet = console_of, quiet
        self._text: str | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Progress":
        if not self._quiet:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, iterations: int, stat: float, edm: float) -> None:
        self._text = f"iteration {iterations}: statistic {stat:.3f}, distance to minimum {edm:.2g}"

    def steps(self, done: int, total: int) -> None:
        """The callback of estimators."""
        self._text = f"{done} of {total} fits done"

    def text(self) -> str:
        """The state in words."""
        return "compiling the fit" if self._text is None else self._text

    def _show(self) -> None:
        if self._stop.wait(QUIET_SECONDS):
            return
        console = self._console_of()
        if console.is_terminal:
            with console.status(self.text()) as status:
                while not self._stop.wait(0.1):
                    status.update(self.text())
            return
        start = time.monotonic()
        while not self._stop.wait(LOG_SECONDS - QUIET_SECONDS if self._text is None else LOG_SECONDS):
            console.print(f"{time.monotonic() - start + QUIET_SECONDS:.0f} s, {self.text()}")
