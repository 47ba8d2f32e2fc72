"""How often the demo judge is right where we know who is: prints one JSON line.

    python benchmarks/demo_judge.py [JUDGE_SPEC]

Each pair holds the reference of a starter prompt and the reference of another one, so the right
winner is known. Both orders are judged; orders that disagree are a tie, and a tie is not right.
The peer is a coin that is tossed once for each pair and never ties: 50 %.
"""

import asyncio
import json
import sys
from importlib.resources import files

from bakeoff.config import Sampling, Spec
from bakeoff.plugins import Setting, open_judge
from bakeoff.records import Pair, Prompt, Verdict


def pairs() -> list[Pair]:
    """Starter prompts with a reference, each beside the reference of the next one."""
    lines = (files("bakeoff") / "starter.jsonl").read_text(encoding="utf-8").splitlines()
    known = [p for p in map(Prompt.model_validate_json, lines) if p.reference]
    others = known[1:] + known[:1]
    return [
        Pair(prompt=prompt, first=prompt.reference or "", second=other.reference or "")
        for prompt, other in zip(known, others, strict=True)
    ]


async def main(spec: str) -> None:
    """Judge every pair in both orders and count."""
    judge = open_judge(Spec.parse(spec), Setting(Sampling()))
    await judge.prepare()
    items = pairs()
    preferences: dict[int, list[float]] = {index: [] for index in range(len(items))}

    def take(index: int, outcome: object) -> None:
        if not isinstance(outcome, Verdict):
            raise SystemExit(f"the judge failed: {outcome}")
        swapped = index >= len(items)
        preference = outcome.swapped() if swapped else outcome
        preferences[index % len(items)].append(preference.first)

    await judge([*items, *(pair.swapped() for pair in items)], take)
    await judge.close()
    both = list(preferences.values())
    right = sum(all(value > 0.5 for value in values) for values in both)
    wrong = sum(all(value < 0.5 for value in values) for values in both)
    share = right / len(both)
    print(
        json.dumps(
            {
                "benchmark": "demo_judge",
                "judge": spec,
                "pairs": len(both),
                "right": right,
                "wrong": wrong,
                "tie": len(both) - right - wrong,
                "peer": "coin",
                "ratio": round(share / 0.5, 2),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "embedded:qwen2.5-coder-0.5b"))
