"""Driver of evalproof: `scorers.pairwise` with `swap`, in as many threads as requests in flight.

Its command `evalproof pairwise` makes the same calls one after the other, so the threads are the
driver's. A call shows a pair in both orders; where it raises, both verdicts are lost.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import evalproof
from evalproof.config import TargetConfig
from evalproof.providers import make_provider
from evalproof.scorers import PairwiseResult, pairwise
from job import MODEL, MODELS, Arguments, Outcome, Pair, describe_error, parse_arguments, run_job

WINNERS = {"a": MODELS[0], "b": MODELS[1], "tie": None}


def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Judge every pair, and count the verdict of each order."""
    os.environ["OPENAI_API_KEY"] = "none"
    target = TargetConfig(target=f"openai:{MODEL}", base_url=arguments.url)
    provider = make_provider(target)

    def judge(pair: Pair) -> PairwiseResult | Exception:
        case = evalproof.Case(id=str(pair.number), input=pair.prompt)
        try:
            return pairwise(provider, target.params, case, pair.tuned, pair.base)
        except Exception as error:  # any error of a call is a failure of its two judgments
            return error

    with ThreadPoolExecutor(arguments.in_flight) as pool:
        for pair, result in zip(arguments.pairs, pool.map(judge, arguments.pairs), strict=True):
            if isinstance(result, Exception):
                outcome.failed += 2
                outcome.first_error = outcome.first_error or describe_error(result)
            else:
                outcome.add(WINNERS[result.first], pair)
                outcome.add(WINNERS[result.second], pair)


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    run_job(
        Outcome(version=evalproof.__version__, asked=2 * len(arguments.pairs)),
        lambda outcome: judge_pairs(arguments, outcome),
    )
