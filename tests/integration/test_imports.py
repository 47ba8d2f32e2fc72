"""The modules that `import bakeoff` loads."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "altair", "numpy", "scipy", "any_llm")
COST = """
import sys
import bakeoff
print(*[name for name in {heavy!r} if name in sys.modules])
"""


def test_importing_bakeoff_is_cheap_and_brings_nothing_heavy() -> None:
    """How long it takes is measured by `benchmarks/startup.py`."""
    done = subprocess.run(
        [sys.executable, "-c", COST.format(heavy=HEAVY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "\n"
