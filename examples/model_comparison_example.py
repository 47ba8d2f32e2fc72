#!/usr/bin/env python3
"""Compare two models on five own prompts from Python.

    python examples/model_comparison_example.py
    python examples/model_comparison_example.py MODEL BASELINE [JUDGE]

The first command runs anywhere, with two small embedded models and a small, unreliable judge.
Models are specs as for `bakeoff run --model`; the default JUDGE is gpt-4.
"""

import sys
from pathlib import Path

import bakeoff

OUT = Path("results") / "example"
EMBEDDED = ("embedded:smollm2", "embedded:gemma3-270m", "embedded:qwen2.5-coder-0.5b")
PROMPTS = [
    "Explain to a ten-year-old why the sky is blue.",
    "Write a polite message that turns down an invitation to a wedding.",
    "A train leaves at 14:35 and arrives at 17:10. How long does it take?",
    "Write a Python function that returns the second largest number of a list.",
    "My houseplant has yellow leaves. What should I check first?",
]


def main(specs: list[str]) -> None:
    """Compare two models; print the verdict with its interval, and one prompt."""
    model, baseline, *judge = specs or EMBEDDED
    OUT.mkdir(parents=True, exist_ok=True)
    prompts = OUT / "prompts.txt"  # a prompt a line
    prompts.write_text("\n".join(PROMPTS), encoding="utf-8")
    results = bakeoff.run(
        bakeoff.Config(
            model=(model, baseline),
            judge=tuple(judge) or ("gpt-4",),
            prompts=str(prompts),
            limit=len(PROMPTS),
            max_tokens=96,
            out=OUT,
        )
    )
    print_verdict(results)
    print_comparison(results)


def print_verdict(results: bakeoff.Results) -> None:
    """Print the verdict on the two models, its win rate and the number of judgments."""
    pair = results.summary.pairs[0]
    print(f"{pair.a} against {pair.b}: {pair.verdict}")
    if pair.win_rate:
        low, rate, high = (
            f"{100 * share:.1f} %"
            for share in (pair.win_rate.low, pair.win_rate.estimate, pair.win_rate.high)
        )
        print(f"win rate {rate}, 95 % interval {low} to {high}, over {pair.prompts} prompts")
    print(f"{pair.accounting.judged} of {pair.accounting.asked} verdicts were given")
    for note in results.summary.notes:
        print(f"note: {note}")


def print_comparison(results: bakeoff.Results) -> None:
    """Print one prompt with both completions, and the judgment in each order."""
    prompt = results.prompts[0]
    print(f"\nPrompt: {prompt.messages[-1].content}")
    for authored in results.completions:
        if authored.prompt_id == prompt.id:
            print(f"\n{authored.model}:\n{authored.completion.text}")
    print()
    for judgment in results.judgments:
        if judgment.prompt_id == prompt.id:
            share = f"{judgment.verdict.first:.2f}"
            print(f"{judgment.first} shown first is better with probability {share}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except bakeoff.BakeoffError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
