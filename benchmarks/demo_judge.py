"""What a judge scores on our own pairs, whose better one is known: prints one JSON line.

    python benchmarks/demo_judge.py [JUDGE_SPEC]

It asks anew, so that it measures the judge and not the store. `right` means: the better one in both
orders; `split`: the other one when the order changes. The peers are whoever always picks the longer
one, and a coin that is tossed once for each pair. `ratio` is the judge's share against the coin's.
"""

import json
import sys
import tempfile
from pathlib import Path

from bakeoff.checking import Grade, check

MARKS = ("right", "wrong", "split", "tie", "failed")


def main(spec: str) -> None:
    """Check the judge and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        results = check(None, [spec], store=Path(folder) / "store.sqlite")
    (found,) = results.judges
    share = found.overall.share
    line = {
        "benchmark": "demo_judge",
        "judge": found.judge,
        "pairs": found.overall.pairs,
        **marks(found.overall),
        "interval": [round(bound, 3) for bound in (share.low, share.high)] if share else None,
        "sets": {name: {"pairs": one.pairs} | marks(one) for name, one in found.by_set.items()},
        "first_wins": found.order.pick_first and round(found.order.pick_first.estimate, 3),
        "peer_longer": round(results.longer.share, 3),
        "peer_coin": results.coin,
        "ratio": round(share.estimate / results.coin, 2) if share else None,
    }
    print(json.dumps(line))


def marks(grade: Grade) -> dict[str, int]:
    """How many pairs have each mark."""
    return {mark: getattr(grade, mark) for mark in MARKS}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "embedded:qwen2.5-coder-0.5b")
