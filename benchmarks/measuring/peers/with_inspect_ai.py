"""inspect-ai's model API: `get_model(...).generate`, under its own connection limiter.

Its evaluations (tasks, scorers, logs) are not used: a head-to-head is not among them. Requests in
flight are fixed for the plain job; where the server refuses, its adaptive limiter is left as it is
by default. It retries without end by default, from 3 s on: here six times where the server
refuses, once where it fails.
"""

import asyncio
import re
import sys
from importlib.metadata import version

from inspect_ai.model import GenerateConfig, Model, get_model
from job import MODEL, ORDERS, Outcome, Pair, Told, question, tell, told

WINNER = re.compile(r'"winner":\s*"(A|B|tie)"')


async def judged(given: Told, outcome: Outcome) -> None:
    """Ask about every pair in both orders; a call that raises is a failure."""
    config = GenerateConfig(
        max_connections=given.in_flight if given.job != "limited" else None,
        max_retries=6 if given.job == "limited" else 1,
        temperature=0,
        max_tokens=1024,
    )
    model = get_model(
        f"openai-api/loopback/{MODEL}", base_url=given.url, api_key="none", config=config
    )
    async with model:
        asked = [one(model, pair, shown, outcome) for pair in given.pairs for shown in ORDERS]
        outcome.add_raised(await asyncio.gather(*asked, return_exceptions=True))


async def one(model: Model, pair: Pair, shown: tuple[str, str], outcome: Outcome) -> None:
    """One judgment."""
    first, second = (getattr(pair, name) for name in shown)
    reply = await model.generate(question(pair, first, second))
    found = WINNER.search(reply.completion)
    if found is None:
        raise ValueError("no verdict in the reply")
    outcome.add({"A": shown[0], "B": shown[1], "tie": None}[found[1]], pair)


if __name__ == "__main__":
    given = told(sys.argv[1:])
    tell(
        Outcome(version=version("inspect-ai"), asked=2 * len(given.pairs)),
        lambda outcome: asyncio.run(judged(given, outcome)),
    )
