"""The `embedded:` backend, with stub servers and with the real small models."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakeoff.config import Sampling, Spec
from bakeoff.errors import BackendError, ConfigError, WorkError
from bakeoff.evaluation.judge_check import load_labeled_pairs
from bakeoff.generators.api.client import openai_client
from bakeoff.generators.llamacpp import generator as module
from bakeoff.generators.llamacpp.fetch import fetch_model
from bakeoff.generators.llamacpp.generator import LlamaCppGenerator, physical_cores
from bakeoff.generators.llamacpp.models import CATALOGUE
from bakeoff.judges.pairwise import PairwiseJudge
from bakeoff.plugins import RunContext, open_generator, open_judge
from bakeoff.records import Completion, Pair, Prompt, Verdict
from bakeoff.testing import OpenAIServer, Reply, chat_completion, run_worker
from tests.builders import make_prompt
from tests.unit.generators.llamacpp.gguf_files import LLAMA, small_gguf, write_header


def embedded(text: str, **sampling: Any) -> LlamaCppGenerator:
    worker = open_generator(Spec.parse(text), RunContext(Sampling(**sampling), 4))
    assert isinstance(worker, LlamaCppGenerator)
    return worker


def ask(worker: LlamaCppGenerator, *texts: str) -> list[Completion | WorkError]:
    prompts = [make_prompt(text) for text in texts]
    return run_worker(worker, prompts)


def texts(outcomes: list[Completion | WorkError]) -> list[str]:
    return [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]


def test_the_identity_of_a_catalogue_model_needs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path))
    worker = embedded("embedded:smollm2")
    assert worker.weights == f"sha256:{CATALOGUE['smollm2'].sha256}"
    assert list(tmp_path.iterdir()) == []
    assert embedded("embedded:smollm2?slots=2&threads=1").identity == worker.identity
    assert embedded("embedded:smollm2?context=512").identity != worker.identity
    assert embedded("embedded:smollm2", seed=1).identity != worker.identity


def test_a_judges_caveat_has_its_score_and_a_contestants_has_not() -> None:
    for name, entry in CATALOGUE.items():
        assert embedded(f"embedded:{name}").traits.caveat == entry.caveat
        caveats = {
            "logprob": f"about {entry.pairwise.right}",
            "likelihood": f"{entry.likelihood.right}",
        }
        for role, expected in caveats.items():
            judge = open_judge(
                Spec.parse(f"embedded:{name}?verdict={role}"), RunContext(Sampling())
            )
            assert judge.traits.caveat is not None
            assert f" for {expected}" in judge.traits.caveat
            assert (entry.caveat or "") in judge.traits.caveat


def test_a_missing_file_is_refused_with_the_catalogue_names() -> None:
    with pytest.raises(ConfigError, match=r"'no\.gguf'.*smollm2, gemma3-270m"):
        embedded("embedded:no.gguf")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'bakeoff\[embedded\]'"):
        asyncio.run(embedded("embedded:smollm2").prepare())


def test_physical_cores_is_positive() -> None:
    assert 1 <= physical_cores() <= 4096


@pytest.mark.parametrize(
    ("cores", "gigabytes", "spec", "slots"),
    [
        (2, 64, "", 16),
        (1, 64, "", 8),
        (64, 64, "", 32),  # 3 GB
        (64, 64, "threads=1", 8),
        (64, 1.5, "", 5),  # a third of it: 5 times 94 MB
        (64, 1.5, "context=512", 32),
        (2, 0.3, "", 1),
        (2, 0.001, "", 1),
        (2, 0.001, "slots=9", 9),  # the option is not limited by memory
    ],
)
def test_slots_follow_cores_and_free_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    gigabytes: float,
    spec: str,
    slots: int,
) -> None:
    monkeypatch.setattr(module, "physical_cores", lambda: cores)
    monkeypatch.setattr(module, "available_memory", lambda: int(gigabytes * 1e9))
    file = write_header(tmp_path / "model.gguf", LLAMA)  # 23,040 bytes a token, 94 MB a slot
    assert embedded(f"embedded:{file}?{spec}")._slots(file) == slots


def test_a_model_that_only_reads_has_one_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 64 << 30)
    file = write_header(tmp_path / "model.gguf", LLAMA)
    assert embedded(f"embedded:{file}", max_tokens=1)._slots(file) == 1
    assert embedded(f"embedded:{file}", score_only=True)._slots(file) == 1
    assert embedded(f"embedded:{file}?slots=3", max_tokens=1)._slots(file) == 3


@pytest.mark.parametrize(("gigabytes", "turns"), [(8, False), (1.2, False), (1.0, True)])
def test_models_that_do_not_share_memory_are_exclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: float, turns: bool
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: int(gigabytes * 1e9))
    monkeypatch.setattr(module, "physical_cores", lambda: 64)
    file = small_gguf(tmp_path / "model.gguf", LLAMA)
    worker = embedded(f"embedded:{file}")
    asyncio.run(worker.prepare())
    assert worker.traits.exclusive == turns
    judge = PairwiseJudge(Spec.parse(f"embedded:{file}"), RunContext(Sampling()))
    asyncio.run(judge.prepare())
    assert judge.traits.exclusive == turns
    # An exclusive model may use more of the memory: 8 slots of 94 MB are 0.8 of a gigabyte.
    assert worker._slots(file) == {8: 28, 1.2: 4, 1.0: 8}[gigabytes]


def test_one_more_request_than_slots_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A free slot finds its next prompt at the server. No engine: a loopback server counts."""
    worker = embedded(f"embedded:{small_gguf(tmp_path / 'model.gguf', LLAMA)}?slots=2")
    body = chat_completion("said")
    # No request is replied to before three are in flight.
    with OpenAIServer(
        lambda _: Reply(body=body, until=lambda: server.max_in_flight >= 3)
    ) as server:
        address = SimpleNamespace(listening_address=server.url.removesuffix("/v1"))
        monkeypatch.setattr(worker, "_start_server", lambda key, slots: address)
        assert texts(ask(worker, *"abcdefghi")) == ["said"] * 9
        assert server.max_in_flight == 3


