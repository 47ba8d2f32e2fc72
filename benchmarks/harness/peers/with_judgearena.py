"""Driver of JudgeArena: `annotate_battles` and `PairScore`, as its own command calls them.

It sends all requests at once (`use_tqdm`): the connections of the model's client limit them. Its
command judges the two orders one after the other; here both are in one call. Its judge prompt asks
for two scores, and the higher one wins. A reply without scores is one that it counts as missing.
"""

import sys
from importlib.metadata import version

import httpx
import pandas as pd
from job import MODEL, ORDERS, Arguments, Outcome, parse_arguments, run_job
from judgearena.evaluate import PairScore, annotate_battles
from judgearena.utils import compute_pref_summary, make_model


def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Annotate every pair in both orders, and count the preferences."""
    limits = httpx.Limits(max_connections=arguments.in_flight)
    model = make_model(
        f"ChatOpenAI/{MODEL}",
        base_url=arguments.url,
        api_key="none",
        temperature=0,
        http_async_client=httpx.AsyncClient(limits=limits, timeout=None),
    )
    ordered_pairs = [(pair, shown) for pair in arguments.pairs for shown in ORDERS]
    annotations = annotate_battles(
        judge_chat_model=model,
        instructions=[pair.prompt for pair, _ in ordered_pairs],
        completions_A=[getattr(pair, shown[0]) for pair, shown in ordered_pairs],
        completions_B=[getattr(pair, shown[1]) for pair, shown in ordered_pairs],
        use_tqdm=True,
    )
    parser = PairScore()
    preferences = [
        parser.parse_model_raw(annotation.judge_completion) for annotation in annotations
    ]
    for (pair, shown), prefers_second in zip(ordered_pairs, preferences, strict=True):
        if prefers_second is not None:
            tied = prefers_second == 0.5
            outcome.add(None if tied else shown[prefers_second > 0.5], pair)
    outcome.failed = compute_pref_summary(pd.Series(preferences))["num_missing"]
    if outcome.failed:
        outcome.first_error = f"num_missing: {outcome.failed}"


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    run_job(
        Outcome(version=version("judgearena"), asked=2 * len(arguments.pairs)),
        lambda outcome: judge_pairs(arguments, outcome),
    )
