"""What a judge scores on our own pairs, whose better one is known: prints one JSON line.

    python benchmarks/demo_judge.py [JUDGE_SPEC]

It asks anew, so that it measures the judge and not the store. `right` means: the better one in both
orders; `split`: the other one when the order changes. The peer is a coin that is tossed once for
each pair; `whoever_is_longer` is what always picking the longer one would score.
"""

import sys
import tempfile
from pathlib import Path

from measuring.line import say

from bakeoff.evaluation.judge_check import Grade, check

MARKS = ("right", "wrong", "split", "tie", "failed")


def main(spec: str) -> None:
    """Check the judge and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        results = check(None, [spec], store=Path(folder) / "store.sqlite")
    (found,) = results.judges
    share = found.overall.accuracy
    if share is None:
        sys.exit(f"{found.judge} judged nothing: {marks(found.overall)}")
    say(
        "demo_judge",
        figure=share.estimate,
        unit="share of pairs, right in both orders",
        peer="a coin, tossed once for each pair",
        ratio=share.estimate / results.chance_accuracy,
        judge=found.judge,
        pairs=found.overall.pairs,
        **marks(found.overall),
        interval=[round(bound, 3) for bound in (share.low, share.high)],
        sets={name: {"pairs": one.pairs} | marks(one) for name, one in found.by_set.items()},
        first_wins=found.order.pick_first and round(found.order.pick_first.estimate, 3),
        whoever_is_longer=round(results.length_baseline.accuracy, 3),
    )


def marks(grade: Grade) -> dict[str, int]:
    """How many pairs have each mark."""
    return {mark: getattr(grade, mark) for mark in MARKS}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "embedded:qwen2.5-coder-0.5b")
