"""The modules that `import bakeoff` loads."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "altair", "numpy", "scipy", "any_llm")
SCRIPT = """
import sys
import bakeoff
print(*[name for name in {heavy!r} if name in sys.modules])
"""


def test_importing_bakeoff_loads_no_heavy_package() -> None:
    """`benchmarks/startup.py` measures the time of the import."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout == "\n"


def test_dir_lists_the_public_names_and_the_import_is_light() -> None:
    script = """
import sys
import bakeoff
assert set(bakeoff.__all__) <= set(dir(bakeoff))
heavy = "numpy scipy torch pandas any_llm openai anthropic altair rich jinja2 starlette"
print(*[module for module in heavy.split() if module in sys.modules])
print(bakeoff.run.__name__, "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "\nrun False\n", done.stdout + done.stderr


def test_reading_results_imports_no_data_frame_library() -> None:
    code = (
        "import sys, bakeoff; bakeoff.read_results; "
        "print([n for n in ('pandas', 'polars') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"
