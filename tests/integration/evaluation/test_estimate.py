"""Estimates compared with the actual usage of runs."""

import random
from pathlib import Path
from typing import Any

import pytest

from bakeoff import Config, run
from bakeoff.costs import estimate_tokens
from bakeoff.errors import BudgetError
from bakeoff.evaluation.estimate import COMPLETION_TOKENS, VERDICT_TOKENS
from bakeoff.evaluation.session import plan
from bakeoff.testing import OpenAIServer, chat_completion, verdict_json
from tests.marks import long
from tests.tokenizer import MODELS, Tokenizer, tokenizer

WORDS = (
    *(
        "the",
        "model",
        "says",
        "what",
        "it",
        "knows",
        "about",
        "water,",
        "light",
        "and",
        "a",
        "small",
    ),
    *(
        "small",
        "town;",
        "then",
        "it",
        "counts",
        "to",
        "three",
        "and",
        "explains",
        "why",
        "the",
        "second",
    ),
    *("step", "is", "the", "one", "that", "matters", "most,", "here", "and", "elsewhere"),
)


def text_of(tokenizer: Tokenizer, tokens: int, seed: str) -> str:
    """Return English text of about a number of tokens."""
    chance, text = random.Random(seed), ""
    while (count := len(tokenizer(text))) < tokens:
        text += " ".join(chance.choices(WORDS, k=max(1, (tokens - count) // 2))) + ". "
    return text


class TokenCountingResponder:
    """Responder that counts tokens with a real tokenizer and replies at realistic length."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.calls = self.read = self.written = 0

    def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["messages"][-1]["content"]
        if body["model"] == "judge":
            why = text_of(self._tokenizer, VERDICT_TOKENS - 30, prompt[-40:])
            text = verdict_json("A", 7, 6, why)
        else:
            long = random.Random(prompt).randint(COMPLETION_TOKENS // 2, 3 * COMPLETION_TOKENS // 2)
            prompt += body["model"]
            text = text_of(self._tokenizer, min(long, body["max_completion_tokens"]), prompt)
        read = sum(len(self._tokenizer(turn["content"])) + 4 for turn in body["messages"])
        written = len(self._tokenizer(text))
        self.calls, self.read = self.calls + 1, self.read + read
        self.written += written
        usage = {"prompt_tokens": read, "completion_tokens": written}
        return chat_completion(text) | {"usage": usage | {"total_tokens": read + written}}


def config_of(server: OpenAIServer, folder: Path, **more: Any) -> Config:
    at = f"?base_url={server.url}&price=2.5,10"
    fields: dict[str, Any] = {
        "model": (f"good=api:good{at}", f"bad=api:bad{at}"),
        "judge": (f"judge=api:judge{at}",),
        "prompts": "starter",
        "limit": 30,
        "out": folder / "out",
        "store": folder / "store.sqlite",
        **more,
    }
    return Config(**fields)


FIRST = "smollm2"
each_tokenizer = pytest.mark.parametrize("model", [FIRST, *long(sorted({*MODELS} - {FIRST}))])


@pytest.mark.engine  # no engine, but the model's file
@pytest.mark.long
@each_tokenizer
def test_estimate_is_within_15_percent_of_the_run(tmp_path: Path, model: str) -> None:
    """Input tokens, output tokens of the assumed length, and cost."""
    respond = TokenCountingResponder(tokenizer(model))
    with OpenAIServer(respond) as server:
        config = config_of(server, tmp_path)
        before = plan(config)
        results = run(config)
        after = plan(config)
        # Half of the work is stored: lengths of stored completions estimate the others.
        more = plan(config_of(server, tmp_path, limit=60))
        was = respond.calls, sum(spent.cost or 0 for spent in results.summary.usage)
        rest = run(config_of(server, tmp_path, limit=60))
    paid = sum(spent.cost or 0 for spent in results.summary.usage)
    read = sum(expense.input_tokens or 0 for expense in before.usage)
    written = sum(expense.output_tokens or 0 for expense in before.usage)
    took = [
        sum(getattr(usage, field) for usage in results.summary.usage)
        for field in ("input_tokens", "output_tokens")
    ]
    assert [read, written] == [pytest.approx(row, rel=0.15) for row in took]
    assert before.cost == pytest.approx(paid, rel=0.15)
    assert before.max_cost is not None
    assert before.max_cost >= paid
    assert (after.cost, sum(usage.requests for usage in after.usage)) == (0, 0)
    assert after.paid is False
    assert more.cost == pytest.approx(
        sum(spent.cost or 0 for spent in rest.summary.usage) - was[1], rel=0.15
    )
    assert sum(usage.requests for usage in more.usage) == respond.calls - was[0]


@pytest.mark.engine
@each_tokenizer
def test_token_counts_match_a_tokenizer(model: str) -> None:
    root = Path(__file__).parents[3]
    for name in (
        "docs/judges.md",
        "docs/results.schema.json",
        "src/bakeoff/evaluation/pipeline.py",
    ):
        text = (root / name).read_text()
        assert estimate_tokens(text) == pytest.approx(len(tokenizer(model)(text)), rel=0.16), name


def test_run_over_budget_is_not_started(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        dear = config_of(server, tmp_path, max_cost=0.01)
        with pytest.raises(BudgetError, match=r"about \$0\.\d\d, more than --max-cost 0.01"):
            run(dear)
        assert not server.requests


def test_unknown_price_with_a_budget_is_an_error(tmp_path: Path) -> None:
    config = Config(
        model=("a=api:a?base_url=http://models.example/v1", "b=echo:b"),
        judge=("j=api:j?base_url=http://models.example/v1",),
        prompts="starter",
        limit=2,
        store=tmp_path / "store.sqlite",
        out=tmp_path / "out",
    )
    estimate = plan(config)
    assert estimate.cost is None
    assert estimate.unpriced == ("a", "j")
    assert [usage.cost for usage in estimate.usage] == [None, 0, None]
    assert not (tmp_path / "store.sqlite").exists()
    with pytest.raises(BudgetError, match="the price of 'a' is not known"):
        run(config.model_copy(update={"max_cost": 5.0}))


def test_cost_never_exceeds_the_limit_and_outcomes_are_kept(tmp_path: Path) -> None:
    """Completions are ten times as long as assumed."""
    usage = {"prompt_tokens": 300, "completion_tokens": 1000, "total_tokens": 1300}

    def respond(body: dict[str, Any]) -> dict[str, Any]:
        text = verdict_json("tie") if body["model"] == "judge" else body["model"] + " said so"
        return chat_completion(text) | {"usage": usage}

    with OpenAIServer(respond) as server:
        config = config_of(server, tmp_path, max_cost=0.6)
        results = run(config)
        spent = sum(usage.cost or 0 for usage in results.run_usage)
        first = len(server.requests)
        assert 0.5 < spent <= 0.6
        assert {failure.kind for failure in results.failures} == {"stopped"}
        assert "of --max-cost 0.6 are spent" in results.failures[0].message
        accounting = results.summary.pairs[0].accounting
        assert accounting.asked == accounting.judged + accounting.failed == 60
        results_of_all = run(config_of(server, tmp_path, max_cost=5.0))
    assert not results_of_all.failures
    assert len(server.requests) == 120
    assert sum(usage.stored for usage in results_of_all.run_usage) == first


def test_openai_list_prices_and_half_price_batches(tmp_path: Path) -> None:
    fields = {"prompts": "starter", "limit": 4, "store": tmp_path / "s.sqlite"}
    models = ("a=echo:a", "b=echo:b")
    direct = plan(Config(model=models, judge=("openai:gpt-4o",), **fields))
    batch = plan(Config(model=models, judge=("openai:gpt-4o",), batch=True, **fields))
    assert direct.cost
    assert batch.cost == pytest.approx(direct.cost / 2, rel=0.05)
    assert batch.usage[-1].seconds is None
    assert "a batch may take up to a day" in batch.notes
