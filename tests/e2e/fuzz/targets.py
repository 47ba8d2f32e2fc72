"""The fuzz targets: each parses untrusted bytes and asserts properties of the result.

A target returns, or raises a ConfigError or VerdictError with a message of one line. Any other
exception is a finding.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from bakeoff.config import Sampling, Spec, load_config
from bakeoff.errors import ConfigError, VerdictError
from bakeoff.evaluation.judge_check.labeled_pairs import load_labeled_pairs
from bakeoff.evaluation.votes.vote_log import read_votes
from bakeoff.generators.llamacpp import gguf
from bakeoff.generators.recorded import RecordedCompletions
from bakeoff.importers.reader import read
from bakeoff.judges.parsing.rubric import parse_rubric
from bakeoff.judges.parsing.verdict_marks import parse_choice, parse_marks
from bakeoff.judges.parsing.verdicts import (
    ParsedScore,
    parse_json_verdict,
    parse_score_pair,
    parse_single_score,
)
from bakeoff.judges.rendering import Template, TemplateInput, load_criteria
from bakeoff.plugins import RunContext
from bakeoff.prompts.rows import read_rows
from bakeoff.prompts.sampling import sample_prompts
from bakeoff.records import Completion, Verdict
from bakeoff.report.export import save_page
from bakeoff.report.frames import comparison_rows, judgment_rows
from bakeoff.report.page.page import render_page
from bakeoff.report.plain_text import escape_controls, escape_json
from bakeoff.report.results_file import read_results
from bakeoff.runtime.progress import PROGRESS_FILE, read_progress
from tests.builders import make_prompt, sample_results
from tests.e2e.fuzz import corpus
from tests.unit.judges.judge_replies import CRITERIA


class Target(NamedTuple):
    """`run` parses bytes, which it may write to a folder; `seeds` are the inputs to mutate.

    `count` is the number of executions in the long job, with inputs of at most `max_length` bytes.
    """

    name: str
    run: Callable[[bytes, Path], object]
    seeds: Sequence[bytes]
    count: int
    max_length: int = 20_000

    @property
    def is_json(self) -> bool:
        """Whether all seeds are JSON."""
        return all(seed[:1] in (b"{", b"[") and seed[:2] != b"{%" for seed in self.seeds)


def run_target(target: Target, data: bytes, folder: Path) -> bool:
    """Whether `data` was read; every exception that is raised is a finding."""
    return check_error(lambda: target.run(data, folder))


def check_error(work: Callable[[], object]) -> bool:
    """Whether `work` raised no bakeoff error; the message of such an error must be one line."""
    words = None
    try:
        work()
    except (ConfigError, VerdictError) as error:
        words = str(error)
    if words is None:
        return True
    assert words.strip(), "an error without words"
    assert "\n" not in words, f"an error of several lines: {words!r}"
    return False


def _rows(suffix: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> None:
        path = folder / f"rows{suffix}"
        path.write_bytes(data)
        for row in read_rows(path, lists=("prompts", "data")):
            json.dumps(row.values, ensure_ascii=False).encode()

    return run


def _prompts(suffix: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> None:
        path = folder / f"prompts{suffix}"
        path.write_bytes(data)
        for prompt in sample_prompts(str(path), 3, 0).prompts:
            prompt.model_dump_json().encode()

    return run


def _recorded(data: bytes, folder: Path) -> None:
    path = folder / "completions.jsonl"
    path.write_bytes(data)
    asyncio.run(RecordedCompletions(Spec.parse(f"file:{path}"), _CONTEXT).prepare())


_CONTEXT = RunContext(Sampling())


def _audit(suffix: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> None:
        path = folder / f"evaluation{suffix}"
        path.write_bytes(data)
        read([path]).evidence.model_dump_json()

    return run


def _labeled_pairs(data: bytes, folder: Path) -> None:
    path = folder / "pairs.jsonl"
    path.write_bytes(data)
    for pair in load_labeled_pairs(path, 3).pairs:
        pair.prompt.model_dump_json().encode()


def _config(data: bytes, folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_bytes(data)
    config = load_config(path, {})
    json.dumps(config.model_dump(mode="json", by_alias=True)).encode()
    str(config.model).encode()


def _criteria(data: bytes, folder: Path) -> None:
    path = folder / "criteria.yaml"
    path.write_bytes(data)
    for criterion in load_criteria(str(path)):
        criterion.model_dump_json().encode()


def _spec(data: bytes, _: Path) -> None:
    spec = Spec.parse(data.decode("utf-8", "surrogateescape"))
    assert spec.name
    assert spec.target or spec.backend == "echo"
    spec.model_dump_json().encode()


def _results(data: bytes, folder: Path) -> None:
    path = folder / "results.json"
    path.write_bytes(data)
    results = read_results(path)
    judgment_rows(results.judgments)
    json.loads(escape_json("utf-8", results.to_json()))


def _rendered_results(data: bytes, folder: Path) -> None:
    """Results that can be read can be rendered as page and tables, and survive a round trip."""
    path = folder / "results.json"
    path.write_bytes(data)
    results = read_results(path)
    comparison_rows(results)
    page_is_safe(save_page(results, folder / "page").read_text(encoding="utf-8"))
    path.write_bytes(results.to_json().encode(errors="backslashreplace"))
    assert read_results(path).to_json() == results.to_json()


def _page(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    results = sample_results(text, config={"prompts": text, "out": text})
    page_is_safe(render_page(results, links=[(text, "../")]).html)


def page_is_safe(html: str) -> None:
    """Raise AssertionError if a page has an unexpected element, event handler or script URL."""
    html, scripts = re.subn(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert scripts == 2, f"{scripts} scripts"
    checker = _ElementChecker()
    checker.feed(html)
    checker.close()
    assert not checker.unexpected, checker.unexpected[:5]


class _ElementChecker(HTMLParser):
    _ALLOWED_TAGS = frozenset(
        re.findall(
            r"\w+",
            "html head meta title link style body header div strong nav a button main section p h1 "
            "h2 h3 ol ul li span bdi details summary table thead tbody tr th td dl dt dd pre code "
            "noscript script footer label select option input dialog form kbd figure figcaption",
        )
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.unexpected: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._ALLOWED_TAGS:
            self.unexpected.append(tag)
        for name, value in attrs:
            if name.startswith("on") or re.match(r"\s*(javascript|vbscript):", value or "", re.I):
                self.unexpected.append(f"{tag} {name}={value!r}")


def _votes(data: bytes, folder: Path) -> None:
    path = folder / "votes.jsonl"
    path.write_bytes(data)
    read_votes(path)


def _progress(data: bytes, folder: Path) -> None:
    (folder / PROGRESS_FILE).write_bytes(data)
    read_progress(folder)


PARSERS: tuple[Callable[[Completion], Verdict | ParsedScore], ...] = (
    parse_json_verdict,
    parse_marks,
    parse_score_pair,
    parse_single_score,
    lambda completion: parse_rubric(completion, CRITERIA),
)


def _reply(data: bytes, _: Path) -> None:
    """Every parser returns a valid verdict or raises VerdictError for any reply of a judge."""
    completion = Completion(
        text=data.decode("utf-8", "replace"), finish="length" if data[:1] else "stop"
    )
    for reader in PARSERS:
        check_error(lambda reader=reader: _check_verdict(reader(completion)))


def _check_verdict(parsed: Verdict | ParsedScore) -> None:
    """Raise AssertionError if a number is out of range or a text cannot be encoded."""
    parsed.reason.encode()
    if isinstance(parsed, ParsedScore):
        assert 0 <= parsed.score <= 10
        return
    assert 0 <= parsed.first <= 1
    assert all(0 <= score <= 10 for score in parsed.scores or ())
    parsed.model_dump_json()


def _choice(data: bytes, _: Path) -> None:
    parts = data.decode("utf-8", "replace").split(",")
    top = {}
    for part in parts:
        token, _equals, number = part.partition("=")
        try:
            top[token] = float(number)
        except ValueError:
            top[token] = float(len(number))
    verdict = parse_choice(Completion(text="", top_logprobs=top))
    assert 0 <= verdict.first <= 1


def _gguf(data: bytes, folder: Path) -> None:
    path = folder / "model.gguf"
    path.write_bytes(data)
    size = gguf.kv_bytes_per_token(path)
    assert size is None or isinstance(size, int)
    with suppress(ValueError):
        gguf.read_metadata(path)


def _template(data: bytes, folder: Path) -> None:
    path = folder / "template.j2"
    path.write_bytes(data)
    template = Template(str(path), 2)
    template.render(TemplateInput(_PROMPT, ("one", "two"), CRITERIA), None)


_PROMPT = make_prompt("q", reference="r", criteria=CRITERIA)
_PAIRWISE = Template("pairwise", 2)
_FENCE = re.compile("^={8} [a-z]{8}$", re.MULTILINE)


def _fence(data: bytes, _: Path) -> None:
    """Both completions are unchanged, between delimiters that they do not contain."""
    text = data.decode("utf-8", "replace")
    first, _cut, second = text.partition("=")
    rendered = _PAIRWISE.render(TemplateInput(_PROMPT, (first, second)), None)
    delimiters = _FENCE.findall(rendered)
    assert len(set(delimiters) - {*_FENCE.findall(first), *_FENCE.findall(second)}) == 1
    delimiter = next(iter(set(delimiters) - {*_FENCE.findall(text)}))
    assert delimiter not in text
    assert first in rendered
    assert second in rendered


def _terminal(data: bytes, _: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    escaped = escape_controls(text)
    assert not _TERMINAL_CONTROLS.search(escaped), escaped
    document = json.dumps({"text": text}, ensure_ascii=False)
    for encoding in ("utf-8", "ascii"):
        written = escape_json(encoding, document)
        assert not _TERMINAL_CONTROLS.search(written), written
        assert json.loads(written) == {"text": text}


_TERMINAL_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)

_FILES = corpus.evaluations()
_NESTED = b'{"data": ["a", {"prompt": "b"}]}'
_CELLS = b'id,messages,tags\n1,"[{""role"":""user"",""content"":""q""}]",a\n'
_ROWS = corpus.lines(corpus.PROMPTS)
_RESULTS = (
    sample_results("Why?").to_json().encode(),
    sample_results("**bold** <b>", scores=False).to_json().encode(),
)
_HOSTILE = (
    b"<script>alert(1)</script>",
    b"</script><zz9 onload=x>",
    b"\"' onmouseover=x <!-- ]]> {{ 7*7 }}",
    b"[x](javascript:alert(1)) ![y](http://e/) `code` $x$",
    "\u202e\ud800\x00\x1b[31m\u2028".encode("utf-8", "surrogatepass"),
)

TARGETS: tuple[Target, ...] = (
    Target("rows.jsonl", _rows(".jsonl"), (_ROWS, b'"a text"\n"another"\n'), 60_000),
    Target("rows.json", _rows(".json"), (corpus.indented_json(corpus.PROMPTS), _NESTED), 60_000),
    Target("rows.csv", _rows(".csv"), _FILES[".csv"], 60_000),
    Target("rows.txt", _rows(".txt"), (b"one\ntwo\r\nthree",), 20_000),
    Target("prompts.jsonl", _prompts(".jsonl"), (_ROWS,), 40_000),
    Target("prompts.csv", _prompts(".csv"), (_CELLS,), 20_000),
    Target("recorded", _recorded, (corpus.lines(corpus.COMPLETIONS),), 20_000),
    Target("audit.json", _audit(".json"), _FILES[".json"], 60_000),
    Target("audit.jsonl", _audit(".jsonl"), _FILES[".jsonl"], 40_000),
    Target("audit.csv", _audit(".csv"), _FILES[".csv"], 40_000),
    Target("audit.gz", _audit(".json.gz"), _FILES[".json.gz"], 10_000),
    Target("labeled", _labeled_pairs, (corpus.lines(corpus.LABELED_PAIRS),), 20_000),
    Target("config", _config, (corpus.CONFIG.encode(), corpus.LINKED.encode()), 25_000, 4_000),
    Target("config.values", _config, (corpus.indented_json(corpus.SETTINGS),), 15_000, 4_000),
    Target("criteria", _criteria, (corpus.CRITERIA.encode(), b'[{"name": "x"}]'), 15_000, 2_000),
    Target("spec", _spec, [spec.encode() for spec in corpus.SPECS], 150_000),
    Target("results", _results, _RESULTS, 30_000, 40_000),
    Target("results.shown", _rendered_results, _RESULTS, 700, 40_000),
    Target("page", _page, _HOSTILE, 300, 5_000),
    Target("votes", _votes, (corpus.lines([corpus.VOTE] * 2),), 80_000),
    Target("progress", _progress, (corpus.indented_json(corpus.PROGRESS),), 40_000),
    Target("reply", _reply, [reply.encode() for reply in corpus.REPLIES], 120_000),
    Target("choice", _choice, (b"A=-0.1,B=-2.5, A=-9,x=1", b"A=inf,B=-1e308"), 60_000),
    Target("gguf", _gguf, (corpus.gguf_header(corpus.GGUF),), 60_000),
    Target("template", _template, (corpus.TEMPLATE.encode(),), 5_000, 2_000),
    Target("fence", _fence, _HOSTILE, 30_000),
    Target("terminal", _terminal, _HOSTILE, 60_000),
)
TOTAL_COUNT = sum(target.count for target in TARGETS)
