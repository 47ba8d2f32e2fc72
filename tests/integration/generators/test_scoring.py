"""Scores of given texts by transformers, vLLM and llama.cpp."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, ContextError, WorkError
from bakeoff.generators.llamacpp import generator, text_scorer
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.generators.llamacpp.text_scorer import TextScorer, UnsupportedError
from bakeoff.generators.scoring import TextToken, forcing_grammar, split_last_turn
from bakeoff.plugins import RunContext, open_generator
from bakeoff.records import Completion, Message, Prompt
from bakeoff.runtime import Generator
from bakeoff.testing import OpenAIServer, Reply, chat_completion, run_worker
from tests.builders import make_dialogue
from tests.marks import long
from tests.tiny_models import CONTEXT, make_tiny_model


def scorer(token: str, **sampling: Any) -> Generator:
    sampling = {"temperature": 0, "top_p": 1, "max_tokens": 1, "score_only": True} | sampling
    return open_generator(Spec.parse(token), RunContext(Sampling(**sampling), 4))


def scores(worker: Generator, turns: list[Prompt]) -> list[float]:
    done = run_worker(worker, turns)
    for outcome in done:
        assert isinstance(outcome, Completion), outcome
        assert outcome.text == ""
    return [outcome.score for outcome in done]  # type: ignore[union-attr,misc]


@pytest.mark.parametrize("token", ["echo:hi", "openai:gpt-4", "anthropic:claude-x"])
def test_backend_without_scores_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="cannot weigh completions"):
        scorer(f"a={token}")


def test_recorded_completions_have_no_scores(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"prompt": "x", "completion": "y"}')
    with pytest.raises(ConfigError, match="cannot weigh completions"):
        scorer(f"file:{tmp_path / 'c.jsonl'}")


def test_score_only_is_not_an_option_of_a_spec() -> None:
    with pytest.raises(ConfigError, match="no option 'score_only'"):
        open_generator(Spec.parse("hf:me/model?score_only=true"), RunContext(Sampling()))


# ----------------------------------------------------------------------------- transformers

TURNS = [
    make_dialogue("hey", text) for text in ("no", "yes and no", "ü漢🦊", "a longer one " * 9, "x")
] + [make_dialogue("a longer question " * 9, "yes")]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def by_hand(folder: Path, before: str, text: str, *, special: bool = False) -> float:
    """Return the mean log-probability of the text, computed with one pass per token."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(before, add_special_tokens=special)["input_ids"]
    results = []
    with torch.inference_mode():
        for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            results.append(logits.log_softmax(-1)[token].item())
            ids.append(token)
    return sum(results) / len(results)


def base_model_prompt(question: str) -> str:
    return f"<|start|>user\n{question}<|end|>\n<|start|>assistant\n"


def test_score_is_the_mean_logprob_of_the_tokens(tiny: Path) -> None:
    expected = [
        by_hand(tiny, base_model_prompt(prompt.messages[0].content), prompt.messages[1].content)
        for prompt in TURNS
    ]
    assert scores(scorer(f"hf:{tiny}"), TURNS) == pytest.approx(expected, abs=1e-4)
    alone = scores(scorer(f"hf:{tiny}?batch_size=1"), TURNS)
    assert alone == pytest.approx(expected, abs=1e-4)
    assert len({round(score, 3) for score in alone}) == len(TURNS)


def test_empty_text_is_scored_by_its_end_token(tiny: Path) -> None:
    expected = by_hand(tiny, base_model_prompt("hey"), "<|end|>")
    assert scores(scorer(f"hf:{tiny}"), [make_dialogue("hey", ""), TURNS[0]])[0] == pytest.approx(
        expected, abs=1e-4
    )


def test_base_model_scores_the_text_after_answer(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path, chat_template=False)
    expected = by_hand(folder, "Question: hey\n\nAnswer:", " no", special=True)
    assert scores(scorer(f"hf:{folder}"), [make_dialogue("hey", "no")]) == pytest.approx(
        [expected], abs=1e-4
    )


