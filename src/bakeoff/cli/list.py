"""`bakeoff list`: the judges and models that are available here."""

from typing import Annotated, Literal

from cyclopts import Parameter

from bakeoff.cli.exit_codes import OK
from bakeoff.report.terminal import make_console, print_backends


def list_backends(
    what: Annotated[Literal["judges", "models"], Parameter(help="What to list.")], /
) -> int:
    """Say what judges or models there are here, and what each still needs."""
    from bakeoff.cli.backends import judge_backends, model_backends

    print_backends(make_console(), judge_backends() if what == "judges" else model_backends())
    return OK