def test_a_request_has_the_stop_strings_of_the_model_or_of_the_option() -> None:
    prompt = make_prompt("What is a cat?")
    assert embedded("embedded:gemma3-270m").request(prompt)["stop"] == ["\nQuestion:"]
    assert embedded("embedded:smollm2?stop=END").request(prompt)["stop"] == ["END"]
    assert "stop" not in embedded("embedded:smollm2").request(prompt)


@pytest.mark.long
@pytest.mark.engine
def test_requests_in_flight_are_limited_by_the_slots() -> None:
    worker = embedded("embedded:smollm2?slots=2&context=256", max_tokens=6)
    in_flight_counts: list[int] = []
    under_way = 0
    request = worker.request

    def watched(prompt: Prompt) -> dict[str, Any]:
        nonlocal under_way
        under_way += 1
        in_flight_counts.append(under_way)
        return request(prompt)

    async def go() -> None:
        nonlocal under_way

        def emit(_: int, outcome: Completion | WorkError) -> None:
            nonlocal under_way
            under_way -= 1
            assert isinstance(outcome, Completion)

        await worker([make_prompt(f"{n}?") for n in range(9)], emit)
        await worker.close()

    worker.request = watched  # type: ignore[method-assign]
    asyncio.run(go())
    assert max(in_flight_counts) == 3  # two slots, and one request that waits at the server
    assert len(in_flight_counts) == 9


@pytest.mark.engine
def test_smollm2_is_reproducible_by_seed_and_counts_tokens() -> None:
    questions = ("Name three colours.", "Count to five.")
    first = ask(embedded("embedded:smollm2?slots=1", max_tokens=12), *questions)
    again = ask(embedded("embedded:smollm2?slots=1", max_tokens=12), *questions)
    other = ask(embedded("embedded:smollm2?slots=1", max_tokens=12, seed=7), *questions)
    assert len(texts(first)) == 2
    assert all(texts(first))
    assert texts(first) == texts(again) != texts(other)
    for outcome in first:
        assert isinstance(outcome, Completion)
        assert outcome.tokens is not None
        assert (outcome.finish == "length") == (outcome.tokens == 12)


@pytest.mark.long
@pytest.mark.engine
def test_the_base_model_stops_before_a_question_of_its_own() -> None:
    outcomes = ask(embedded("embedded:gemma3-270m", max_tokens=64), "What is a cat?", "Why rain?")
    assert len(texts(outcomes)) == 2
    assert all(texts(outcomes))
    assert not any("Question:" in text for text in texts(outcomes))


@pytest.mark.engine
def test_the_server_listens_on_loopback_and_requires_its_key() -> None:
    worker = embedded("embedded:smollm2?slots=1&context=256")

    async def go() -> tuple[str, int]:
        await worker.prepare()
        await worker.connect()
        address = worker._server.listening_address
        request = urllib.request.Request(f"{address}/v1/chat/completions", b'{"messages": []}')
        try:
            with pytest.raises(urllib.error.HTTPError) as caught:
                await asyncio.to_thread(urllib.request.urlopen, request, timeout=10)
            caught.value.close()
            return address, caught.value.code
        finally:
            await worker.close()

    address, status = asyncio.run(go())
    assert address.startswith("http://127.0.0.1:")
    assert status == 401


