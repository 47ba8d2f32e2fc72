import subprocess
import sys


def test_results_are_importable_without_numpy() -> None:
    code = "import sys, bakeoff.stats.results; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
