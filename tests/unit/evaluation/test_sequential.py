import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import Config
from bakeoff.analysis import checks
from bakeoff.evaluation.pair_progress import Course, Two, Wave
from bakeoff.evaluation.sequential import FEWEST, Schedule
from bakeoff.records import Judgment, Prompt
from bakeoff.stats.sequential import mean_confidence_sequence
from tests.builders import make_judgment
from tests.marks import examples

MODELS = ("a", "b", "c")


def prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=f"p{n}", messages=[{"role": "user", "content": f"{n}?"}]) for n in range(count)
    ]


def judged(pair: Two, prompt: Prompt, *values: float) -> list[Judgment]:
    """One verdict in each order, on a; a single value is said in the first order only."""
    return [
        make_judgment(prompt.id, first, second, value if first == pair[0] else 1 - value)
        for value, (first, second) in zip(values, (pair, pair[::-1]), strict=False)
    ]


class Table:
    """What judges would say of every pair on every prompt, and how much of it they have."""

    def __init__(self, values: Callable[[Two, int], Sequence[float]]) -> None:
        self.values = values
        self.known: set[tuple[Two, str]] = set()

    def said(self, pair: Two, prompt: Prompt) -> list[Judgment] | None:
        if (pair, prompt.id) not in self.known:
            return None
        return judged(pair, prompt, *self.values(pair, int(prompt.id[1:])))


def run(schedule: Schedule, table: Table, rng: random.Random | None = None) -> list[int]:
    """Judge what is wanted, wave by wave, in any order; how much was asked for in each."""
    asked = []
    more = True
    schedule.catch_up(table.said)
    while more:
        wanted = [
            (pair, prompt)
            for prompt in schedule.prompts
            for pair in schedule.pairs(prompt)
            if (pair, prompt.id) not in table.known
        ]
        if rng:
            rng.shuffle(wanted)
        for pair, prompt in wanted:
            if pair not in schedule.pairs(prompt):
                continue  # that pair is sure by now
            table.known.add((pair, prompt.id))
            if rng is None or rng.random() < 0.8:  # whoever listens may be late
                schedule.follow(pair, table.said)
        asked.append(len(wanted))
        more = schedule.advance(table.said)
    return asked


def lengths(schedule: Schedule) -> dict[Two, int]:
    return {course.pair: len(course) for course in schedule.courses}


def config(**fields: Any) -> Config:
    return Config(model=("x", "y"), **fields)


def test_without_more_words_each_two_models_are_compared_on_all_prompts_at_once() -> None:
    schedule = Schedule(config(), prompts(50), MODELS)
    assert schedule.over
    twos = list(itertools.combinations(MODELS, 2))
    assert all(schedule.pairs(prompt) == twos for prompt in schedule.prompts)
    assert all(schedule.wanted(model) == list(schedule.prompts) for model in MODELS)
    assert all(schedule.both(two, "p49") for two in twos)
    assert list(schedule.notes()) == []
    with schedule.at_most():
        assert lengths(schedule) == dict.fromkeys(twos, 50)


def test_a_pair_may_be_sure_when_a_verdict_may_be_said() -> None:
    assert FEWEST == checks.MIN_PROMPTS


def test_with_a_baseline_the_others_are_compared_with_it_only() -> None:
    schedule = Schedule(config(baseline="c"), prompts(3), MODELS)
    assert schedule.pairs(schedule.prompts[0]) == [("a", "c"), ("b", "c")]


def one_by_one(values: Sequence[float], margin: float, alpha: float) -> int | None:
    """After how many prompts a pair is sure, by the definition."""
    for count in range(FEWEST, len(values) + 1):
        found = mean_confidence_sequence(np.array(values[:count]), alpha)
        decided = found.low > 0.5 or found.high < 0.5
        if decided or (0.5 - margin <= found.low and found.high <= 0.5 + margin):
            return count
    return None


def drawn(seed: int, shares: dict[Two, float]) -> Callable[[Two, int], list[float]]:
    """Verdicts in both orders that agree; a pair's first wins on that share of the prompts."""
    return lambda pair, n: [float(random.Random(f"{seed} {pair} {n}").random() < shares[pair])] * 2


