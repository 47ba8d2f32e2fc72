"""Slices by tag: n, interval, adjusted p; no verdict for few prompts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.analysis.checks import run_checks
from bakeoff.analysis.evidence_pairs import build_pair_data
from bakeoff.analysis.findings import CheckInput, Finding
from bakeoff.analysis.pair import summarize_for_checks, summarize_pair
from bakeoff.analysis.pair_data import AnalysisConfig, PairData
from bakeoff.records import Judgment, Outcome, PairSummary
from tests.unit.analysis.builders import (
    evidence,
    failure,
    judgment,
    pair,
    prompt,
    rows,
    texts,
    won,
    words_by_model,
)


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


def findings(pair: PairSummary, data: PairData, outcome: Outcome) -> list[Finding]:
    return run_checks(CheckInput(pair, data, outcome))


def filtered(data: PairData, ids: set[str]) -> PairData:
    """The data on some prompts, of which no statistic has been computed."""
    return replace(
        data,
        completions={
            model: {id_: texts for id_, texts in by_prompt.items() if id_ in ids}
            for model, by_prompt in data.completions.items()
        },
        judgments=[row for row in data.judgments if row.prompt_id in ids],
        failures=[row for row in data.failures if row.prompt_id in ids],
        incomplete=data.incomplete & ids,
        labels=(),
    )


@settings(deadline=None)
@given(
    judged=rows,
    words=words_by_model,
    failed=st.lists(st.integers(0, 30), max_size=3),
    chosen=st.sets(st.integers(0, 24), min_size=1),
    outcome=st.sampled_from(["better", "worse", "equivalent"]),
)
def test_a_slice_has_the_findings_of_a_whole_summary_of_its_evidence(
    judged: list[Judgment],
    words: dict[str, list[str]],
    failed: list[int],
    chosen: set[int],
    outcome: Outcome,
) -> None:
    failures = tuple(failure(f"p{number}", participant="j") for number in failed)
    completions = tuple(row for model, contents in words.items() for row in texts(model, contents))
    all_evidence = evidence(judged, completions=completions, failures=failures)
    (whole,) = build_pair_data(all_evidence, AnalysisConfig())
    ids = [whole.prompt_ids[index] for index in whole.prompt_table.prompt.tolist()]
    codes = np.flatnonzero([int(id_[1:]) in chosen for id_ in ids])
    if not len(codes):
        return
    part, alone = whole.of_prompts(codes), filtered(whole, {ids[code] for code in codes})
    summary = summarize_pair(alone)
    assert findings(summarize_for_checks(part), part, outcome) == findings(summary, alone, outcome)
