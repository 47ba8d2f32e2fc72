"""The order in which requests are admitted to llama.cpp's server."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.generators.llamacpp.admission import PrefixQueue


async def admitted(
    texts: list[str], permits: int, cancelled: frozenset[int] = frozenset()
) -> list[int]:
    """Return the indexes of the requests in the order of their admission."""
    queue = PrefixQueue(permits)
    order: list[int] = []
    held = 0

    async def request(index: int) -> None:
        nonlocal held
        async with queue.admit(texts[index]):
            held += 1
            assert held <= permits
            order.append(index)
            try:
                await asyncio.sleep(0)
            finally:
                held -= 1

    tasks = [asyncio.create_task(request(index)) for index in range(len(texts))]
    await asyncio.sleep(0)
    for index in cancelled:
        tasks[index].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with AsyncExitStack() as stack:  # every permit is free again
        for _ in range(permits):
            await asyncio.wait_for(stack.enter_async_context(queue.admit("")), 1)
    return order


def test_waiting_requests_follow_in_the_order_of_their_text() -> None:
    texts = ["dog: big", "cat: old", "dog: old", "eel", "cat: big"]
    order = asyncio.run(admitted(texts, 1))
    expected = ["dog: big", "dog: old", "eel", "cat: big", "cat: old"]
    assert [texts[index] for index in order] == expected


def test_equal_texts_are_admitted_in_the_order_of_arrival() -> None:
    assert asyncio.run(admitted([""] * 9, 2)) == list(range(9))


@given(
    st.lists(st.text("ab", max_size=3), min_size=1, max_size=12),
    st.integers(1, 4),
    st.frozensets(st.integers(0, 11)),
)
def test_every_request_is_admitted_once_and_gives_its_permit_back(
    texts: list[str], permits: int, cancelled: frozenset[int]
) -> None:
    cancelled &= set(range(len(texts)))
    order = asyncio.run(admitted(texts, permits, cancelled))
    assert len(order) == len(set(order))
    assert set(order) >= set(range(len(texts))) - cancelled


def test_a_request_that_is_cancelled_with_its_permit_passes_it_on() -> None:
    async def go() -> None:
        queue = PrefixQueue(1)

        async def request() -> None:
            async with queue.admit("b"):
                raise AssertionError("it was cancelled")

        async with queue.admit("a"):
            waiting = asyncio.create_task(request())
            await asyncio.sleep(0)
        waiting.cancel()  # it has the permit, and has not run since
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(1), queue.admit("c"):
            pass

    asyncio.run(go())
