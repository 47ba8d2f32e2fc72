"""Driver of alpaca-eval: PairwiseAnnotator with its default evaluator.

That is weighted_alpaca_eval_gpt4_turbo, which reads the log-probabilities of one token. It shows a
pair once, in an order drawn from the prompt: so it gets every pair twice, in both orders. Its
OpenAI decoder uses threads, as many as requests in flight, in chunks of 128.
"""

import logging
import os
import sys
from importlib.metadata import version

from job import ORDERS, Arguments, LossHandler, Outcome, parse_arguments, run_job


def main(given: Arguments) -> None:
    """Annotate, and count what has a preference."""
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": given.url}
    os.environ["OPENAI_MAX_CONCURRENCY"] = str(given.in_flight)
    from alpaca_eval.annotators import PairwiseAnnotator  # reads the environment where it loads
    from alpaca_eval.metrics import get_winrate

    losses = LossHandler("had no auto annotation", "Max retries reached", "not preferences")
    logging.getLogger().addHandler(losses)

    def annotated(outcome: Outcome) -> None:
        annotator = PairwiseAnnotator(
            annotators_config="weighted_alpaca_eval_gpt4_turbo",
            caching_path=given.folder / "annotations.json",
        )
        shown = [(pair, models) for pair in given.pairs for models in ORDERS]
        rows = [
            {
                "instruction": pair.prompt,
                "output_1": getattr(pair, models[0]),
                "output_2": getattr(pair, models[1]),
            }
            for pair, models in shown
        ]
        found = annotator(rows)
        preferences = {(row["instruction"], row["output_1"]): row["preference"] for row in found}
        for pair, models in shown:
            prefers = preferences.get((pair.prompt, getattr(pair, models[0])))
            if prefers is not None and prefers == prefers:  # it has NaN where it has none
                outcome.add(models[prefers > 1.5] if prefers != 1.5 else None, pair)
        get_winrate(found)
        outcome.says = losses.first

    run_job(Outcome(version=version("alpaca-eval"), asked=2 * len(given.pairs)), annotated)


if __name__ == "__main__":
    main(parse_arguments(sys.argv[1:]))
