"""gc_frozen and gc_paused: what they change during the body, and that they restore it."""

import asyncio
import gc

import pytest

from bakeoff.runtime import gc_frozen
from bakeoff.runtime.garbage_collection import gc_paused

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


def test_the_collector_is_paused_and_enabled_again_after_an_error() -> None:
    def fail() -> None:
        with gc_paused():
            assert not gc.isenabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_objects_built_during_a_pause_are_in_the_oldest_generation() -> None:
    with gc_paused():
        built = [[n] for n in range(1_000)]
    oldest = {id(tracked) for tracked in gc.get_objects(generation=2)}
    assert all(id(item) in oldest for item in built)


def test_the_collector_is_paused_within_a_frozen_run() -> None:
    async def go() -> None:
        async with gc_frozen(every=60):
            before = gc.get_freeze_count()
            with gc_paused():
                assert not gc.isenabled()
            assert gc.isenabled()
            assert gc.get_freeze_count() > before // 2 > 0  # not unfrozen

    asyncio.run(go())
    assert gc.get_freeze_count() == 0


def test_a_disabled_collector_stays_disabled() -> None:
    gc.disable()
    with gc_paused():
        pass
    assert not gc.isenabled()
