"""Slices by tag: n, interval, adjusted p; no verdict for few prompts."""

import pytest

from tests.unit.analysis.builders import judgment, pair, prompt, won


def tagged_prompts(*groups: tuple[str, int]):  # type: ignore[no-untyped-def]
    names = [name for name, n in groups for _ in range(n)]
    return tuple(prompt(n, tags=(name,)) for n, name in enumerate(names))


def test_each_tag_has_a_row_the_largest_first_with_holms_p() -> None:
    summary = pair(won(36, 4), prompts=tagged_prompts(("code", 22), ("chat", 18)))
    code, chat = summary.slices
    assert [(row.tag, row.prompts) for row in summary.slices] == [("code", 22), ("chat", 18)]
    assert (code.win_rate.estimate, chat.win_rate.estimate) == (1.0, pytest.approx(14 / 18))
    assert code.adjusted_p == pytest.approx(2 * code.p)
    assert chat.adjusted_p == pytest.approx(chat.p)
    assert (code.outcome, chat.outcome) == ("better", "better")


def test_fewer_than_15_prompts_have_no_outcome() -> None:
    summary = pair(won(29, 0), prompts=tagged_prompts(("code", 15), ("chat", 14)))
    assert [row.outcome for row in summary.slices] == ["better", None]


def test_outcomes_of_slices_use_the_adjusted_p_value() -> None:
    groups = [(f"tag{n:02}", 16) for n in range(10)]
    values = [
        float(n < 13) if group == 0 else float(n % 2) for group in range(10) for n in range(16)
    ]
    rows = [
        judgment(i, first, v if first == "a" else 1 - v)
        for i, v in enumerate(values)
        for first in "ab"
    ]
    summary = pair(rows, prompts=tagged_prompts(*groups))
    assert summary.slices[0].p < 0.05 < summary.slices[0].adjusted_p
    assert {row.outcome for row in summary.slices} == {"no difference shown"}


def test_a_slice_can_be_worse() -> None:
    summary = pair(won(20, 20), prompts=tagged_prompts(("code", 20), ("chat", 20)))
    assert {row.tag: row.outcome for row in summary.slices} == {"code": "better", "chat": "worse"}


def test_slices_of_a_withheld_pair_have_no_outcome() -> None:
    rows = [judgment(n, "a", 1.0) for n in range(20)]
    summary = pair(rows, prompts=tagged_prompts(("code", 20)))
    assert (summary.outcome, summary.slices[0].outcome) == ("withheld", None)


def test_cluster_tags_are_no_slices_but_units_within_one() -> None:
    prompts = tuple(prompt(n, tags=("code", f"cluster:{n // 2}")) for n in range(40))
    summary = pair(won(30, 10), prompts=prompts)
    assert [row.tag for row in summary.slices] == ["code"]
    assert summary.slices[0].win_rate.n == 20
