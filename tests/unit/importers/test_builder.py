from hypothesis import given
from hypothesis import strategies as st

from bakeoff.importers.builder import EvidenceBuilder, ModelOutput
from bakeoff.importers.labels import ParseFailure, parse_prompt
from bakeoff.importers.outcomes import RepeatKey
from bakeoff.prompts.rows import Row
from bakeoff.records import Completion, Judgment, Verdict
from tests.builders import make_prompt

WON = Verdict(first=1.0, reason="r")
LOST = ParseFailure("missing", "'winner' is missing", "None")


def add_pair(
    builder: EvidenceBuilder, *texts: object, prompt: str = "p", models: str = "ab"
) -> int:
    a, b = (ModelOutput(m, recorded=True, completion=t) for m, t in zip(models, texts, strict=True))  # type: ignore[arg-type]
    return builder.add_pair(prompt, a, b).sample


def test_equal_completions_share_a_sample() -> None:
    builder = EvidenceBuilder()
    assert add_pair(builder, "x", "y") == 0
    assert add_pair(builder, "x", "z") == 1
    assert add_pair(builder, "x", "y") == 0
    assert add_pair(builder, "w", "y") == 2
    assert add_pair(builder, "x", "y", prompt="other") == 0
    written = [
        (c.prompt_id, c.model, c.sample, c.completion.text) for c in builder.build().completions
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


def test_completion_in_several_pairs_is_added_once() -> None:
    builder = EvidenceBuilder()
    assert add_pair(builder, "x", "y") == 0
    assert add_pair(builder, "x", "z", models="ac") == 0
    assert add_pair(builder, "y", "new", models="bc") == 1
    assert len(builder.build().completions) == 5


def test_completion_keeps_its_reasoning() -> None:
    builder = EvidenceBuilder()
    assert add_pair(builder, "<think>hm</think>x", "y") == 0
    assert add_pair(builder, "x", "y") == 1
    first = builder.build().completions[0].completion
    assert first == Completion(text="<think>hm</think>x")


def test_completion_that_is_not_text_is_one_failure_and_its_pair_is_added() -> None:
    builder = EvidenceBuilder()
    assert [
        add_pair(builder, True, "y"),
        add_pair(builder, True, "y"),
        add_pair(builder, "x", None),
    ] == [0, 0, 0]
    evidence = builder.build()
    assert [(f.stage, f.participant, f.kind, f.raw) for f in evidence.failures] == [
        ("completion", "a", "not text", "True"),
        ("completion", "b", "not text", "None"),
    ]
    assert [(c.model, c.completion.text) for c in evidence.completions] == [("b", "y"), ("a", "x")]


def test_pair_without_completions() -> None:
    builder = EvidenceBuilder()
    assert builder.add_pair("p", ModelOutput("a"), ModelOutput("b")) == ("p", "a", "b", 0)
    assert builder.build().completions == ()


def test_model_paired_with_itself_gets_a_second_name() -> None:
    builder = EvidenceBuilder()
    builder.add_judgment(builder.add_pair("p", ModelOutput("a"), ModelOutput("a")), "j", WON)
    assert builder.build().models == ("a", "a (2)")
    assert (builder.build().judgments[0].first, builder.build().judgments[0].second) == (
        "a",
        "a (2)",
    )


def test_repeats_count_judgments_and_failures() -> None:
    builder = EvidenceBuilder()
    pair = builder.add_pair("p", ModelOutput("a"), ModelOutput("b"))
    for judge, verdict in (("j", WON), ("j", LOST), ("j", WON), ("k", WON)):
        builder.add_judgment(pair, judge, verdict, "a")
    builder.add_judgment(pair, "j", WON, "b")
    evidence = builder.build()
    assert [(j.judge, j.first, j.repeat) for j in evidence.judgments] == [
        ("j", "a", 0),
        ("j", "a", 2),
        ("k", "a", 0),
        ("j", "b", 0),
    ]
    (failure,) = evidence.failures
    assert (failure.participant, failure.first, failure.second, failure.repeat) == (
        "j",
        "a",
        "b",
        1,
    )
    assert (failure.kind, failure.raw) == ("missing", "None")


def test_verdict_is_swapped_only_if_b_was_shown_first() -> None:
    builder = EvidenceBuilder()
    pair = builder.add_pair("p", ModelOutput("a"), ModelOutput("b"))
    verdict = Verdict.model_validate({"first": 0.75, "scores": (9, 2)})
    for shown_first in ("a", "b", "unknown", "pointwise"):
        builder.add_judgment(pair, "j", verdict, shown_first)  # type: ignore[arg-type]
    by_first = [
        (j.first, j.presented, j.verdict.first, j.verdict.scores) for j in builder.build().judgments
    ]
    assert by_first == [
        ("a", "recorded", 0.75, (9, 2)),
        ("b", "recorded", 0.25, (2, 9)),
        ("a", "unknown", 0.75, (9, 2)),
        ("a", "pointwise", 0.75, (9, 2)),
    ]


def test_tags_of_equal_prompts_are_merged() -> None:
    builder = EvidenceBuilder()
    names = [
        builder.add_prompt(parse_prompt("q", default="row 1", tags=tags))
        for tags in (("x",), ("y", "x"))
    ]
    assert names[0] == names[1]
    assert [p.tags for p in builder.build().prompts] == [("x", "y")]


def test_prompt_id_is_unique_within_a_file_and_text_across_files() -> None:
    builder = EvidenceBuilder()
    for texts in (("q", "Q"), ("other", "other"), ("q", "q"), (None, None)):
        builder.begin_file()
        for text in texts:
            builder.add_prompt(parse_prompt(text, default="row 1", prompt_id="7"))
    evidence = builder.build()
    assert [(p.id, p.messages[0].content) for p in evidence.prompts] == [
        ("7", "q"),
        ("7 (2)", "other"),
    ]
    assert len(evidence.notes) == 2


def test_placeholder_prompt_takes_a_later_text() -> None:
    builder = EvidenceBuilder()
    for text in (None, "q"):
        builder.begin_file()
        builder.add_prompt(parse_prompt(text, default="row 1", prompt_id="7"))
    assert builder.build().prompts == (make_prompt("q", id="7"),)


def test_a_row_without_prompt_is_named_after_its_content() -> None:
    builder = EvidenceBuilder()
    rows = [Row("row 1", {"winner": "a"}), Row("row 2", {"winner": "b"}), Row("row 9", {})]
    ids = []
    for file_rows in (rows, [rows[1], rows[0], rows[0]]):
        builder.begin_file()
        ids += [builder.add_row_prompt(row, " ") for row in file_rows]
    assert len(set(ids)) == 6
    assert [len(name) for name in ids] == [len("row ") + 12] * 6
    other = EvidenceBuilder()
    other.begin_file()
    assert [other.add_row_prompt(row, None) for row in reversed(rows)] == ids[2::-1]


def test_outcome_keeps_its_repeat_and_duplicates_are_dropped() -> None:
    builder = EvidenceBuilder()
    pair = builder.add_pair("p", ModelOutput("a"), ModelOutput("b"))
    builder.add_judgment(pair, "j", WON, "a")
    (judgment,) = builder.build().judgments
    other = judgment.model_copy(update={"verdict": Verdict(first=0.0)})
    far = judgment.model_copy(update={"repeat": 4})
    key = RepeatKey("p", "j", "a", "b", sample=0)
    for outcome in (judgment, other, far, far):
        builder.add_recorded(key, outcome)
    judgments: tuple[Judgment, ...] = builder.build().judgments
    assert [(j.repeat, j.verdict.first) for j in judgments] == [(0, 1.0), (1, 0.0), (4, 1.0)]
    builder.add_judgment(pair, "j", WON, "a")
    assert builder.build().judgments[-1].repeat == 3


def test_repeats_within_a_file_are_noted_and_across_files_are_not() -> None:
    builder = EvidenceBuilder()
    for _ in range(2):
        builder.begin_file()
        for text in ("x", "y"):
            pair = builder.add_pair(
                "p", ModelOutput("a", recorded=True, completion=text), ModelOutput("b")
            )
            for shown_first in ("a", "b"):
                builder.add_judgment(pair, "j", WON, shown_first)  # type: ignore[arg-type]
        builder.add_judgment(
            builder.add_pair("q", ModelOutput("a"), ModelOutput("b")), "j", LOST, "a"
        )
    (note,) = builder.build().notes
    assert note.startswith("4 verdicts are on a prompt that the same judge has in the same file")


def reference_sample(known: dict[tuple[str, int], str], texts: dict[str, str]) -> int:
    """The sample by linear search."""
    sample = 0
    while texts and any(known.get((m, sample), text) != text for m, text in texts.items()):
        sample += 1
    known.update({(m, sample): text for m, text in texts.items()})
    return sample


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)))
def test_completions_get_the_lowest_sample_with_equal_or_no_text(
    rows: list[dict[str, str]],
) -> None:
    builder, known = EvidenceBuilder(), dict[tuple[str, int], str]()
    for texts in rows:
        completions = {m: Completion(text=text) for m, text in texts.items()}
        sample = builder.add_completions("p", completions)
        assert sample == reference_sample(known, texts)
    added = {(c.model, c.sample): c.completion.text for c in builder.build().completions}
    assert added == known


def test_a_prompt_may_have_thousands_of_samples() -> None:
    builder = EvidenceBuilder()
    for n in range(5000):
        texts = {"a": Completion(text=str(n)), "b": Completion(text="always the same")}
        assert builder.add_completions("p", texts) == n
