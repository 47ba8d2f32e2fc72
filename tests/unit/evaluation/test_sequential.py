import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config
from bakeoff.analysis import sample_checks
from bakeoff.evaluation.sequential import (
    MIN_PROMPTS,
    DesignStage,
    ModelPair,
    PairProgress,
    Schedule,
    planned_look_ends,
)
from bakeoff.records import Judgment, Prompt
from bakeoff.stats.intervals import win_rate
from bakeoff.stats.looks import obrien_fleming
from bakeoff.stats.sequential import mean_confidence_sequence
from tests.builders import make_judgment
from tests.marks import examples

MODELS = ("a", "b", "c")


def prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=f"p{n}", messages=[{"role": "user", "content": f"{n}?"}]) for n in range(count)
    ]


def judged(pair: ModelPair, prompt: Prompt, *values: float) -> list[Judgment]:
    """Return a judgment per order with these preferences for the first model."""
    return [
        make_judgment(prompt.id, first, second, value if first == pair[0] else 1 - value)
        for value, (first, second) in zip(values, (pair, pair[::-1]), strict=False)
    ]


class Table:
    """All future verdicts, and which of them are known."""

    def __init__(self, values: Callable[[ModelPair, int], Sequence[float]]) -> None:
        self.values = values
        self.known: set[tuple[ModelPair, str]] = set()

    def judgments_of(self, pair: ModelPair, prompt: Prompt) -> list[Judgment] | None:
        if (pair, prompt.id) not in self.known:
            return None
        return judged(pair, prompt, *self.values(pair, int(prompt.id[1:])))


def run(schedule: Schedule, table: Table, rng: random.Random | None = None) -> list[int]:
    """Judge stage by stage, in any order; return the number of requests of each stage."""
    counts = []
    more = True
    schedule.update_all(table.judgments_of)
    while more:
        missing = [
            (pair, prompt)
            for prompt in schedule.prompts
            for pair in schedule.pairs_on(prompt)
            if (pair, prompt.id) not in table.known
        ]
        if rng:
            rng.shuffle(missing)
        for pair, prompt in missing:
            if pair not in schedule.pairs_on(prompt):
                continue  # that pair has been decided
            table.known.add((pair, prompt.id))
            if rng is None or rng.random() < 0.8:  # an update may be late
                schedule.update(pair, table.judgments_of)
        counts.append(len(missing))
        more = schedule.advance(table.judgments_of)
    return counts


def lengths(schedule: Schedule) -> dict[ModelPair, int]:
    return {course.pair: len(course) for course in schedule.progress}


def config(**fields: Any) -> Config:
    return Config(model=("x", "y"), **fields)


def test_default_schedule_compares_all_pairs_on_all_prompts() -> None:
    schedule = Schedule(config(), prompts(50), MODELS)
    assert schedule.finished
    twos = list(itertools.combinations(MODELS, 2))
    assert all(schedule.pairs_on(prompt) == twos for prompt in schedule.prompts)
    assert all(schedule.prompts_of(model) == list(schedule.prompts) for model in MODELS)
    assert all(schedule.both_orders(two, "p49") for two in twos)
    assert list(schedule.notes()) == []
    with schedule.with_all_stages():
        assert lengths(schedule) == dict.fromkeys(twos, 50)


def test_minimum_sample_size_equals_that_of_a_verdict() -> None:
    assert MIN_PROMPTS == sample_checks.MIN_PROMPTS


def test_baseline_limits_the_pairs() -> None:
    schedule = Schedule(config(baseline="c"), prompts(3), MODELS)
    assert schedule.pairs_on(schedule.prompts[0]) == [("a", "c"), ("b", "c")]


def one_by_one(values: Sequence[float], margin: float, alpha: float) -> int | None:
    """Return after how many prompts a pair is decided, by definition; None if never."""
    for count in range(MIN_PROMPTS, len(values) + 1):
        interval = mean_confidence_sequence(np.array(values[:count]), alpha)
        decided = interval.low > 0.5 or interval.high < 0.5
        if decided or (0.5 - margin <= interval.low and interval.high <= 0.5 + margin):
            return count
    return None


