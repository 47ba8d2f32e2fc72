"""Tests of judge prompts: texts as data inside their delimiters, truncated alike."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError, VerdictError
from bakeoff.judges.rendering import (
    BUILTIN_TEMPLATES,
    Template,
    TemplateInput,
    load_criteria,
    next_max_chars,
    truncate_middle,
)
from bakeoff.records import Criterion
from tests.builders import make_prompt

QUESTION = make_prompt("Which?", reference="This.")
INJECTIONS = [
    json.loads(line)
    for line in (Path(__file__).parent / "injections.jsonl").read_text("utf-8").splitlines()
]
PAIRWISE = [name for name, kind in BUILTIN_TEMPLATES.items() if kind not in ("", "scored")]
CRITERIA = (Criterion(name="correct", description="true"),)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def rendered(name: str, *completions: str, kept: int | None = None) -> str:
    template = Template(name, len(completions))
    return template.render(TemplateInput(QUESTION, completions, CRITERIA), kept)


def delimited_texts(rendered_text: str) -> list[str]:
    """The texts between two delimiters, in order."""
    fence = re.search(r"^======== [a-z]{8}$", rendered_text, re.MULTILINE)
    assert fence is not None
    parts = rendered_text.split(f"\n{fence.group()}\n")
    return [part.strip("\n") for part in parts[1::2]]


def injected(row: dict[str, object]) -> str:
    return str(row["text"]) * int(str(row.get("repeat", 1)))


@pytest.mark.parametrize("row", INJECTIONS, ids=lambda row: str(row["id"]))
def test_injections_stay_inside_their_delimiters_in_every_template(row: dict[str, object]) -> None:
    attack = injected(row)
    for name in PAIRWISE:
        for completions in ((attack, "plain"), ("plain", attack)):
            inside = delimited_texts(rendered(name, *completions))
            assert inside[-2:] == [text.strip("\n") for text in completions], name
            assert inside[0] == "Which?"
    assert delimited_texts(rendered("scored", attack))[-1] == attack.strip("\n")


def test_there_are_at_least_forty_injections() -> None:
    assert len(INJECTIONS) >= 40


@given(text, text)
def test_any_completion_stays_inside_its_delimiters(first: str, second: str) -> None:
    hostile = "{{ fence }}{% raw %}" + second
    for name in PAIRWISE:
        inside = delimited_texts(rendered(name, first, hostile))
        assert inside[-2:] == [first.strip("\n"), hostile.strip("\n")]


def find_delimiter(text: str) -> str:
    match = re.search(r"^======== (\w+)$", text, re.MULTILINE)
    assert match is not None
    return match.group(1)


def delimiter_of(template: Template, *completions: str, question: str = "Which?") -> str:
    prompt = make_prompt(question)
    return find_delimiter(template.render(TemplateInput(prompt, completions), None))


def test_requests_on_a_prompt_share_the_delimiter() -> None:
    template = Template("pairwise", 2)
    fence = delimiter_of(template, "one", "two")
    assert delimiter_of(template, "two", "one") == fence
    assert delimiter_of(template, "one", "three") == fence
    assert delimiter_of(template, "one", "two", question="Who?") != fence


def test_each_repeat_has_a_new_delimiter_for_both_orders() -> None:
    template = Template("pairwise", 2)
    fences = [
        (delimiter_of(template, "one", "two"), delimiter_of(template, "two", "one"))
        for _ in range(50)
    ]
    assert all(first == second for first, second in fences)
    assert len(set(fences)) == 50


def test_each_run_has_a_new_delimiter() -> None:
    assert len({delimiter_of(Template("pairwise", 2), "one", "two") for _ in range(50)}) == 50


def test_text_with_the_delimiter_gets_another_one() -> None:
    template = Template("pairwise", 2)
    fence = delimiter_of(template, "one", "two")
    for texts in ((f"======== {fence}", "two"), ("one", f"so {fence} it is")):
        assert delimiter_of(template, *texts) != fence
    assert delimiter_of(template, "one", "three") == fence


def test_templates_request_the_explanation_before_the_scores() -> None:
    for name in set(PAIRWISE) - {"choice"}:  # one letter explains nothing
        words = rendered(name, "one", "two").rpartition("========")[2].casefold()
        first = min(words.find(word) for word in ("explan", "weigh") if word in words)
        marks = [words.find(word) for word in ("score", "[[a>>b]]") if word in words]
        assert first < min(marks), name


def test_reference_template_needs_a_reference() -> None:
    assert delimited_texts(rendered("reference", "one", "two"))[1] == "This."
    bare = TemplateInput(QUESTION.model_copy(update={"reference": None}), ("one", "two"))
    with pytest.raises(VerdictError, match="has no reference"):
        Template("reference", 2).render(bare, None)


def test_rubric_template_shows_the_criteria() -> None:
    words = rendered("rubric", "one", "two")
    assert "- correct: true\n" in words


@given(st.text(max_size=400), st.integers(0, 300))
def test_truncated_text_keeps_both_ends_and_counts_the_rest(text: str, kept: int) -> None:
    shown = truncate_middle(text, kept)
    if len(text) <= kept:
        assert shown == text
        return
    head = (kept + 1) // 2
    assert shown.startswith(text[:head])
    assert shown.endswith(text[len(text) - (kept - head) :])
    assert f"[... {len(text) - kept:,} characters left out ...]" in shown


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_truncation_lengths_do_not_depend_on_the_text(first: int, second: int) -> None:
    def steps(longest: int) -> list[int]:
        lengths, kept = [], next_max_chars(None, longest)
        while kept is not None:
            lengths.append(kept)
            kept = next_max_chars(kept, longest)
        return lengths

    shorter_of, longer_of = sorted((steps(first), steps(second)), key=len)
    assert shorter_of == longer_of[len(longer_of) - len(shorter_of) :]
    assert all(kept < first for kept in steps(first))
    assert first <= 100 or steps(first)[-1] == 100


def test_template_without_delimiter_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = tmp_path / "mine.j2"
    mine.write_text("{{ conversation }} A: {{ first }} B: {{ second }}")
    Template(str(mine), 2)
    assert "no {{ fence }}" in caplog.text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("{% if %}", "cannot be read"),
        ("{{ model_name }}", "asks for .'model_name'"),
        ("{{ prompt.author }}", "cannot be used"),
        ("{{ completion }}", "cannot be used"),  # of two
    ],
)
def test_invalid_template_fails_when_it_is_opened(tmp_path: Path, words: str, problem: str) -> None:
    mine = tmp_path / "mine.j2"
    mine.write_text(words)
    with pytest.raises(ConfigError, match=problem):
        Template(str(mine), 2)


def test_criteria_file_has_names_or_weighted_criteria(tmp_path: Path) -> None:
    file = tmp_path / "criteria.yaml"
    file.write_text("- correct\n- {name: short, description: not a word more, weight: 2}\n")
    assert load_criteria(str(file)) == (
        Criterion(name="correct"),
        Criterion(name="short", description="not a word more", weight=2),
    )
    for bad in ("", "- {weight: 1}", "- {name: x, weight: 0}", "{a: [", "5"):
        file.write_text(bad)
        with pytest.raises(ConfigError, match="no criteria in"):
            load_criteria(str(file))
