"""What a run holds is not searched for garbage while it goes on, and is afterwards."""

import asyncio
import gc

import pytest

from bakeoff.runtime import gc_frozen

pytestmark = pytest.mark.usefixtures("thawed")


def test_what_is_there_is_set_aside_and_taken_back() -> None:
    async def go() -> None:
        async with gc_frozen(every=0.01):
            before = gc.get_freeze_count()
            assert before > 0
            held = [[n] for n in range(10_000)]
            while gc.get_freeze_count() < before + len(held):
                await asyncio.sleep(0.01)

    asyncio.run(go())
    assert gc.get_freeze_count() == 0


def test_it_is_taken_back_after_an_error() -> None:
    async def go() -> None:
        async with gc_frozen(every=1):
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(go())
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("prepare", [gc.freeze, gc.disable])
def test_who_has_an_order_of_his_own_keeps_it(prepare: object) -> None:
    assert callable(prepare)
    prepare()
    before = gc.get_freeze_count(), gc.isenabled()

    async def go() -> None:
        async with gc_frozen(every=0.01):
            await asyncio.sleep(0.05)
            assert gc.isenabled() == before[1]

    asyncio.run(go())
    assert gc.isenabled() == before[1]
    assert (gc.get_freeze_count() > 0) == (before[0] > 0)
