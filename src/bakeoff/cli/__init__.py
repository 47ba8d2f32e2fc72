"""The command line: options to a configuration, results to the terminal, errors to exit codes."""

import sys
from collections.abc import Sequence

from cyclopts import App, Parameter

from bakeoff.cli import audit, judges, report, serve, store, vote
from bakeoff.cli import list as list_command
from bakeoff.cli import run as run_commands
from bakeoff.cli.exit_codes import run_with_exit_code
from bakeoff.cli.run import compare
from bakeoff.errors import ConfigError

__all__ = ["app", "compare", "main", "run_with_exit_code"]

app = App(
    name="bakeoff",
    help="Is this model really better? Two models, one blind judge, both orders.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _command in (run_commands.run, run_commands.plan, audit.audit, vote.vote, report.report):
    app.command(_command)
app.command(judges.judge_check, name="judge-check")
app.command(serve.serve)
app.command(list_command.list_backends, name="list")
app.command(store.merge)
app.command(store.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments` (default: `sys.argv`) and exit with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments

    def command() -> object:
        return app(_decoded(words), exit_on_error=False, print_error=False)

    sys.exit(run_with_exit_code(command))


def _decoded(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments. Raises ConfigError if one is not valid text."""
    for argument in arguments:
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise ConfigError(
                f"{argument!r} is not text in this terminal's encoding: write it in UTF-8"
            )
    return arguments
