"""Run a fuzz target under atheris (coverage-guided). Not part of the test suite: atheris is no
development dependency.

    python -m venv fuzzing && fuzzing/bin/pip install atheris --editable '.[dev]'
    fuzzing/bin/python -m tests.e2e.fuzz.with_atheris TARGET [-max_total_time=60] [FOLDER ...]

TARGET is a name like `rows.jsonl`; without it all names are printed. atheris writes each finding
to `crash-*`; add it to `test_findings.py`.
"""

import logging
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Fuzz a target until the first finding or the limits in the flags of atheris."""
    import atheris

    with atheris.instrument_imports(include=["bakeoff", "json", "yaml", "csv"]):
        from tests.e2e.fuzz.targets import TARGETS, run_target
    logging.disable(logging.CRITICAL)
    targets = {target.name: target for target in TARGETS}
    if not arguments or arguments[0] not in targets:
        sys.exit(f"name a target: {', '.join(targets)}")
    target = targets[arguments[0]]
    with tempfile.TemporaryDirectory() as folder:
        seeds, work = Path(folder, "seeds"), Path(folder, "work")
        seeds.mkdir()
        work.mkdir()
        for number, seed in enumerate(target.seeds):
            (seeds / str(number)).write_bytes(seed)
        flags = [f"-max_len={target.max_length}", "-timeout=10", *arguments[1:], str(seeds)]
        atheris.Setup([sys.argv[0], *flags], lambda data: run_target(target, data, work) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
