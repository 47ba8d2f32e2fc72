"""The modules that reading results loads."""

import subprocess
import sys


def test_reading_results_imports_no_data_frame_library() -> None:
    code = (
        "import sys, bakeoff; bakeoff.read_results; "
        "print([n for n in ('pandas', 'polars') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
