"""The command line: `napari-lucky` and its commands."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

from napari_lucky._version import __version__
from napari_lucky.cli.completion import SHELLS, PrintCompletion
from napari_lucky.cli.message_options import add_message_options, command_line, skipped
from napari_lucky.cli.terminal import (
    CannotPrintError,
    HelpFormatter,
    end_stdout,
    log_line,
    messages_to,
    say_always,
    say_on_stderr,
    say_summary,
    warn,
)
from napari_lucky.errors import DONE, STATUSES, UNSAID, LuckyError
from napari_lucky.execution.blas_threads import begin_with_one_blas_thread
from napari_lucky.execution.interruption import ended_as_interrupted, status_of
from napari_lucky.notices import Notice
from napari_lucky.text import one_line

COMMANDS = {
    "process": "calibrate, register, rank and stack a run",
    "flat": "make a master flat and dark, and draw the flat",
    "figures": "Strehl ratio, FWHM, encircled energy and profile of stacks or frames",
    "wavefront": "the telescope's static wavefront, from a focused and a defocused star",
    "export": "write images as TIFF or PNG, or windows as DS9 regions, for other programs",
    "telescope": "save a telescope under a name, list those saved, or remove one",
    "demo": "simulate a run and process it",
}
"""What each does; its options, and what runs it, are in the file of its name."""


GARBAGE = 300_000
"""Objects made before their garbage is looked for."""


def _spare_the_garbage() -> None:
    """Look for garbage rarely in this process, and not at its end.

    Imports leave none, and the search takes a tenth of a short job's time. As it ends, Python
    would look through all objects once more, even with `gc.disable`, but not through frozen ones.
    """
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)


def _leave_out_plugins() -> None:
    """Let pydantic look for no plugins in all that is installed, unless its user asked for some.

    The search takes a thirtieth of a short job's time.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status, one of `napari_lucky.errors.STATUSES`."""
    if arguments is None:  # the process is the command line's own
        begin_with_one_blas_thread()  # before numpy is imported
        _spare_the_garbage()
        _leave_out_plugins()

    def parsed() -> int:
        try:
            given = parser().parse_args(arguments)
        except SystemExit:
            end_stdout()  # where --help was printed
            raise
        with messages_to(given.quiet, getattr(given, "json", False), given.log):
            log_line(command_line(arguments))
            status = _answered(lambda: _run(given), given.command)
            log_line(f"exit status {status}: {STATUSES.get(status, '')}")
        return status

    return _answered(parsed)


def _answered(work: Callable[[], int], command: str = "") -> int:
    """Return the exit status of some work; if it fails, print why."""
    try:
        with ended_as_interrupted():
            return work()
    except BrokenPipeError:  # nobody listens any more; what was asked for is done
        return DONE
    except CannotPrintError as error:
        warn(f"napari-lucky: stdout cannot be written ({error}); the job itself is done.")
        return UNSAID
    except LuckyError as error:
        warn(f"napari-lucky: {error}", "error")
        return _failed(command, str(error), error.status)
    except KeyboardInterrupt as interrupt:
        status, text = status_of(interrupt)
        left = " ".join(map(str, interrupt.args)) or "nothing was written."
        warn(f"napari-lucky: {text}; {left}", "error")
        return _failed(command, f"{text}; {left}", status)


def _failed(command: str, why: str, status: int) -> int:
    if command:
        from napari_lucky.pipeline.summary import summary_of

        with suppress(CannotPrintError, BrokenPipeError):
            notices = [Notice(why, "error")]
            say_summary(summary_of(command, why, status=status, notices=notices))
            end_stdout()
    return status


def _run(given: argparse.Namespace) -> int:
    status = skipped(given)
    if status is None:
        status = _of_command(given.command, "run")(given)
    end_stdout()
    return status


def _of_command(command: str, what: str) -> Callable[[Any], Any]:
    """Return what adds a command's options, or runs it, from the file of its name."""
    module = import_module(f"napari_lucky.cli.{command}")
    function: Callable[[Any], Any] = getattr(module, f"{what}_{command}")
    return function


class Parser(argparse.ArgumentParser):
    """A parser that answers bad input as the rest of the program does: with a sentence.

    That of a command gets its options when they are needed: the other commands' take time.
    """

    def __init__(self, command: str = "", **given: Any) -> None:
        super().__init__(allow_abbrev=False, **{"formatter_class": HelpFormatter} | given)
        self._command = command
        self.prepare: Callable[[Sequence[str]], Sequence[str]] = list
        """What is done to the arguments first."""

    def complete(self) -> Parser:
        """Return the parser with its command's options."""
        if self._command:
            _of_command(self._command, "add")(self)
            add_message_options(self._command, self)
            self._command = ""
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what a command does not know, with the option that it may be meant for."""
        args = self.complete().prepare(sys.argv[1:] if args is None else args)
        given, rest = super().parse_known_args(args, namespace)
        if rest and self._subparsers is None:
            word, known = rest[0].partition("=")[0], list(self._option_string_actions)
            begun = [option for option in known if word[2:] and option.startswith(word)]
            near = begun or get_close_matches(word, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return given, rest

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help on stdout, which raises as `say` does, and usage and errors on stderr."""
        print_on = say_always if file is sys.stdout else say_on_stderr
        print_on(message.removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        if found := re.fullmatch(r"argument (.*/)?(-\S+): expected one argument", message):
            message += f"; if it begins with a minus, write it with =, as {found[2]}=-5…"
        self.exit(2, f"{self.prog}: {one_line(message)}\n")


def parser() -> Parser:
    """Return the parser of the command line."""
    top = Parser(
        prog="napari-lucky",
        description="Lucky imaging: from a run of short exposures to lucky stacks.",
    )
    top.add_argument("--version", action="version", version=f"napari-lucky {__version__}")
    top.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=PrintCompletion,
        help="print the script for completion of commands and options in the shell",
    )
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, command=name)
    return top


if __name__ == "__main__":
    sys.exit(main())