def drawn(seed: int, shares: dict[ModelPair, float]) -> Callable[[ModelPair, int], list[float]]:
    """Return consistent verdicts; the first model of a pair wins on this share of prompts."""
    return lambda pair, n: [float(random.Random(f"{seed} {pair} {n}").random() < shares[pair])] * 2


@examples(4)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.75, 0.95]), st.randoms())
def test_stopping_point_does_not_depend_on_arrival_order(
    seed: int, share: float, rng: random.Random
) -> None:
    shares = {("a", "b"): share, ("a", "c"): 0.9, ("b", "c"): 0.5}
    values, count = drawn(seed, shares), 90
    schedule = Schedule(config(stop="early", margin=20), prompts(count), MODELS)
    run(schedule, Table(values), rng)
    for pair, length in lengths(schedule).items():
        values_ = [values(pair, n)[0] for n in range(count)]
        assert length == (one_by_one(values_, 0.2, 0.05 / 3) or count)
        assert [pair in schedule.pairs_on(prompt) for prompt in schedule.prompts] == (
            [True] * length + [False] * (count - length)
        )
    assert schedule.finished


def test_resumed_schedule_ends_the_same() -> None:
    values = drawn(3, {("a", "b"): 0.7})
    undisturbed = Schedule(config(stop="early"), prompts(300), ("a", "b"))
    table = Table(values)
    run(undisturbed, table)
    for killed_after in (0, 1, 25, 40, len(table.known) - 1):
        part = Table(values)
        part.known = set(sorted(table.known, key=lambda entry: int(entry[1][1:]))[:killed_after])
        again = Schedule(config(stop="early"), prompts(300), ("a", "b"))
        run(again, part)
        assert lengths(again) == lengths(undisturbed)
        assert part.known == table.known


def planned_end(values: Sequence[float], looks: int, pairs: int, margin: float) -> tuple[int, int]:
    """Return the number of prompts and the look that settles a pair, by definition."""
    levels = obrien_fleming(looks, 0.05 / pairs)
    for number, level in enumerate(levels, 1):
        count = math.ceil(len(values) * number / looks)
        rate = win_rate(np.array(values[:count]), None, 1 - level)
        inside = 0.5 - margin <= rate.low and rate.high <= 0.5 + margin
        if count >= MIN_PROMPTS and (rate.low > 0.5 or rate.high < 0.5 or inside):
            return count, number
    return len(values), looks


@examples(4)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.7, 0.9]), st.randoms())
def test_planned_looks_end_by_definition_in_any_arrival_order(
    seed: int, share: float, rng: random.Random
) -> None:
    shares = {("a", "b"): share, ("a", "c"): 0.9, ("b", "c"): 0.5}
    values, count = drawn(seed, shares), 91
    schedule = Schedule(config(looks=3, margin=30), prompts(count), MODELS)
    run(schedule, Table(values), rng)
    for pair, length in lengths(schedule).items():
        expected, number = planned_end([values(pair, n)[0] for n in range(count)], 3, 3, 0.3)
        (planned,) = schedule.design.for_pair(*pair).planned
        assert (length, planned.number) == (expected, number)
        assert planned.alpha == obrien_fleming(3, 0.05 / 3)[number - 1]
    assert schedule.finished


def test_planned_looks_are_equally_spaced() -> None:
    assert planned_look_ends(300, 3) == (100, 200, 300)
    assert planned_look_ends(50, 4) == (13, 25, 38, 50)
    assert planned_look_ends(50, 1) == ()
    schedule = Schedule(config(looks=4, margin=0), prompts(50), ("a", "b"))
    table = Table(lambda pair, n: [float(n % 2)] * 2)
    assert run(schedule, table) == [13, 12, 13, 12]
    assert list(schedule.notes()) == [
        "--looks 4: it took 50 of 50 prompts at most, and 4 of the looks"
    ]


def test_stopped_planned_looks_keep_the_prompts_of_the_last_look() -> None:
    schedule = Schedule(config(looks=2, margin=0), prompts(100), ("a", "b"))
    table = Table(lambda pair, n: [float(n % 2)] * 2)
    table.known = {(("a", "b"), f"p{n}") for n in range(60)}
    assert schedule.advance(table.judgments_of)
    schedule.truncate(table.judgments_of)
    assert lengths(schedule) == {("a", "b"): 50}
    assert [planned.number for planned in schedule.design.planned] == [1]


