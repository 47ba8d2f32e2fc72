"""Driver of inspect-ai: `get_model(...).generate`, with its own connection limiter.

Its evaluations (tasks, scorers, logs) are not used: none is a pairwise comparison. Requests in
flight are fixed for the plain job; for the limited job its adaptive limiter has its defaults. By
default it retries without end, from 3 s on: here six times in the limited job, else once.
"""

import asyncio
import re
import sys
from importlib.metadata import version

from inspect_ai.model import GenerateConfig, Model, get_model
from job import MODEL, ORDERS, Arguments, Outcome, Pair, parse_arguments, question, run_job

WINNER = re.compile(r'"winner":\s*"(A|B|tie)"')


async def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Judge every pair in both orders; a call that raises is a failure."""
    config = GenerateConfig(
        max_connections=arguments.in_flight if arguments.job != "limited" else None,
        max_retries=6 if arguments.job == "limited" else 1,
        temperature=0,
        max_tokens=1024,
    )
    model = get_model(
        f"openai-api/loopback/{MODEL}", base_url=arguments.url, api_key="none", config=config
    )
    async with model:
        calls = [judge(model, pair, shown, outcome) for pair in arguments.pairs for shown in ORDERS]
        outcome.add_raised(await asyncio.gather(*calls, return_exceptions=True))


async def judge(model: Model, pair: Pair, shown: tuple[str, str], outcome: Outcome) -> None:
    """Request and count one judgment."""
    first, second = (getattr(pair, name) for name in shown)
    reply = await model.generate(question(pair, first, second))
    match = WINNER.search(reply.completion)
    if match is None:
        raise ValueError("no verdict in the reply")
    outcome.add({"A": shown[0], "B": shown[1], "tie": None}[match[1]], pair)


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    run_job(
        Outcome(version=version("inspect-ai"), asked=2 * len(arguments.pairs)),
        lambda outcome: asyncio.run(judge_pairs(arguments, outcome)),
    )