def test_scores_without_logits_to_keep_are_equal(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = scores(scorer(f"hf:{tiny}"), TURNS)
    monkeypatch.setattr(
        "bakeoff.generators.transformers.scoring._supports_logits_to_keep", lambda _: False
    )
    assert scores(scorer(f"hf:{tiny}"), TURNS) == pytest.approx(expected, abs=1e-5)


def test_item_above_the_context_fails_alone(tiny: Path) -> None:
    done = run_worker(
        scorer(f"hf:{tiny}"),
        [
            TURNS[0],
            make_dialogue("y" * CONTEXT, "no"),
            make_dialogue("hey", "y" * (CONTEXT - 8)),
            TURNS[1],
        ],
    )
    assert [isinstance(outcome, ContextError) for outcome in done] == [False, True, True, False]
    assert isinstance(done[0], Completion)
    assert isinstance(done[3], Completion)


# ------------------------------------------------------------------------------------ vLLM

# A token is a word; the loopback model scores it as minus its length.


def words_of(body: dict[str, Any]) -> list[str]:
    shown = [f"<{m['role']}> {m['content']}" for m in body["messages"]]
    speaks = body["messages"][-1]["role"] == "assistant"
    assert body.get("continue_final_message", False) == speaks
    assert body.get("add_generation_prompt", True) != speaks
    return [*" ".join(shown).split(), *([] if speaks else ["<assistant>"])]


def vllm(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    words = words_of(body)
    reply = chat_completion("x")
    reply["usage"] |= {"prompt_tokens": len(words), "total_tokens": len(words) + 1}
    if "prompt_logprobs" in body:
        assert body["max_completion_tokens"] == 1
        entries: list[Any] = [
            {str(hash(word)): {"logprob": -len(word), "rank": 1, "decoded_token": word}}
            for word in words
        ]
        reply["prompt_logprobs"] = [None, *entries[1:]]
    return reply | changes


def through_vllm(
    respond: Any, turns: list[Prompt], **sampling: Any
) -> list[Completion | WorkError]:
    with OpenAIServer(respond) as server:
        worker = scorer(f"api:m?base_url={server.url}&retries=0", **sampling)
        return run_worker(worker, turns)


def test_server_scores_by_prompt_logprobs() -> None:
    several = Prompt(
        messages=tuple(
            Message(role=role, content=content)  # type: ignore[arg-type]
            for role, content in [("user", "a b"), ("assistant", "c"), ("user", "dd"),
                                  ("assistant", "xxxx yy")]
        )
    )  # fmt: skip
    done = through_vllm(
        vllm, [make_dialogue("how are you", "well thanks"), make_dialogue("hi", "oh"), several]
    )
    assert [o.score for o in done if isinstance(o, Completion)] == [-5, -2, -3]
    scores_ = through_vllm(vllm, [make_dialogue("hi", "oh no")], system="be kind")
    assert scores_ == [Completion(text="", score=-2)]


def test_first_token_of_an_entry_is_the_prompts_own() -> None:
    def generous(body: dict[str, Any]) -> dict[str, Any]:
        reply = vllm(body)
        for entry in filter(None, reply.get("prompt_logprobs", [])):
            entry["0"] = {"logprob": -0.1, "rank": 1, "decoded_token": "likelier"}
        return reply

    assert through_vllm(generous, [make_dialogue("hi", "oh no")]) == [Completion(text="", score=-2)]


def test_server_without_prompt_logprobs_is_named() -> None:
    for respond in (lambda _: "x", lambda body: vllm(body, prompt_logprobs=None)):
        done = through_vllm(respond, [make_dialogue("hi", "oh")])[0]
        assert isinstance(done, BackendError)
        assert "gives no prompt_logprobs" in done.message


@pytest.mark.parametrize(
    "prompt_logprobs",
    [
        [None, None, None, None, None],
        [None, {}, {}, {}, {}],
        [None, {"1": {}}, {"1": {"logprob": "high"}}],
        "none",
        [],
        [None, {"1": {"logprob": -1}}, {"1": {"logprob": -1}}],
    ],
)
def test_malformed_prompt_logprobs_fail_the_item(prompt_logprobs: Any) -> None:
    def respond(body: dict[str, Any]) -> dict[str, Any]:
        changed = {"prompt_logprobs": prompt_logprobs} if "prompt_logprobs" in body else {}
        return vllm(body, **changed)

    assert isinstance(through_vllm(respond, [make_dialogue("hi", "oh no")])[0], BackendError)


def test_server_cannot_score_an_empty_text() -> None:
    done = through_vllm(vllm, [make_dialogue("hi", "")])[0]
    assert isinstance(done, BackendError)
    assert "empty" in done.message


def test_text_above_the_context_of_a_server_is_a_context_error() -> None:
    body = {"message": "This model's maximum context length is 8 tokens.", "code": 400}
    done = through_vllm(lambda _: Reply(400, {"error": body}), [make_dialogue("hi", "oh")])[0]
    assert isinstance(done, ContextError)


# --------------------------------------------------------------------------------- llama.cpp


def pieces(*spelt: bytes) -> list[TextToken]:
    return [TextToken(100 + at, spells) for at, spells in enumerate(spelt)]


def test_grammar_accepts_the_tokens_of_the_text_only() -> None:
    assert forcing_grammar("a b", pieces(b"a", b" b")) == "root ::= <[100]> <[101]>"
    assert forcing_grammar("", []) == 'root ::= ""'
    fox = "🦊".encode()
    cut = pieces(b"a", fox[:2], fox[2:], "é".encode())
    assert forcing_grammar("a🦊é", cut) == 'root ::= <[100]> "🦊" <[103]>'


def test_grammar_uses_the_text_if_tokens_do_not_spell_it() -> None:
    assert forcing_grammar("a", pieces(b" a")) == 'root ::= "a"'


def read_literal(written: str) -> str:
    """Return the text of a GBNF string literal."""
    assert written[0] == written[-1] == '"'
    results, rest = "", written[1:-1]
    while rest:
        size = 1
        if rest[0] == "\\":
            size = 10 if rest[1] == "U" else 2
            results += chr(int(rest[2:10], 16)) if size == 10 else {'"': '"', "\\": "\\"}[rest[1]]
        else:
            assert rest[0] not in '"\n\r'
            results += rest[0]
        rest = rest[size:]
    return results


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_grammar_literal_round_trips_any_text(text: str) -> None:
    assert read_literal(forcing_grammar(text, pieces(b"?", b"?")).removeprefix("root ::= ")) == text


def test_split_last_turn() -> None:
    before, text = split_last_turn(make_dialogue("hi", "oh"))
    assert (before.conversation(), text) == ([{"role": "user", "content": "hi"}], "oh")


PARIS = "What is the capital of France?"


@pytest.mark.long
@pytest.mark.engine
def test_llama_cpp_scores_a_sentence_above_its_shuffled_words() -> None:
    worker = scorer("embedded:qwen2.5-coder-0.5b?slots=2&context=512")
    right, wrong, disorder, empty, long = run_worker(
        worker,
        [
            make_dialogue(PARIS, "The capital of France is Paris."),
            make_dialogue(PARIS, "The capital of France is Tokyo."),
            make_dialogue(PARIS, "Tokyo of is capital France The."),
            make_dialogue(PARIS, ""),
            make_dialogue(PARIS, "word " * 700),
        ],
    )
    for outcome in (right, wrong, disorder, empty):
        assert isinstance(outcome, Completion), outcome
        assert outcome.score is not None
    assert right.score > wrong.score > disorder.score  # type: ignore[union-attr,operator]
    assert empty.score < wrong.score  # type: ignore[union-attr,operator]
    assert isinstance(long, ContextError)


@pytest.mark.parametrize("model", ["smollm2", *long(["gemma3-270m", "qwen2.5-coder-0.5b"])])
@pytest.mark.engine
def test_llama_cpp_scores_any_text(model: str) -> None:
    texts = [
        ' "quoted" \\ and\n\n\tindented\r\n ',
        "日本語 ünïcode 🦊 🧿 ☠\u200d\x07",
        "<|im_end|> <think>hm</think>\nyes",
        "Question: what?\nQuestion: why?",
        "a\0b",
    ]
    results = run_worker(
        scorer(f"embedded:{model}?context=512"), [make_dialogue("x", text) for text in texts]
    )
    assert all(isinstance(result, Completion) for result in results), results
    values = [result.score for result in results if isinstance(result, Completion)]
    assert all(score is not None and -40 < score < 0 for score in values), values


@pytest.mark.engine
def test_read_and_generated_texts_have_equal_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [
        make_dialogue(PARIS, "The capital of France is Paris."),
        make_dialogue(PARIS, "The capital of France is Tokyo. " * 9),
        make_dialogue("Count.", " ".join(map(str, range(150)))),  # more than a batch of tokens
        make_dialogue("word " * 150, "So many words."),
        make_dialogue(PARIS, "The capital of France is Paris."),
    ]
    read = scores(scorer("embedded:smollm2?context=1024"), turns)

    def unsupported(*_: object) -> None:
        raise UnsupportedError("no such function")

    monkeypatch.setattr(generator, "TextScorer", unsupported)
    generated = scores(scorer("embedded:smollm2?context=1024"), turns)
    assert read == pytest.approx(generated, abs=0.1)  # batches of other sizes round otherwise
    assert read[4] == read[0]  # what was read before does not change it
    assert read[1] < read[0]


@pytest.mark.engine
def test_reading_counts_only_what_differs_from_the_last_text() -> None:
    from bakeoff.generators.llamacpp.fetch import fetch_model

    reader = TextScorer(fetch_model(CATALOGUE["smollm2"]), 512, 1)
    try:
        context, text = list(range(100, 400)), list(range(500, 540))
        whole = reader.logprobs(context, text)
        decoded: list[int] = []
        decode = reader._decode

        def count(tokens: Sequence[int], start: int, *, scored: bool) -> None:
            decoded.extend(tokens)
            decode(tokens, start, scored=scored)

        reader._decode = count  # type: ignore[method-assign]
        assert reader.logprobs(context, text) == whole
        # The context's last token has the logits of the text's first.
        assert decoded == [context[-1], *text[:-1]]
        decoded.clear()
        assert len(reader.logprobs([1, *context], text[:1])) == 1
        assert decoded == [1, *context]
    finally:
        reader.close()


def test_a_library_with_other_structures_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setitem(text_scorer._CONTEXT_FIELDS, "n_batch", 4096)
    with pytest.raises(UnsupportedError, match="default of n_batch is 2048"):
        TextScorer(Path("none.gguf"), 512, 1)
    monkeypatch.setitem(text_scorer._FUNCTIONS, "llama_no_such_function", (None,))
    with pytest.raises(UnsupportedError, match="llama_no_such_function"):
        TextScorer(Path("none.gguf"), 512, 1)


@pytest.mark.long
@pytest.mark.engine
def test_scores_of_llama_cpp_and_transformers_agree(tmp_path: Path) -> None:
    from bakeoff.generators.llamacpp.fetch import fetch_model

    (tmp_path / "model.gguf").symlink_to(fetch_model(CATALOGUE["smollm2"]))
    turns = [
        make_dialogue(PARIS, "The capital of France is Paris."),
        make_dialogue(PARIS, "Paris of is capital France The."),
        make_dialogue("Order a coffee in French.", "Un café crème, s'il vous plaît !"),
        make_dialogue(PARIS, ""),
    ]
    llama_cpp = scores(scorer("embedded:smollm2?context=512"), turns)
    other = scores(scorer(f"hf:{tmp_path}?gguf_file=model.gguf"), turns)
    assert not any(math.isclose(a, b) for a, b in zip(llama_cpp[1:], llama_cpp, strict=False))
    assert llama_cpp[:3] == pytest.approx(
        other[:3], abs=0.15
    )  # the engine rounds what it multiplies
    assert (
        llama_cpp[3] > other[3] - 0.15
    )  # llama.cpp may end by any token that ends, not only by this
