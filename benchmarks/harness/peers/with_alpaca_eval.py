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


def main(arguments: Arguments) -> None:
    """Annotate, and count the preferences."""
    os.environ |= {"OPENAI_API_KEY": "none", "OPENAI_API_BASE": arguments.url}
    os.environ["OPENAI_MAX_CONCURRENCY"] = str(arguments.in_flight)
    from alpaca_eval.annotators import PairwiseAnnotator  # reads the environment on import
    from alpaca_eval.metrics import get_winrate

    losses = LossHandler("had no auto annotation", "Max retries reached", "not preferences")
    logging.getLogger().addHandler(losses)

    def annotated(outcome: Outcome) -> None:
        annotator = PairwiseAnnotator(
            annotators_config="weighted_alpaca_eval_gpt4_turbo",
            caching_path=arguments.folder / "annotations.json",
        )
        ordered_pairs = [(pair, models) for pair in arguments.pairs for models in ORDERS]
        rows = [
            {
                "instruction": pair.prompt,
                "output_1": getattr(pair, models[0]),
                "output_2": getattr(pair, models[1]),
            }
            for pair, models in ordered_pairs
        ]
        annotations = annotator(rows)
        preferences = {
            (row["instruction"], row["output_1"]): row["preference"] for row in annotations
        }
        for pair, models in ordered_pairs:
            prefers = preferences.get((pair.prompt, getattr(pair, models[0])))
            if prefers is not None and prefers == prefers:  # NaN: no preference
                outcome.add(models[prefers > 1.5] if prefers != 1.5 else None, pair)
        get_winrate(annotations)
        outcome.first_error = losses.first

    run_job(Outcome(version=version("alpaca-eval"), asked=2 * len(arguments.pairs)), annotated)


if __name__ == "__main__":
    main(parse_arguments(sys.argv[1:]))