@pytest.mark.engine
def test_a_prompt_beyond_the_context_fails_alone() -> None:
    worker = embedded("embedded:smollm2?slots=1&context=256", max_tokens=4)
    long, short = ask(worker, "word " * 600, "Hello?")
    assert isinstance(long, BackendError)
    assert long.status == 400
    assert isinstance(short, Completion)


def test_a_server_that_exits_during_a_run_stops_it_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stub of llama.cpp's server closes its socket after three replies."""
    replies = iter(["said"] * 3)

    def reply(_: dict[str, Any]) -> Any:
        text = next(replies, None)
        if text is None:
            server.refuse_connections()
            return Reply(body=b"", hangs_up=True)
        return text

    file = small_gguf(tmp_path / "model.gguf", LLAMA)
    worker = embedded(f"embedded:{file}?slots=1&retries=1")
    kept: list[Completion | WorkError] = []

    async def connect() -> Any:
        worker._address = server.url.removesuffix("/v1")
        return openai_client("mine", server.url, None, worker.options.timeout)

    async def go() -> None:
        prompts = [make_prompt(f"{n}?") for n in range(9)]
        try:
            await worker(prompts, lambda _, outcome: kept.append(outcome))
        finally:
            await worker.close()

    monkeypatch.setattr(worker, "connect", connect)
    ended = r"in this process has ended \(.*: run the same"
    with OpenAIServer(reply) as server, pytest.raises(ConfigError, match=ended):
        asyncio.run(go())
    assert texts(kept) == ["said"] * 3


def test_a_model_larger_than_free_memory_is_refused_before_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 90_000_000)
    file = small_gguf(tmp_path / "model.gguf", LLAMA)  # 94 MB a slot
    with pytest.raises(ConfigError, match=r"takes about 0\.1 GB .* 0\.1 GB are free.*\?context="):
        asyncio.run(embedded(f"embedded:{file}").prepare())
    asyncio.run(embedded(f"embedded:{file}?context=2048").prepare())
    with pytest.raises(ConfigError, match="takes about"):
        asyncio.run(embedded(f"embedded:{file}?context=2048&slots=2").prepare())


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_truncated_file_is_a_one_line_error_without_output_of_llama_cpp(
    tmp_path: Path, kept: int, capfd: pytest.CaptureFixture[str]
) -> None:
    content = small_gguf(tmp_path / "cut.gguf", LLAMA).read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[:kept])
    with pytest.raises(ConfigError, match=r"cut\.gguf' is no whole GGUF file \(") as caught:
        ask(embedded(f"embedded:{tmp_path / 'cut.gguf'}"), "Hello?")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.engine
def test_a_complete_file_that_is_no_model_is_a_one_line_error(tmp_path: Path) -> None:
    file = small_gguf(tmp_path / "odd.gguf", {"general.architecture": "no-such-thing"})
    with pytest.raises(ConfigError, match=r"cannot load .*odd\.gguf") as caught:
        ask(embedded(f"embedded:{file}"), "Hello?")
    assert "\n" not in str(caught.value)


@pytest.mark.engine
def test_a_file_has_the_weights_of_its_contents(tmp_path: Path) -> None:
    link = tmp_path / "mine.gguf"
    link.symlink_to(fetch_model(CATALOGUE["smollm2"]))
    worker = embedded(f"embedded:{link}?context=256", max_tokens=3)
    assert worker.weights == embedded("embedded:smollm2").weights
    assert texts(ask(worker, "Hello?"))


@pytest.mark.long
@pytest.mark.engine
def test_the_default_judge_prefers_the_better_completion_over_both_orders() -> None:
    judge = PairwiseJudge(
        Spec.parse("embedded:qwen2.5-coder-0.5b?slots=2"), RunContext(Sampling(), 2)
    )
    refusals = [pair for pair in load_labeled_pairs().pairs if pair.kind == "refusal"][-2:]
    pairs = [Pair(prompt=pair.prompt, first=pair.better, second=pair.worse) for pair in refusals]
    verdicts = run_worker(judge, [*pairs, *(pair.swapped() for pair in pairs)])
    preferences = [verdict.first for verdict in verdicts if isinstance(verdict, Verdict)]
    assert len(preferences) == 4
    for first, second in zip(preferences[:2], preferences[2:], strict=True):
        assert (first + 1 - second) / 2 > 0.5  # each order alone may have position bias