@examples(4)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.75, 0.95]), st.randoms())
def test_a_pair_ends_where_looks_one_by_one_end_it_whoever_is_quicker(
    seed: int, share: float, rng: random.Random
) -> None:
    shares = {("a", "b"): share, ("a", "c"): 0.9, ("b", "c"): 0.5}
    values, count = drawn(seed, shares), 90
    schedule = Schedule(config(stop="when-sure", margin=20), prompts(count), MODELS)
    run(schedule, Table(values), rng)
    for pair, length in lengths(schedule).items():
        said = [values(pair, n)[0] for n in range(count)]
        assert length == (one_by_one(said, 0.2, 0.05 / 3) or count)
        assert [pair in schedule.pairs(one) for one in schedule.prompts] == (
            [True] * length + [False] * (count - length)
        )
    assert schedule.over


def test_what_was_judged_before_a_kill_leads_to_the_same_end() -> None:
    values = drawn(3, {("a", "b"): 0.7})
    whole = Schedule(config(stop="when-sure"), prompts(300), ("a", "b"))
    table = Table(values)
    run(whole, table)
    for killed_after in (0, 1, 25, 40, len(table.known) - 1):
        part = Table(values)
        part.known = set(sorted(table.known, key=lambda one: int(one[1][1:]))[:killed_after])
        again = Schedule(config(stop="when-sure"), prompts(300), ("a", "b"))
        run(again, part)
        assert lengths(again) == lengths(whole)
        assert part.known == table.known


def test_waves_grow_with_what_is_known_and_none_is_asked_for_too_early() -> None:
    schedule = Schedule(config(stop="when-sure", margin=0), prompts(500), ("a", "b"))
    asked = run(schedule, Table(lambda pair, n: [float(n % 2)] * 2))
    assert asked == [24, 16, 20, 30, 45, 67, 101, 151, 46]
    assert lengths(schedule) == {("a", "b"): 500}
    assert list(schedule.notes()) == ["--stop when-sure: it took 500 of 500 prompts at most"]


def test_a_sure_pair_is_asked_no_more_while_others_go_on() -> None:
    table = Table(lambda pair, n: [1.0, 1.0] if pair == ("a", "b") else [float(n % 2)] * 2)
    schedule = Schedule(config(stop="when-sure", margin=0), prompts(100), MODELS)
    run(schedule, table)
    found = lengths(schedule)
    assert (found["a", "c"], found["b", "c"]) == (100, 100)
    assert found["a", "b"] == one_by_one([1.0] * 100, 0, 0.05 / 3)
    assert sum(pair == ("a", "b") for pair, _ in table.known) <= 24
    assert len(schedule.wanted("a")) == 100


def test_prompts_without_a_verdict_count_for_nothing_and_hold_nothing_up() -> None:
    table = Table(lambda pair, n: [] if n % 2 else [1.0, 1.0])
    schedule = Schedule(config(stop="when-sure"), prompts(200), ("a", "b"))
    run(schedule, table)
    assert lengths(schedule) == {("a", "b"): 2 * FEWEST - 1}


def test_what_is_not_complete_is_not_wanted_when_the_run_is_stopped() -> None:
    schedule = Schedule(config(stop="when-sure", margin=0), prompts(100), ("a", "b"))
    table = Table(lambda pair, n: [float(n % 2)] * 2)
    table.known = {(("a", "b"), f"p{n}") for n in (*range(13), 14, 15, 30)}
    schedule.follow(("b", "a"), table.said)
    assert schedule.courses[0].seen == 13
    schedule.settle(table.said)
    assert lengths(schedule) == {("a", "b"): 13}
    assert schedule.over


def test_at_most_all_is_wanted_of_what_is_not_over() -> None:
    schedule = Schedule(config(stop="when-sure", orders="adaptive"), prompts(100), MODELS)
    schedule.courses[0].end(5)
    before = lengths(schedule)
    with schedule.at_most():
        assert sorted(lengths(schedule).values()) == [5, 100, 100]
        assert schedule.both(("b", "c"), "p99")
        assert not schedule.both(("a", "b"), "p99")
    assert lengths(schedule) == before == {("a", "b"): 5, ("a", "c"): 24, ("b", "c"): 24}
    once = Schedule(config(stop="when-sure", orders="random"), prompts(100), MODELS)
    with once.at_most():
        assert not once.both(("a", "b"), "p0")


def in_both(schedule: Schedule) -> list[bool]:
    (course,) = schedule.courses
    return [schedule.both(course.pair, prompt.id) for prompt in schedule.prompts]


