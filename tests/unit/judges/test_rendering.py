"""What a judge is shown: texts as data inside their fences, cut alike where they do not fit."""

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
from bakeoff.records import Criterion, Message, Prompt

QUESTION = Prompt(messages=(Message(role="user", content="Which?"),), reference="This.")
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


def fenced(rendered_text: str) -> list[str]:
    """What stands between two fences, in order."""
    fence = re.search(r"^======== [0-9a-f]{16}$", rendered_text, re.MULTILINE)
    assert fence is not None
    parts = rendered_text.split(f"\n{fence.group()}\n")
    return [part.strip("\n") for part in parts[1::2]]


def injected(row: dict[str, object]) -> str:
    return str(row["text"]) * int(str(row.get("repeat", 1)))


@pytest.mark.parametrize("row", INJECTIONS, ids=lambda row: str(row["id"]))
def test_an_injection_stays_inside_its_fence_in_every_template(row: dict[str, object]) -> None:
    attack = injected(row)
    for name in PAIRWISE:
        for completions in ((attack, "plain"), ("plain", attack)):
            inside = fenced(rendered(name, *completions))
            assert inside[-2:] == [text.strip("\n") for text in completions], name
            assert inside[0] == "Which?"
    assert fenced(rendered("scored", attack))[-1] == attack.strip("\n")


def test_there_are_enough_injections() -> None:
    assert len(INJECTIONS) >= 40


@given(text, text)
def test_whatever_the_completions_are_they_are_data(first: str, second: str) -> None:
    hostile = "{{ fence }}{% raw %}" + second
    for name in PAIRWISE:
        inside = fenced(rendered(name, first, hostile))
        assert inside[-2:] == [first.strip("\n"), hostile.strip("\n")]


def fence_of(text: str) -> str:
    found = re.search(r"^======== (\w+)$", text, re.MULTILINE)
    assert found is not None
    return found.group(1)


def asked(template: Template, *completions: str, question: str = "Which?") -> str:
    prompt = Prompt(messages=(Message(role="user", content=question),))
    return fence_of(template.render(TemplateInput(prompt, completions), None))


def test_the_fence_is_one_for_all_that_is_judged_on_a_prompt() -> None:
    template = Template("pairwise", 2)
    fence = asked(template, "one", "two")
    assert asked(template, "two", "one") == fence
    assert asked(template, "one", "three") == fence
    assert asked(template, "one", "two", question="Who?") != fence


def test_the_fence_is_new_for_each_repeat_and_its_orders_share_it() -> None:
    template = Template("pairwise", 2)
    fences = [(asked(template, "one", "two"), asked(template, "two", "one")) for _ in range(50)]
    assert all(one == other for one, other in fences)
    assert len(set(fences)) == 50


def test_the_fence_is_new_for_each_run() -> None:
    assert len({asked(Template("pairwise", 2), "one", "two") for _ in range(50)}) == 50


def test_who_has_seen_a_fence_does_not_get_the_same() -> None:
    template = Template("pairwise", 2)
    fence = asked(template, "one", "two")
    for texts in ((f"======== {fence}", "two"), ("one", f"so {fence} it is")):
        assert asked(template, *texts) != fence
    assert asked(template, "one", "three") == fence


def test_an_explanation_is_asked_for_before_the_scores() -> None:
    for name in set(PAIRWISE) - {"choice"}:  # one letter explains nothing
        words = rendered(name, "one", "two").rpartition("========")[2].casefold()
        first = min(words.find(word) for word in ("explan", "weigh") if word in words)
        marks = [words.find(word) for word in ("score", "[[a>>b]]") if word in words]
        assert first < min(marks), name


def test_a_reference_is_shown_and_a_prompt_without_one_has_no_verdict() -> None:
    assert fenced(rendered("reference", "one", "two"))[1] == "This."
    bare = TemplateInput(QUESTION.model_copy(update={"reference": None}), ("one", "two"))
    with pytest.raises(VerdictError, match="has no reference"):
        Template("reference", 2).render(bare, None)


def test_a_rubric_shows_its_criteria() -> None:
    words = rendered("rubric", "one", "two")
    assert "- correct: true\n" in words


@given(st.text(max_size=400), st.integers(0, 300))
def test_a_cut_keeps_both_ends_and_says_how_much_is_gone(text: str, kept: int) -> None:
    shown = truncate_middle(text, kept)
    if len(text) <= kept:
        assert shown == text
        return
    head = (kept + 1) // 2
    assert shown.startswith(text[:head])
    assert shown.endswith(text[len(text) - (kept - head) :])
    assert f"[... {len(text) - kept:,} characters left out ...]" in shown


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_both_completions_are_cut_to_the_same_lengths_down_to_the_shortest(
    one: int, other: int
) -> None:
    def steps(longest: int) -> list[int]:
        found, kept = [], next_max_chars(None, longest)
        while kept is not None:
            found.append(kept)
            kept = next_max_chars(kept, longest)
        return found

    shorter_of, longer_of = sorted((steps(one), steps(other)), key=len)
    assert shorter_of == longer_of[len(longer_of) - len(shorter_of) :]
    assert all(kept < one for kept in steps(one))
    assert one <= 100 or steps(one)[-1] == 100


def test_a_template_without_a_fence_is_warned_of(
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
def test_a_template_that_cannot_work_is_said_when_it_is_opened(
    tmp_path: Path, words: str, problem: str
) -> None:
    mine = tmp_path / "mine.j2"
    mine.write_text(words)
    with pytest.raises(ConfigError, match=problem):
        Template(str(mine), 2)


def test_criteria_come_from_a_file_as_names_or_with_weights(tmp_path: Path) -> None:
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
