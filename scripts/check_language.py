"""Find words of the project's former dialect in docstrings, comments and names of the code.

    python scripts/check_language.py

A smoke test of `make check`: it finds pronouns for objects of the program and metaphors, not every
sentence that a newcomer would not understand. CONTRIBUTING.md has the rules.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks")
PHRASES = re.compile(
    r"\b(whoever|whom|nobody|somebody|anybody|so many|what is there)\b"
    r"|\bknows\b[^.]*; (not|no)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"(said|told|heard|found|given|whose|usher|purse|desk|urn|ballot|booth|halt)")


def problems(path: Path) -> Iterator[str]:
    """Yield one line per phrase or name that should be replaced."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstring = node.value.value
            if isinstance(docstring, str) and (match := PHRASES.search(docstring)):
                yield f"{path}:{node.lineno}: {match.group()!r} in a docstring"
        elif (name := defined_name(node)) and NAMES.fullmatch(name.strip("_").lower()):
            yield f"{path}:{node.lineno}: the name {name!r}"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := PHRASES.search(token.string)):
            yield f"{path}:{token.start[0]}: {match.group()!r} in a comment"


def defined_name(node: ast.AST) -> str | None:
    """Return the name of a definition, a parameter or an assigned variable."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    return None


def main() -> int:
    """Print all problems; return 1 if there are any."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    lines = [line for path in paths for line in problems(path)]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
