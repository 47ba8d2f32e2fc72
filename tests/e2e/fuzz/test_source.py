"""Static checks of the sources: no code execution of input, no CSV output, no unsafe HTML."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakeoff.importers import documents
from bakeoff.prompts.rows import files
from bakeoff.web import server as web
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src" / "bakeoff").rglob("*.py"))
ASSETS = sorted(
    path for suffix in ("js", "j2", "html") for path in (ROOT / "src").rglob(f"*.{suffix}")
)
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "codeop"}
CALLS = {"eval", "exec", "compile", "__import__", "input"}
ATTRIBUTES = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnl", "spawnv", "startfile"},
    "yaml": {"load", "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "asyncio": {"create_subprocess_shell"},
    "torch": {"load"},
    "tempfile": {"mktemp"},
    "numpy": {"load"},
    "shutil": {"unpack_archive"},
}
DECOMPRESSORS = {"gzip", "bz2", "lzma", "zipfile", "tarfile", "zlib"}


def unsafe_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each import, call or argument that can run code from its input."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = module or [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if name.split(".")[0] in MODULES)
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                if attr in ATTRIBUTES.get(name, ()):
                    yield node.lineno, f"{name}.{attr}"
            case ast.keyword(arg="shell" | "allow_pickle" as arg):
                yield node.value.lineno, arg
            case ast.keyword(arg="verify" | "trust_remote_code" as arg, value=ast.Constant()):
                yield node.value.lineno, arg  # a constant, where only an option may decide


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_has_no_unsafe_call(path: Path) -> None:
    assert list(unsafe_uses(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_unsafe_calls_are_detected() -> None:
    source = """
import pickle
from marshal import loads
eval("1")
os.system("ls")
yaml.load(text)
run("ls", shell=True)
numpy.load(path, allow_pickle=True)
get(url, verify=False)
"""
    names = [name for _, name in unsafe_uses(ast.parse(source))]
    loads = {"pickle", "marshal", "yaml.load", "numpy.load", "allow_pickle"}
    assert {*names} == loads | {"eval", "os.system", "shell", "verify"}


def test_decompression_is_limited_to_known_modules() -> None:
    """Only the importers decompress input; the page compresses its own chunks with zlib."""
    imports = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {node.module or ""}
            else:
                continue
            imports |= {(path.name, name) for name in names & DECOMPRESSORS}
    assert imports == {
        ("documents.py", "zlib"),  # up to MAX_UNPACKED
        ("pairs.py", "zlib"),  # compresses only
        ("database.py", "zlib"),  # checksums of the store
        ("fetch.py", "zipfile"),  # model wheels of known size and hash
    }


def test_source_writes_no_csv() -> None:
    """A spreadsheet evaluates a cell that begins with `=`; tables are only data frames here."""
    for path in [*SOURCES, *ASSETS]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"csv\.(writer|DictWriter)|text/csv|to_csv|write_csv|to_excel", text)


def test_own_scripts_insert_no_html() -> None:
    """Vendored scripts are pinned by checksum; `markdown.js` purifies what markdown-it renders."""
    for path in ASSETS:
        if path.suffix == ".js" and path.parent.name != "vendor":
            text = path.read_text(encoding="utf-8")
            for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
                assert sink not in text, f"{path.name}: {sink}"
            assert not re.search(r"new Function|javascript:", text)


@pytest.mark.parametrize("path", [p for p in ASSETS if p.suffix == ".j2"], ids=lambda p: p.name)
def test_page_templates_keep_autoescaping(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(
        "<style>{{ style | safe }}</style>", ""
    )  # static
    assert not re.search(r"\|\s*safe\b|autoescape\s+false", text)


def test_tests_named_in_security_md_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:tests/)?(?:\w+/)*(?:test_|with_)\w+\.py", text))
    existing = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    assert len(named) > 10
    assert not [name for name in named if not any(path.endswith(name) for path in existing)]


def test_limits_in_security_md_match_the_code() -> None:
    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    assert f"A line has at most {files.format_size(files.MAX_LINE_SIZE)}" in text
    assert f"a file that is read as a whole {files.format_size(files.MAX_FILE_SIZE)}" in text
    assert f"JSON {files.MAX_DEPTH} levels" in text
    assert f"unpacked up to {files.format_size(documents.MAX_UNPACKED)}" in text
    assert f"at most {files.format_size(web.MAX_BYTES)} and {web.MAX_SECONDS:.0f} seconds" in text
