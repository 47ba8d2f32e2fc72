"""What may be spent is never exceeded, whatever comes back in which order."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import StoppedError
from bakeoff.runtime import SpendLimit, StopToken

PRICES = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1, max_size=40)


@given(PRICES, st.integers(0, 300), st.integers(1, 8), st.integers(0, 2**16))
def test_it_is_never_exceeded_and_never_left_unused(
    prices: list[tuple[int, float]], most: int, lanes: int, seed: int
) -> None:
    """Each request can cost so much, and does cost a share of that."""
    chance = random.Random(seed)

    async def main() -> tuple[float, int, str | None]:
        spend_limit, run, waiting = SpendLimit(float(most)), StopToken(), iter(prices)
        paid, refused = [], []

        async def lane() -> None:
            for dearest, share in waiting:
                try:
                    await spend_limit.reserve(dearest)
                except StoppedError:
                    refused.append(dearest)
                    return
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                spend_limit.settle(dearest, share * dearest)
                paid.append(share * dearest)

        with run.activate():
            async with asyncio.TaskGroup() as group:
                for _ in range(lanes):
                    group.create_task(lane())
        if refused:  # nothing that was refused would have fitted in the end
            assert sum(paid) + max(refused) > most
        return sum(paid), len(refused), run.reason

    total, refused, why = asyncio.run(main())
    assert total <= most + 1e-6
    assert (why is not None) == bool(refused)
    if why:
        assert f"--max-cost {most}" in why


def test_without_a_limit_nobody_waits_and_a_patient_one_never_does() -> None:
    async def main() -> None:
        free = SpendLimit()
        await free.reserve(1e9)
        free.settle(1e9, 5)
        small = SpendLimit(1.0)
        await small.reserve(0.75)
        with pytest.raises(StoppedError, match="can cost"):
            await small.reserve(0.5, batch_only=True)

    asyncio.run(asyncio.wait_for(main(), 60))
