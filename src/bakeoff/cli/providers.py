"""The hosted providers that any-llm knows, out of its source files.

To import them takes longer than the whole command, and those whose package is missing cannot be
imported at all. Knows how any-llm writes a provider down; no key, no spec.
"""

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_ROW = "OpenAICompatibleProviderConfig"

Constants = dict[str, object]


class Provider(NamedTuple):
    """What the source says: `key` as it is written there, which may be several names in words.

    `address` is where it is, empty where its own client knows; `optional` that it may do without a
    key; `completes` that it completes prompts.
    """

    name: str
    key: str
    about: str
    address: str
    optional: bool
    completes: bool


def providers() -> list[Provider]:
    """Those that complete prompts, sorted by name."""
    found = importlib.util.find_spec("any_llm")  # does not import it
    if found is None or not found.submodule_search_locations:
        return []
    package = Path(found.submodule_search_locations[0])
    folder = package / "providers"
    known = {one.name: one for one in _rows(folder / "registry.py")}
    for name in _names(package / "constants.py"):
        if name not in known:
            known[name] = _coded(folder / name, name)
    return sorted(one for one in known.values() if one.completes)


def _rows(path: Path) -> Iterator[Provider]:
    """Those that are rows of a table, and OpenAI's client."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _ROW:
            said = _constants((keyword.arg, keyword.value) for keyword in node.keywords)
            yield Provider(
                name=_text(said, "name"),
                key=_text(said, "env_api_key_name"),
                about=_text(said, "provider_documentation_url"),
                address=_text(said, "api_base"),
                optional=said.get("api_key_optional") is True,
                completes=said.get("supports_completion") is not False,
            )


def _names(path: Path) -> list[str]:
    """The members of the enumeration of all that are written in code."""
    kinds = (node for node in _tree(path).body if isinstance(node, ast.ClassDef))
    every = next((kind for kind in kinds if kind.name == "LLMProvider"), None)
    said = _assigned(every) if every else {}
    return [value for name, value in said.items() if name.isupper() and isinstance(value, str)]


def _coded(folder: Path, name: str) -> Provider:
    """One that is a class in a folder of its own, and may inherit from others in it."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]
    classes = {
        node.name: node
        for text in texts
        if "SUPPORTS_COMPLETION" in text or "ENV_API_KEY_NAME" in text  # the others cost time
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
    }
    said = _inherited(classes, f"{name.capitalize()}Provider")
    return Provider(
        name=name,
        key=_text(said, "ENV_API_KEY_NAME"),
        about=_text(said, "PROVIDER_DOCUMENTATION_URL"),
        address=_text(said, "API_BASE"),
        optional=False,
        completes=said.get("SUPPORTS_COMPLETION") is not False,
    )


def _inherited(classes: dict[str, ast.ClassDef], name: str) -> Constants:
    if name not in classes:
        return {}
    said: Constants = {}
    for base in reversed(classes[name].bases):
        if isinstance(base, ast.Name):
            said |= _inherited(classes, base.id)
    return said | _assigned(classes[name])


def _assigned(kind: ast.ClassDef) -> Constants:
    """What the body of a class gives constant values to."""
    pairs: list[tuple[str | None, ast.expr]] = []
    for node in kind.body:
        if isinstance(node, ast.Assign):
            pairs += [(one.id, node.value) for one in node.targets if isinstance(one, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
            pairs.append((node.target.id, node.value))
    return _constants(pairs)


def _constants(pairs: Iterable[tuple[str | None, ast.expr]]) -> Constants:
    return {name: value.value for name, value in pairs if name and isinstance(value, ast.Constant)}


def _text(said: Constants, name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
