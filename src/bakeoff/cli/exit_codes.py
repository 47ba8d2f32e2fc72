"""Exit codes of the command, and the conversion of errors to one line on stderr."""

from collections.abc import Callable

from cyclopts import CycloptsError

from bakeoff.errors import BakeoffError, InterruptError
from bakeoff.report.plain_text import transliterate_output

OK = 0
USAGE_ERROR = 2  # an error that the user can fix: an option, a file, a key, a damaged store
TOO_MANY_FAILURES = 3  # more of the work failed than allowed, or the run stopped early
INTERRUPTED = 130

_INTERRUPTED_MESSAGE = "interrupted; what was done is kept: the same command goes on"


def run_with_exit_code(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; errors of `bakeoff` are printed as one line."""
    transliterate_output()
    try:
        code = command()
        return code if isinstance(code, int) else OK
    except CycloptsError as error:
        _print_error(_usage_problem(error))
        return USAGE_ERROR
    except (InterruptError, KeyboardInterrupt):
        _print_error(_INTERRUPTED_MESSAGE)
        return INTERRUPTED
    except BakeoffError as error:
        _print_error(str(error))
        return USAGE_ERROR


def _usage_problem(error: CycloptsError) -> str:
    """The message of an error of cyclopts, or of the validation error that caused it."""
    if error.__cause__ is None:
        return str(error)
    from pydantic import ValidationError

    from bakeoff.config import Config, first_problem

    cause = error.__cause__
    return first_problem(cause, Config) if isinstance(cause, ValidationError) else str(error)


def _print_error(message: str) -> None:
    # Imported here: `bakeoff --help` prints no error.
    from bakeoff.report.terminal import print_error

    print_error(message)
