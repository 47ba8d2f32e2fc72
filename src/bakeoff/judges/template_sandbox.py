"""Compiles judge templates of unknown origin in a sandbox."""

import warnings
from collections.abc import Sized
from typing import Any

from jinja2 import StrictUndefined
from jinja2 import Template as Compiled
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from bakeoff.errors import ConfigError, one_line

_MAX_PRODUCT = 1 << 20  # characters or items that an operator in a template may produce

_VARIABLES = {
    "prompt",
    "conversation",
    "first",
    "second",
    "completion",
    "fence",
    "criteria",
    "problem",
}


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox for templates of unknown origin.

    Jinja's own sandbox blocks access to classes and long ranges. Templates can access the fields of
    records, but not their methods: one of pydantic's unpickles data.
    """

    intercepted_binops = frozenset({"*", "**"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether a template may access an attribute."""
        if isinstance(obj, BaseModel):
            return attr in type(obj).model_fields
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of `*`; ValueError if it is too long, and for `**`."""
        if operator == "**":
            raise ValueError("a template has no operator '**'")
        sides = (left, right) if isinstance(left, Sized) else (right, left)
        if isinstance(sides[0], Sized) and len(sides[0]) * sides[1] > _MAX_PRODUCT:
            raise ValueError("a text or list that it makes is too long")
        return super().call_binop(context, operator, left, right)


def compile_template(text: str) -> Compiled:
    """Return the compiled template. ConfigError for a syntax error or an unknown variable."""
    environment = _Sandbox(undefined=StrictUndefined)
    try:
        unknown = find_undeclared_variables(environment.parse(text)) - _VARIABLES
        with warnings.catch_warnings():  # Python's compiler warns of the generated code
            warnings.simplefilter("ignore", SyntaxWarning)
            template = environment.from_string(text)
    except Exception as error:  # Python's compiler fails on templates that are nested too deeply
        cause = one_line(error) or type(error).__name__
        raise ConfigError(f"the judge template cannot be read: {cause}") from None
    if unknown:
        raise ConfigError(
            f"the judge template asks for {sorted(unknown)!r}; there are: {sorted(_VARIABLES)!r}"
        )
    return template
