"""Order, length and markdown effects, as far as design and completions identify them."""

import pytest

from bakeoff.records import PairSummary
from tests.unit.analysis.builders import both, judgment, pair, prompt, texts, won


def test_both_orders_identify_the_order_effect() -> None:
    rows = won(10, 10)
    for n in range(20, 30):
        rows += [judgment(n, "a", 1.0), judgment(n, "b", 1.0)]
    order = pair(rows).order
    assert order.identified == "both orders"
    assert (order.first_twice, order.second_twice) == (10, 0)
    assert order.effect is not None
    assert order.effect.estimate == pytest.approx(1 / 3)
    assert order.p == pytest.approx(2 / 1024)


def test_a_random_order_identifies_the_effect_by_two_means() -> None:
    rows = [judgment(n, "ab"[n % 2], float(n % 4 < 3)) for n in range(40)]
    order = pair(rows).order
    assert order.identified == "random order"
    assert order.balanced is not None
    assert order.effect is not None


def test_mostly_unrecorded_orders_identify_no_effect() -> None:
    rows = [judgment(n, "ab"[n % 2], 1.0) for n in range(4)]
    rows += [judgment(n, "a", 1.0, presented="unknown") for n in range(4, 10)]
    assert pair(rows).order.identified == "not recorded"


def pair_with_texts(a: list[str], b: list[str], *, samples: int = 1) -> PairSummary:
    rows, completions = [], []
    for sample in range(samples):
        completions += texts("a", a, sample=sample) + texts("b", b, sample=sample)
    for n in range(len(a)):
        rows += both(n, float(n % 2))
    return pair(rows, completions=tuple(completions))


def test_length_is_in_characters_over_prompts_with_both_completions() -> None:
    summary = pair_with_texts(["xx" if n % 2 else "" for n in range(20)], ["x"] * 20)
    assert summary.length is not None
    assert summary.length.n == 20
    assert summary.length.more_wins is not None
    assert summary.length.more_wins.estimate == 1
    lonely = pair(won(2, 0), completions=tuple(texts("a", ["x", "y"])))
    assert lonely.length is None
    assert lonely.markdown is None


def test_several_completions_of_a_prompt_are_averaged() -> None:
    assert pair_with_texts(["x"] * 4, ["yy"] * 4, samples=3).length.n == 4  # type: ignore[union-attr]


def test_markdown_inside_code_is_not_counted() -> None:
    rich, plain = "# Title\n- one\n1. two\n**bold** __bold__", "```\n# no\n- no\n```"
    summary = pair_with_texts([rich if n % 2 else plain for n in range(20)], ["text"] * 20)
    assert summary.markdown is not None
    assert summary.markdown.more_wins is not None
    assert summary.markdown.more_wins.n == 10
    assert pair_with_texts([plain] * 20, ["text"] * 20).markdown is None


@pytest.mark.parametrize("mark", ["# T", "- one", "12. two", "* three", "**b**", "__b__"])
def test_each_kind_of_markdown_is_counted(mark: str) -> None:
    markdown = pair_with_texts([f"x\n{mark} y"] * 4, ["text"] * 4).markdown
    assert markdown is not None
    assert markdown.n == 4


def test_without_thinking_tags_there_is_no_leak_effect() -> None:
    assert pair_with_texts(["x"] * 4, ["y"] * 4).thinking is None
    assert pair_with_texts(["x"] * 4, ["<think>y"] * 4).thinking is not None


def test_clusters_widen_the_interval_at_equal_length_and_style() -> None:
    completions = texts("a", ["x" * (n % 9) + str(n) for n in range(60)])
    completions += texts("b", ["y" * (n % 7) + str(n) for n in range(60)])
    rows = [row for n in range(60) for row in both(n, float(n // 3 % 2))]
    tagged = tuple(prompt(n, tags=(f"cluster:{n // 3}",)) for n in range(60))
    apart, together = (
        pair(rows, completions=tuple(completions), prompts=prompts).controls.rate  # type: ignore[union-attr]
        for prompts in ((), tagged)
    )
    assert apart is not None
    assert together is not None
    assert (apart.n, together.n) == (60, 20)
    assert together.se > 1.5 * apart.se  # type: ignore[operator]