def test_planned_looks_at_a_pair_with_an_earlier_look_use_the_confidence_sequence() -> None:
    values = drawn(5, {("a", "b"): 0.72})
    schedule = Schedule(config(looks=5, margin=0), prompts(200), ("a", "b"))
    schedule.set_earlier_looks([("b", "a")])
    run(schedule, Table(values))
    alone = one_by_one([values(("a", "b"), n)[0] for n in range(200)], 0, 0.05)
    assert alone is not None
    assert alone > 40  # so that the last assertion holds for no other look
    assert lengths(schedule) == {("a", "b"): math.ceil(alone / 40) * 40}
    assert schedule.design.planned == ()


def test_stages_grow_with_the_sample() -> None:
    schedule = Schedule(config(stop="early", margin=0), prompts(500), ("a", "b"))
    counts = run(schedule, Table(lambda pair, n: [float(n % 2)] * 2))
    assert counts == [24, 16, 20, 30, 45, 67, 101, 151, 46]
    assert lengths(schedule) == {("a", "b"): 500}
    assert list(schedule.notes()) == ["--stop early: it took 500 of 500 prompts at most"]


def test_decided_pair_ends_while_others_continue() -> None:
    table = Table(lambda pair, n: [1.0, 1.0] if pair == ("a", "b") else [float(n % 2)] * 2)
    schedule = Schedule(config(stop="early", margin=0), prompts(100), MODELS)
    run(schedule, table)
    prompt_counts = lengths(schedule)
    assert (prompt_counts["a", "c"], prompt_counts["b", "c"]) == (100, 100)
    assert prompt_counts["a", "b"] == one_by_one([1.0] * 100, 0, 0.05 / 3)
    assert sum(pair == ("a", "b") for pair, _ in table.known) <= 24
    assert len(schedule.prompts_of("a")) == 100


def test_prompts_without_a_verdict_do_not_count_or_block() -> None:
    table = Table(lambda pair, n: [] if n % 2 else [1.0, 1.0])
    schedule = Schedule(config(stop="early"), prompts(200), ("a", "b"))
    run(schedule, table)
    assert lengths(schedule) == {("a", "b"): 2 * MIN_PROMPTS - 1}


def test_truncate_ends_before_the_first_missing_judgment() -> None:
    schedule = Schedule(config(stop="early", margin=0), prompts(100), ("a", "b"))
    table = Table(lambda pair, n: [float(n % 2)] * 2)
    table.known = {(("a", "b"), f"p{n}") for n in (*range(13), 14, 15, 30)}
    schedule.update(("b", "a"), table.judgments_of)
    assert schedule.progress[0].examined == 13
    schedule.truncate(table.judgments_of)
    assert lengths(schedule) == {("a", "b"): 13}
    assert schedule.finished


def test_with_all_stages_extends_unfinished_pairs() -> None:
    schedule = Schedule(config(stop="early", orders="adaptive"), prompts(100), MODELS)
    schedule.progress[0].end_after(5)
    before = lengths(schedule)
    with schedule.with_all_stages():
        assert sorted(lengths(schedule).values()) == [5, 100, 100]
        assert schedule.both_orders(("b", "c"), "p99")
        assert not schedule.both_orders(("a", "b"), "p99")
    assert lengths(schedule) == before == {("a", "b"): 5, ("a", "c"): 24, ("b", "c"): 24}
    once = Schedule(config(stop="early", orders="random"), prompts(100), MODELS)
    with once.with_all_stages():
        assert not once.both_orders(("a", "b"), "p0")


def in_both(schedule: Schedule) -> list[bool]:
    (course,) = schedule.progress
    return [schedule.both_orders(course.pair, prompt.id) for prompt in schedule.prompts]


