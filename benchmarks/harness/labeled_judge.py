"""Loopback judge server that knows the better text of every pair, and injects faults.

    with LabeledJudgeServer(0.2, cases=160, sorts=("status", "body")) as server:
        server.url, server.stats()

It replies in the format of the request: a verdict as JSON, `m` or `M` with log-probabilities
(alpaca-eval), a contestant's name (deepeval), or a grade such as `A>>B` (evalscope). With `sorts`
of faults, twelve cases fail by them in turn: HTTP 500 (`status`), invalid JSON (`body`), or text
without a verdict (`verdict`); half of each on the first request only, half on every request. The
fault of a case depends on its number only, so every client meets the same faults in any order of
its requests.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # also run as a script
from harness.chat_server import ChatProtocol, ChatServer, RateLimitedLog
from harness.peers.job import FLAWED, SOUND

CASE = re.compile(r"Case (\d{5})")
NAME = re.compile(r'\\?"(\w+)\\?": \\?"')
FAILING = 12


class Faults:
    """The faults of twelve cases, evenly spread over `cases`."""

    def __init__(self, cases: int, sorts: Sequence[str]) -> None:
        chosen = [place * cases // FAILING for place in range(FAILING)]
        ways = [(how, times) for times in ("once", "always") for how in sorts]
        self._ways = {case: ways[place % len(ways)] for place, case in enumerate(chosen) if ways}

    def take(self, case: int) -> str | None:
        """The fault of the next reply to this case: `status`, `body`, `verdict`; None: no fault."""
        how, times = self._ways.get(case, (None, None))
        if times == "once":
            del self._ways[case]
        return how


class Judge(ChatProtocol):
    """A connection to the judge."""

    faults: Faults

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get "):
            super()._answer(head, body)
            return
        if wait := self.counts.take():
            error = {"error": {"message": "Rate limit reached", "type": "rate_limit"}}
            self.way.write(_http("429 Too Many Requests", error, f"retry-after: {wait:.3f}\r\n"))
            return
        self.counts.now += 1
        self.counts.most = max(self.counts.most, self.counts.now)
        asyncio.get_running_loop().call_later(self.latency, self._send, self._reply(body))

    def _reply(self, body: bytes) -> bytes:
        request = json.loads(body)
        text = "\n".join(_text(message) for message in request["messages"])
        case = CASE.search(text)
        how = self.faults.take(int(case[1])) if case else None
        if how == "status":
            error = {"error": {"message": "Something went wrong", "type": "server_error"}}
            return _http("500 Internal Server Error", error)
        if how == "body":
            return _http("200 OK", "<html>upstream is gone</html>")
        if how == "verdict":
            return _http("200 OK", _completion("Both have merits; it depends on taste.", "Both"))
        return _http("200 OK", _completion(*verdict_for(request, text)))


def verdict_for(request: dict[str, Any], text: str) -> tuple[str, str]:
    """The correct verdict in the format of the request, and its first token."""
    first = text.find(SOUND) < text.find(FLAWED)
    if request.get("logprobs"):
        return ("m" if first else "M",) * 2
    if '"rewritten_reason"' in text:
        return json.dumps({"rewritten_reason": "It is sound."}), "{"
    if '"arena_test_cases"' in text:
        listed = text[text.index('"arena_test_cases"') :]
        before = listed[: listed.index(SOUND)]
        names = [name for name in NAME.findall(before) if name != "actual_output"]
        return json.dumps({"winner": names[-1], "reason": "It is sound."}), "{"
    if '"A>>B"' in text:
        return json.dumps({"reasoning": "Sound.", "verdict": "A>>B" if first else "B>>A"}), "{"
    scores = {"score_a": 8, "score_b": 3} if first else {"score_a": 3, "score_b": 8}
    verdict = {"explanation": "It is sound.", **scores, "winner": "A" if first else "B"}
    return json.dumps(verdict), "{"


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _completion(text: str, token: str) -> dict[str, Any]:
    likely = {"token": token, "bytes": list(token.encode()), "logprob": -0.01}
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": [{**likely, "top_logprobs": [likely]}]},
    }
    usage = {"prompt_tokens": 400, "completion_tokens": 30, "total_tokens": 430}
    envelope = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "judge-1"}
    return {**envelope, "choices": [choice], "usage": usage}


def _http(status: str, content: object, headers: str = "") -> bytes:
    body = (content if isinstance(content, str) else json.dumps(content)).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class LabeledJudgeServer(ChatServer):
    """The judge in its own process: `latency` in seconds, `limit` requests per `window` s."""

    def __init__(
        self, latency: float, cases: int, sorts: Sequence[str], limit: int | None, window: float
    ) -> None:
        arguments = [f"--latency={latency}", f"--cases={cases}", f"--window={window}"]
        arguments += [f"--sort={sort}" for sort in sorts] + ([f"--limit={limit}"] if limit else [])
        self._command = [sys.executable, str(Path(__file__).resolve()), *arguments]


async def _serve(arguments: argparse.Namespace) -> None:
    counts = RateLimitedLog(arguments.limit, arguments.window)
    Judge.faults = Faults(arguments.cases, arguments.sort)
    server = await asyncio.get_running_loop().create_server(
        lambda: Judge(counts, arguments.latency, b""), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, kind in (("latency", float), ("window", float), ("cases", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--sort", action="append", default=[])
    parser.add_argument("--limit", type=int, default=None)
    asyncio.run(_serve(parser.parse_args()))
