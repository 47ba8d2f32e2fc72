"""The command line: options to a configuration, results to the terminal, errors to exit codes."""

import gc
import sys
from collections.abc import Sequence

from cyclopts import App, Parameter

from bakeoff.cli.exit_codes import run_with_exit_code
from bakeoff.errors import ConfigError

__all__ = ["app", "main", "run_with_exit_code"]

# By name: the function or `App`, and its help. Its module is imported when the command is called:
# `bakeoff --help` imports none of them.
_COMMANDS = {
    "run": (
        "run:run",
        "Compare two models, or more. Without --model, two small ones that run anywhere.",
    ),
    "plan": (
        "run:plan",
        "Say what a run would take: requests, tokens, money, time. Asks no model.",
    ),
    "audit": (
        "audit:audit",
        "Read evaluations that other tools made, and say what they can carry. Asks no model.",
    ),
    "vote": (
        "vote:vote",
        "Let people vote on the pairs of a run, blind, in a browser on this machine.",
    ),
    "report": (
        "report:report",
        "Make the page anew from results that exist, and its charts as files. Asks no model.",
    ),
    "judge-check": (
        "judges:judge_check",
        "Try judges on pairs whose better one is known; without a file, on 60 pairs of our own.",
    ),
    "serve": ("serve:serve", "Show runs in a browser on this machine: live, compared, voted on."),
    "list": (
        "list:list_backends",
        "Say what judges or models there are here, and what each still needs.",
    ),
    "merge": (
        "store:merge",
        "Put the stores of several machines into one: the run without --shard asks nothing then.",
    ),
    "store": (
        "store:app",
        "Look at a store, and get out of a damaged one what can be read.",
    ),
}

app = App(
    name="bakeoff",
    help="Is this model really better? Two models, one blind judge, both orders.",
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _name, (_target, _help) in _COMMANDS.items():
    app.command(f"bakeoff.cli.{_target}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments` (default: `sys.argv`) and exit with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    gc.set_threshold(10_000)  # imports create many objects, of which none is garbage

    def command() -> object:
        return app(_decoded(words), exit_on_error=False, print_error=False)

    code = run_with_exit_code(command)
    # Else the interpreter traverses all objects of all modules at its end, for 0.3 to 0.5 seconds.
    gc.freeze()
    sys.exit(code)


def _decoded(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments. Raises ConfigError if one is not valid text."""
    for argument in arguments:
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise ConfigError(
                f"{argument!r} is not text in this terminal's encoding: write it in UTF-8"
            )
    return arguments
