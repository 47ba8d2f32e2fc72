"""Driver of the official client: AsyncOpenAI, a semaphore and a regular expression for verdicts.

It is the lower bound of cost: no store, no templates, no statistics, no resuming.
"""

import asyncio
import re
import sys

import openai
from job import MODEL, ORDERS, Arguments, Outcome, Pair, parse_arguments, question, run_job

WINNER = re.compile(r'"winner":\s*"(A|B|tie)"')


async def judge_pairs(arguments: Arguments, outcome: Outcome) -> None:
    """Judge every pair in both orders; a call that raises is a failure."""
    room = asyncio.Semaphore(arguments.in_flight)
    async with openai.AsyncOpenAI(base_url=arguments.url, api_key="none") as client:

        async def judge(pair: Pair, shown: tuple[str, str]) -> None:
            first, second = (getattr(pair, model) for model in shown)
            text = question(pair, first, second)
            async with room:
                reply = await client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": text}],
                    temperature=0,
                    max_tokens=1024,
                )
            match = WINNER.search(reply.choices[0].message.content or "")
            if match is None:
                raise ValueError("no verdict in the reply")
            outcome.add({"A": shown[0], "B": shown[1], "tie": None}[match[1]], pair)

        calls = [judge(pair, shown) for pair in arguments.pairs for shown in ORDERS]
        outcome.add_raised(await asyncio.gather(*calls, return_exceptions=True))


if __name__ == "__main__":
    arguments = parse_arguments(sys.argv[1:])
    run_job(
        Outcome(version=openai.__version__, asked=2 * len(arguments.pairs)),
        lambda outcome: asyncio.run(judge_pairs(arguments, outcome)),
    )
