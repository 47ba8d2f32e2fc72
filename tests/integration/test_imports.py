"""The cost of `import bakeoff`, and the modules that it loads."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "altair", "numpy", "scipy", "any_llm")
COST = """
import sys, time
import pydantic
begun = time.process_time()
import bakeoff
print(time.process_time() - begun)
print(*[name for name in {heavy!r} if name in sys.modules])
"""


def test_importing_bakeoff_is_cheap_and_brings_nothing_heavy() -> None:
    costs = []
    for _ in range(5):  # the best of five: what else the machine does is not ours
        done = subprocess.run(
            [sys.executable, "-c", COST.format(heavy=HEAVY)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        cost, heavy = done.stdout.split("\n")[:2]
        assert heavy == ""
        costs.append(float(cost))
    assert min(costs) < 0.3, costs
