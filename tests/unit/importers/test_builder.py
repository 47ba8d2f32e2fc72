from bakeoff.importers.asking import prompt_of
from bakeoff.importers.builder import Gathering
from bakeoff.importers.cases import Side
from bakeoff.importers.labels import Unread
from bakeoff.records import Completion, Judgment, Message, Prompt, Verdict

WON = Verdict(first=1.0, reason="r")
LOST = Unread("missing", "'winner' is missing", "None")


def said(into: Gathering, *texts: object, prompt: str = "p", models: str = "ab") -> int:
    a, b = (Side(m, held=True, said=t) for m, t in zip(models, texts, strict=True))  # type: ignore[arg-type]
    return into.case(prompt, a, b).sample


def test_the_same_completions_are_one_sample_and_others_the_next() -> None:
    into = Gathering()
    assert said(into, "x", "y") == 0
    assert said(into, "x", "z") == 1
    assert said(into, "x", "y") == 0
    assert said(into, "w", "y") == 2
    assert said(into, "x", "y", prompt="other") == 0
    written = [
        (c.prompt_id, c.model, c.sample, c.completion.text) for c in into.evidence().completions
    ]
    assert written == [
        ("p", "a", 0, "x"),
        ("p", "b", 0, "y"),
        ("p", "a", 1, "x"),
        ("p", "b", 1, "z"),
        ("p", "a", 2, "w"),
        ("p", "b", 2, "y"),
        ("other", "a", 0, "x"),
        ("other", "b", 0, "y"),
    ]


def test_a_model_may_meet_others_with_the_same_completion() -> None:
    into = Gathering()
    assert said(into, "x", "y") == 0
    assert said(into, "x", "z", models="ac") == 0
    assert said(into, "y", "new", models="bc") == 1
    assert len(into.evidence().completions) == 5


def test_a_completion_is_kept_as_the_judge_saw_it_with_its_thinking() -> None:
    into = Gathering()
    assert said(into, "<think>hm</think>x", "y") == 0
    assert said(into, "x", "y") == 1
    first = into.evidence().completions[0].completion
    assert first == Completion(text="<think>hm</think>x")


def test_what_is_no_text_fails_once_and_the_case_still_stands() -> None:
    into = Gathering()
    assert [said(into, True, "y"), said(into, True, "y"), said(into, "x", None)] == [0, 0, 0]
    found = into.evidence()
    assert [(f.stage, f.participant, f.kind, f.raw) for f in found.failures] == [
        ("completion", "a", "not text", "True"),
        ("completion", "b", "not text", "None"),
    ]
    assert [(c.model, c.completion.text) for c in found.completions] == [("b", "y"), ("a", "x")]


def test_completions_that_the_file_does_not_hold_are_none() -> None:
    into = Gathering()
    assert into.case("p", Side("a"), Side("b")) == ("p", "a", "b", 0)
    assert into.evidence().completions == ()


def test_a_model_against_itself_has_two_names() -> None:
    into = Gathering()
    into.judged(into.case("p", Side("a"), Side("a")), "j", WON)
    assert into.evidence().models == ("a", "a (2)")
    assert (into.evidence().judgments[0].first, into.evidence().judgments[0].second) == (
        "a",
        "a (2)",
    )


def test_repeats_count_what_was_asked_before_failures_too() -> None:
    into = Gathering()
    case = into.case("p", Side("a"), Side("b"))
    for judge, found in (("j", WON), ("j", LOST), ("j", WON), ("k", WON)):
        into.judged(case, judge, found, "a")
    into.judged(case, "j", WON, "b")
    found = into.evidence()
    assert [(j.judge, j.first, j.repeat) for j in found.judgments] == [
        ("j", "a", 0),
        ("j", "a", 2),
        ("k", "a", 0),
        ("j", "b", 0),
    ]
    (failure,) = found.failures
    assert (failure.who, failure.first, failure.second, failure.repeat) == ("j", "a", "b", 1)
    assert (failure.kind, failure.raw) == ("missing", "None")


def test_the_order_turns_the_verdict_only_where_b_was_first() -> None:
    into = Gathering()
    case = into.case("p", Side("a"), Side("b"))
    verdict = Verdict.model_validate({"first": 0.75, "scores": (9, 2)})
    for shown in ("a", "b", "unknown", "apart"):
        into.judged(case, "j", verdict, shown)  # type: ignore[arg-type]
    by_first = [
        (j.first, j.presented, j.verdict.first, j.verdict.scores) for j in into.evidence().judgments
    ]
    assert by_first == [
        ("a", "recorded", 0.75, (9, 2)),
        ("b", "recorded", 0.25, (2, 9)),
        ("a", "unknown", 0.75, (9, 2)),
        ("a", "apart", 0.75, (9, 2)),
    ]


def test_prompts_of_the_same_text_are_one_and_gather_their_tags() -> None:
    into = Gathering()
    names = [
        into.prompt(prompt_of("q", otherwise="row 1", tags=tags)) for tags in (("x",), ("y", "x"))
    ]
    assert names[0] == names[1]
    assert [p.tags for p in into.evidence().prompts] == [("x", "y")]


def test_in_one_file_the_id_decides_and_between_files_the_text_does() -> None:
    into = Gathering()
    for texts in (("q", "Q"), ("other", "other"), ("q", "q"), (None, None)):
        into.begin()
        for text in texts:
            into.prompt(prompt_of(text, otherwise="row 1", name="7"))
    found = into.evidence()
    assert [(p.id, p.messages[0].content) for p in found.prompts] == [
        ("7", "q"),
        ("7 (2)", "other"),
    ]
    assert len(found.notes) == 2


def test_a_prompt_of_which_only_the_id_is_known_learns_its_text() -> None:
    into = Gathering()
    for text in (None, "q"):
        into.begin()
        into.prompt(prompt_of(text, otherwise="row 1", name="7"))
    assert into.evidence().prompts == (
        Prompt(id="7", messages=(Message(role="user", content="q"),)),
    )


def test_rows_without_a_prompt_are_prompts_of_their_file() -> None:
    into = Gathering()
    into.begin()
    assert into.row(3) == "row 3"
    into.begin()
    assert into.row(3) == "row 3 of file 2"


def test_a_known_outcome_keeps_its_repeat_and_comes_once() -> None:
    into = Gathering()
    case = into.case("p", Side("a"), Side("b"))
    into.judged(case, "j", WON, "a")
    (judgment,) = into.evidence().judgments
    other = judgment.model_copy(update={"verdict": Verdict(first=0.0)})
    far = judgment.model_copy(update={"repeat": 4})
    asked = next(iter(into._outcomes))
    for outcome in (judgment, other, far, far):
        into.take(asked, outcome, known=True)
    judgments: tuple[Judgment, ...] = into.evidence().judgments
    assert [(j.repeat, j.verdict.first) for j in judgments] == [(0, 1.0), (1, 0.0), (4, 1.0)]
    into.judged(case, "j", WON, "a")
    assert into.evidence().judgments[-1].repeat == 3


def test_a_prompt_that_stands_in_one_file_again_is_noted_and_one_in_another_file_is_not() -> None:
    into = Gathering()
    for _ in range(2):
        into.begin()
        for text in ("x", "y"):
            case = into.case("p", Side("a", held=True, said=text), Side("b"))
            for shown in ("a", "b"):
                into.judged(case, "j", WON, shown)  # type: ignore[arg-type]
        into.judged(into.case("q", Side("a"), Side("b")), "j", LOST, "a")
    (note,) = into.evidence().notes
    assert note.startswith("4 verdicts are on a prompt that the same judge has in the same file")
