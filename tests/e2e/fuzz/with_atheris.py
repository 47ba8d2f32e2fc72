"""The same targets under atheris, which finds its way by what an input reaches. Not a part of the
suite: atheris is not needed to develop this.

    python -m venv fuzzing && fuzzing/bin/pip install atheris --editable '.[dev]'
    fuzzing/bin/python -m tests.e2e.fuzz.with_atheris TARGET [-max_total_time=60] [FOLDER ...]

TARGET is the name of one, as `rows.jsonl`; without it all names are printed. What it finds is
written to `crash-*` by atheris: make it a case of `test_findings.py`.
"""

import logging
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Fuzz one target until it finds something, or for as long as the flags of atheris say."""
    import atheris

    with atheris.instrument_imports(include=["bakeoff", "json", "yaml", "csv"]):
        from tests.e2e.fuzz.targets import TARGETS, tried
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
        flags = [f"-max_len={target.longest}", "-timeout=10", *arguments[1:], str(seeds)]
        atheris.Setup([sys.argv[0], *flags], lambda data: tried(target, data, work) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
