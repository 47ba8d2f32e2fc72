"""Driver of deepeval: ArenaGEval through `compare()`, with its LocalModel.

It shows a pair in a random order and sends two requests per pair: for the winner, and for the
reason with the names restored. It gets every pair twice, because the other tools show both orders.
`ignore_errors` is on, so that it continues after a failed case.
"""

import sys
from importlib.metadata import version

from deepeval import compare
from deepeval.evaluate import AsyncConfig, ErrorConfig
from deepeval.metrics import ArenaGEval
from deepeval.models import LocalModel
from deepeval.test_case import ArenaTestCase, Contestant, LLMTestCase, SingleTurnParams
from job import MODEL, MODELS, ORDERS, Arguments, Outcome, Pair, parse_arguments, run_job


def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Compare, and count its wins."""
    metric = ArenaGEval(
        name="sound",
        evaluation_params=[SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT],
        evaluation_steps=["Say which one is better for who asked."],
        model=LocalModel(model=MODEL, base_url=arguments.url, api_key="none"),
    )
    cases = [case_of(pair) for pair in arguments.pairs for _ in ORDERS]
    wins = compare(
        test_cases=cases,
        metric=metric,
        async_config=AsyncConfig(max_concurrent=arguments.in_flight),
        error_config=ErrorConfig(ignore_errors=True),
    )
    outcome.verdicts = sum(wins.values())
    wins_known = sum(pair.better == MODELS[0] for pair in arguments.pairs) * 2
    outcome.wrong = max(
        0, wins.get(MODELS[0], 0) - wins_known
    )  # it reports sums, not the winner of each pair


def case_of(pair: Pair) -> ArenaTestCase:
    """The arena test case of a pair."""
    contestants = [
        Contestant(
            name=model,
            test_case=LLMTestCase(input=pair.prompt, actual_output=getattr(pair, model)),
        )
        for model in MODELS
    ]
    return ArenaTestCase(contestants=contestants)


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    run_job(
        Outcome(version=version("deepeval"), asked=2 * len(arguments.pairs)),
        lambda outcome: judge_pairs(arguments, outcome),
    )
