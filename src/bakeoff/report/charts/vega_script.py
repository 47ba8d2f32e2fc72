"""Vega as one script, cached on disk: bundling it takes longer than rendering a page."""

import hashlib
from contextlib import suppress
from functools import cache
from importlib.metadata import version

import vl_convert

from bakeoff.storage.files import cache_dir, write_atomically

_DIGEST_LENGTH = 64  # hexadecimal digits of the SHA-256 on the first line of the cached file


@cache
def vega_script() -> str:
    """Vega, Vega-Lite and vega-embed as a script that defines `vegaEmbed`, `vegaLite` and `vega`.

    About 0.9 MB. A cached file is used only if its digest is right.
    """
    file = cache_dir() / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        text = file.read_text(encoding="utf-8")
        digest, script = text[:_DIGEST_LENGTH], text[_DIGEST_LENGTH + 1 :]
        if digest == _digest(script):
            return script
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg] # its stub asks for a snippet
    # In a function: the bundle has thousands of short global names.
    script = f"(() => {{\n{bundle}\n}})();\n"
    with suppress(OSError):  # the cache directory may not be writable
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, f"{_digest(script)}\n{script}".encode())
    return script


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
