"""Vega as one script, kept in the user's cache: to make it takes longer than the whole page."""

import hashlib
from contextlib import suppress
from functools import cache
from importlib.metadata import version

import vl_convert

from bakeoff.storage.files import cache_dir, write_atomically

_MARK = 64  # hexadecimal digits of a SHA-256, on a line of their own


@cache
def javascript() -> str:
    """Vega, Vega-Lite and vega-embed as a script that sets `vegaEmbed`, `vegaLite` and `vega`.

    About 0.9 MB. What is kept is used only where it is whole.
    """
    file = cache_dir() / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        mark, script = (kept := file.read_text(encoding="utf-8"))[:_MARK], kept[_MARK + 1 :]
        if mark == _digest(script):
            return script
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg] # its stub asks for a snippet
    # In a function: its thousands of short names would else be names of the page.
    script = f"(() => {{\n{bundle}\n}})();\n"
    with suppress(OSError):  # a cache that cannot be written is none
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{_digest(script)}\n{script}".encode())
    return script


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