@pytest.mark.parametrize(
    ("values", "from_the_second_wave_on"),
    [
        (lambda n: [1.0, 1.0], False),  # it is sure to be better
        (lambda n: [float(n % 5 < 3), float(n % 5 < 3)], True),  # close
        (lambda n: [1.0, 0.0], True),  # a habit: of one order it would be close
        (lambda n: [], True),  # nothing was judged
    ],
)
def test_the_second_order_is_asked_for_where_it_can_change_the_verdict(
    values: Callable[[int], list[float]], from_the_second_wave_on: bool
) -> None:
    schedule = Schedule(config(orders="adaptive", margin=20), prompts(60), ("a", "b"))

    def said(pair: Two, prompt: Prompt) -> list[Judgment]:
        return judged(pair, prompt, *values(int(prompt.id[1:])))

    assert in_both(schedule) == [True] * 24 + [False] * 36
    assert schedule.advance(said)
    assert in_both(schedule)[24:40] == [from_the_second_wave_on] * 16
    while schedule.advance(said):
        continue
    assert lengths(schedule) == {("a", "b"): 60}
    share = 100 * sum(in_both(schedule)) / 60
    assert list(schedule.notes()) == [
        f"--orders adaptive: both orders were wanted of {share:.0f} % of the prompts"
    ]


def test_what_a_wave_is_asked_does_not_depend_on_what_comes_of_it() -> None:
    """The choice for each prompt is made by those before: that is why no estimate is biased."""
    rng = random.Random(1)
    table = [[float(rng.random() < 0.62) for _ in "ab"] for _ in range(200)]

    def chosen(turned: int) -> list[bool]:
        schedule = Schedule(config(orders="adaptive"), prompts(200), ("a", "b"))

        def said(pair: Two, prompt: Prompt) -> list[Judgment]:
            number = int(prompt.id[1:])
            values = table[number] if number < turned else [1 - v for v in table[number]]
            both = schedule.both(pair, prompt.id)
            return judged(pair, prompt, *values[: 1 + both])

        while schedule.advance(said):
            continue
        return in_both(schedule)

    whole = chosen(200)
    assert 24 < sum(whole) < 200
    for end in (24, 40, 60, 90, 135):
        after = min(200, end + max(16, end // 2))
        assert chosen(end)[:after] == whole[:after]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_the_places_of_a_course_are_those_of_its_waves_up_to_its_end(
    sizes: list[int], data: st.DataObject
) -> None:
    ends = list(itertools.accumulate(sizes, initial=data.draw(st.integers(0, 5))))
    waves = [
        Wave(range(low, high), both=index % 2 == 0)
        for index, (low, high) in enumerate(itertools.pairwise(ends))
    ]
    places = [place for wave in waves for place in wave.places]
    both = [place for wave in waves if wave.both for place in wave.places]
    course = Course(("a", "b"), list(waves), over=False)
    start, count = (data.draw(st.integers(0, len(places))) for _ in range(2))
    assert list(course.places(start)) == places[start:]
    course.end(count)
    assert list(course.places()) == places[:count]
    assert len(course) == count
    assert course.over
    assert [place in course for place in range(60)] == [p in places[:count] for p in range(60)]
    kept = set(both) & set(places[:count])
    assert [course.both(place) for place in range(60)] == [p in kept for p in range(60)]


def test_chosen_pairs_come_after_a_wave_of_all_and_are_those_that_are_close() -> None:
    strong = dict(zip("abcdefgh", (9, 6, 6, 5, 4, 3, 2, 0), strict=True))

    def values(pair: Two, n: int) -> list[float]:
        share = 0.5 + (strong[pair[0]] - strong[pair[1]]) / 20
        return [float(random.Random(f"{pair} {n}").random() < share)] * 2

    schedule = Schedule(config(pairs="adaptive"), prompts(90), tuple(strong))
    assert run(schedule, Table(values)) == [28 * 24, 16 * 25, 16 * 25, 16 * 16]
    found = lengths(schedule)
    assert found["b", "c"] == 90
    assert found["a", "h"] < 90
    assert schedule.over
    share = 100 * sum(found.values()) / (28 * 90)
    assert list(schedule.notes()) == [f"--pairs adaptive: {share:.0f} % of each two on 90 prompts"]


def test_where_nothing_was_judged_any_pairs_are_chosen() -> None:
    schedule = Schedule(config(pairs="adaptive"), prompts(60), tuple("abcdefg"))
    assert run(schedule, Table(lambda pair, n: [])) == [21 * 24, 14 * 25, 14 * 11]
