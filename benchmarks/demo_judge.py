"""Measures how often a judge is right on the built-in labeled pairs, against a coin.

    python benchmarks/demo_judge.py [JUDGE_SPEC]

Prints one JSON line; `ratio` is the judge's share of right pairs divided by the coin's. The store
is empty, so the judge is asked and not the cache. `right`: the better text won in both orders;
`split`: the winner changed with the order. The coin is tossed once for each pair;
`always_longer` is the share of pairs whose longer text is the better one.
"""

import sys
import tempfile
from pathlib import Path

from harness.results import print_result

from bakeoff.evaluation.judge_check import Grade, check

MARKS = ("right", "wrong", "split", "tie", "failed")


def main(spec: str) -> None:
    """Check the judge, and print the line."""
    with tempfile.TemporaryDirectory() as folder:
        results = check(None, [spec], store=Path(folder) / "store.sqlite")
    (judge,) = results.judges
    share = judge.overall.accuracy
    if share is None:
        sys.exit(f"{judge.judge} judged nothing: {count_marks(judge.overall)}")
    print_result(
        "demo_judge",
        figure=share.estimate,
        unit="share of pairs, right in both orders",
        peer="a coin, tossed once for each pair",
        ratio=share.estimate / results.chance_accuracy,
        judge=judge.judge,
        pairs=judge.overall.pairs,
        **count_marks(judge.overall),
        interval=[round(bound, 3) for bound in (share.low, share.high)],
        sets={
            name: {"pairs": grade.pairs} | count_marks(grade)
            for name, grade in judge.by_set.items()
        },
        first_wins=judge.order.pick_first and round(judge.order.pick_first.estimate, 3),
        always_longer=round(results.length_baseline.accuracy, 3),
    )


def count_marks(grade: Grade) -> dict[str, int]:
    """The number of pairs with each mark."""
    return {mark: getattr(grade, mark) for mark in MARKS}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "embedded:qwen2.5-coder-0.5b")
