"""The command: flags to a Config, results to a terminal, errors to one line and an exit code."""

import sys

from cyclopts import App, Parameter

from bakeoff.cli import results_commands
from bakeoff.cli import run as run_command
from bakeoff.cli import store as store_command
from bakeoff.cli.run import compare
from bakeoff.cli.signals import guarded
from bakeoff.errors import ConfigError

__all__ = ["app", "compare", "guarded", "main"]

app = App(
    name="bakeoff",
    help="Is this model really better? Two models, one blind judge, both orders.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _command in (
    run_command.run,
    run_command.plan,
    results_commands.audit,
    results_commands.vote,
    results_commands.report,
):
    app.command(_command)
app.command(results_commands.judge_check, name="judge-check")
app.command(results_commands.serve)
app.command(results_commands.list_, name="list")
app.command(store_command.merge)
app.command(store_command.app)


def main(arguments: list[str] | None = None) -> None:
    """The console script: parse, run, and exit with a code that says how it went."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda: app(_text(given), exit_on_error=False, print_error=False)))


def _text(arguments: list[str]) -> list[str]:
    """The arguments; ConfigError where one is no text, and so could be in no document."""
    for one in arguments:
        if any("\ud800" <= char <= "\udfff" for char in one):
            raise ConfigError(f"{one!r} is not text in this terminal's encoding: write it in UTF-8")
    return arguments
