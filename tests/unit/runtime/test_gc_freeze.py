"""gc_frozen: objects are frozen during the body, and not afterwards."""

import asyncio
import gc

import pytest

from bakeoff.runtime import gc_frozen

pytestmark = pytest.mark.usefixtures("thawed")


def test_existing_objects_are_frozen_while_the_body_runs() -> None:
    async def go() -> None:
        async with gc_frozen(every=0.01):
            before = gc.get_freeze_count()
            assert before > 0
            objects = [[n] for n in range(10_000)]
            while gc.get_freeze_count() < before + len(objects):
                await asyncio.sleep(0.01)

    asyncio.run(go())
    assert gc.get_freeze_count() == 0


def test_objects_are_unfrozen_after_an_error() -> None:
    async def go() -> None:
        async with gc_frozen(every=1):
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(go())
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("prepare", [gc.freeze, gc.disable])
def test_a_frozen_or_disabled_collector_is_left_alone(prepare: object) -> None:
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