@pytest.mark.parametrize(
    ("values", "from_the_second_wave_on"),
    [
        (lambda n: [1.0, 1.0], False),  # it is sure to be better
        (lambda n: [float(n % 5 < 3), float(n % 5 < 3)], True),  # close
        (lambda n: [1.0, 0.0], True),  # a habit: of one order it would be close
        (lambda n: [], True),  # nothing was judged
    ],
)
def test_second_order_is_requested_if_it_can_change_the_verdict(
    values: Callable[[int], list[float]], from_the_second_wave_on: bool
) -> None:
    schedule = Schedule(config(orders="adaptive", margin=20), prompts(60), ("a", "b"))

    def judgments(pair: ModelPair, prompt: Prompt) -> list[Judgment]:
        return judged(pair, prompt, *values(int(prompt.id[1:])))

    assert in_both(schedule) == [True] * 24 + [False] * 36
    assert schedule.advance(judgments)
    assert in_both(schedule)[24:40] == [from_the_second_wave_on] * 16
    while schedule.advance(judgments):
        continue
    assert lengths(schedule) == {("a", "b"): 60}
    share = 100 * sum(in_both(schedule)) / 60
    assert list(schedule.notes()) == [
        f"--orders adaptive: both orders were wanted of {share:.0f} % of the prompts"
    ]


def test_stage_design_does_not_depend_on_its_own_verdicts() -> None:
    """The design of a stage depends on earlier prompts only, so that estimates are unbiased."""
    rng = random.Random(1)
    table = [[float(rng.random() < 0.62) for _ in "ab"] for _ in range(200)]

    def chosen(turned: int) -> list[bool]:
        schedule = Schedule(config(orders="adaptive"), prompts(200), ("a", "b"))

        def judgments(pair: ModelPair, prompt: Prompt) -> list[Judgment]:
            number = int(prompt.id[1:])
            values = table[number] if number < turned else [1 - v for v in table[number]]
            both = schedule.both_orders(pair, prompt.id)
            return judged(pair, prompt, *values[: 1 + both])

        while schedule.advance(judgments):
            continue
        return in_both(schedule)

    complete = chosen(200)
    assert 24 < sum(complete) < 200
    for end in (24, 40, 60, 90, 135):
        after = min(200, end + max(16, end // 2))
        assert chosen(end)[:after] == complete[:after]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_positions_of_a_pair_are_those_of_its_stages(sizes: list[int], data: st.DataObject) -> None:
    ends = list(itertools.accumulate(sizes, initial=data.draw(st.integers(0, 5))))
    waves = [
        DesignStage(range(low, high), both_orders=index % 2 == 0)
        for index, (low, high) in enumerate(itertools.pairwise(ends))
    ]
    places = [place for wave in waves for place in wave.positions]
    both = [place for wave in waves if wave.both_orders for place in wave.positions]
    course = PairProgress(("a", "b"), list(waves), finished=False)
    start, count = (data.draw(st.integers(0, len(places))) for _ in range(2))
    assert list(course.positions(start)) == places[start:]
    course.end_after(count)
    assert list(course.positions()) == places[:count]
    assert len(course) == count
    assert course.finished
    assert [place in course for place in range(60)] == [p in places[:count] for p in range(60)]
    kept = set(both) & set(places[:count])
    assert [course.both_orders(place) for place in range(60)] == [p in kept for p in range(60)]


def test_adaptive_pairs_are_the_close_ones() -> None:
    strong = dict(zip("abcdefgh", (9, 6, 6, 5, 4, 3, 2, 0), strict=True))

    def values(pair: ModelPair, n: int) -> list[float]:
        share = 0.5 + (strong[pair[0]] - strong[pair[1]]) / 20
        return [float(random.Random(f"{pair} {n}").random() < share)] * 2

    schedule = Schedule(config(pairs="adaptive"), prompts(90), tuple(strong))
    assert run(schedule, Table(values)) == [28 * 24, 16 * 25, 16 * 25, 16 * 16]
    prompt_counts = lengths(schedule)
    assert prompt_counts["b", "c"] == 90
    assert prompt_counts["a", "h"] < 90
    assert schedule.finished
    share = 100 * sum(prompt_counts.values()) / (28 * 90)
    assert list(schedule.notes()) == [f"--pairs adaptive: {share:.0f} % of each two on 90 prompts"]


def test_adaptive_pairs_without_judgments() -> None:
    schedule = Schedule(config(pairs="adaptive"), prompts(60), tuple("abcdefg"))
    assert run(schedule, Table(lambda pair, n: [])) == [21 * 24, 14 * 25, 14 * 11]
