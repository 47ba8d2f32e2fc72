"""A loopback server with the batch APIs of OpenAI and Anthropic, and their direct APIs.

It runs in a thread and outlives the clients that a test kills; `stop` and `start` simulate an
outage at the same address.
"""

import email
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bakeoff.testing import Reply, Responder, anthropic_message, chat_completion, prefer_good

Fate = Callable[[dict[str, Any]], str]


def always_replied(body: dict[str, Any]) -> str:
    """The fate of requests that are all answered."""
    return "replied"


@dataclass
class Job:
    """A batch on the server."""

    id: str
    requests: list[dict[str, Any]]
    metadata: dict[str, str] = field(default_factory=dict)
    created_at: float = field(default_factory=time.time)
    polls: int = 0
    state: str = "in_progress"
    results: list[tuple[str, str, Reply]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)


class BatchServer:
    """`with BatchServer(responder) as server:` then `server.url` (OpenAI's), `server.address`.

    A batch ends at its poll number `polls`. `fate` maps the body of a request in a batch to
    `replied`, `expired`, `cancelled` or `missing`. `refusal` returns errors for which a batch is
    rejected. `hook` is called with `making` before a batch is created and with `made` before its
    creation is answered. `intercept` is called with every request and may return the reply. Batches
    are not listed in the first `hidden` lists.
    """

    def __init__(
        self, respond: Responder = prefer_good, *, polls: int = 2, fate: Fate = always_replied
    ) -> None:
        self.respond = respond
        self.polls = polls
        self.fate = fate
        self.refusal: Callable[[Job], list[dict[str, Any]]] = lambda job: []
        self.hook: Callable[[str], None] = lambda when: None
        self.intercept: Callable[[Request], Response | None] = lambda request: None
        self.jobs: list[Job] = []
        self.files: dict[str, bytes] = {}
        self.direct: list[dict[str, Any]] = []
        self.request_counts: Counter[str] = Counter()
        self.max_running = 0
        self.hidden = 0

    # ------------------------------------------------------------------------------------ running

    def __enter__(self) -> "BatchServer":
        self._held = socket.socket()  # reserves the port between `stop` and `start`
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._held.close()

    def start(self) -> None:
        """Listen; the address is the same after a restart."""
        config = uvicorn.Config(self._app(), log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        listening = socket.create_server(("127.0.0.1", self.port), backlog=1024, reuse_port=True)
        run = partial(self._server.run, sockets=[listening])
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._server.started

    def stop(self) -> None:
        """Stop listening; the batches are kept."""
        self._server.should_exit = True
        self._thread.join(300)
        assert not self._thread.is_alive()

    @property
    def address(self) -> str:
        """The base URL for Anthropic's client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL for OpenAI's client."""
        return f"{self.address}/v1"

    def _app(self) -> Starlette:
        def guarded(serve: Callable[[Request], Any]) -> Callable[[Request], Any]:
            async def handle(request: Request) -> Response:
                self.request_counts[f"{request.method} {request.url.path.split('/')[-1]}"] += 1
                reply: Response = self.intercept(request) or await serve(request)
                return reply

            return handle

        routes = [
            ("POST", "/v1/chat/completions", self._chat_openai),
            ("POST", "/v1/files", self._upload),
            ("GET", "/v1/files/{id}/content", self._content),
            ("POST", "/v1/batches", self._create_openai),
            ("GET", "/v1/batches", self._list_openai),
            ("GET", "/v1/batches/{id}", self._poll_openai),
            ("POST", "/v1/messages", self._message_anthropic),
            ("POST", "/v1/messages/batches", self._create_anthropic),
            ("GET", "/v1/messages/batches", self._list_anthropic),
            ("GET", "/v1/messages/batches/{id}", self._poll_anthropic),
            ("GET", "/v1/messages/batches/{id}/results", self._results_anthropic),
        ]
        return Starlette(
            routes=[Route(path, guarded(serve), methods=[verb]) for verb, path, serve in routes]
        )

    # ------------------------------------------------------------------------------------ batches

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The bodies of all requests in batches, in the order of their arrival."""
        return [request["body"] for job in self.jobs for request in job.requests]

    @property
    def paid(self) -> list[dict[str, Any]]:
        """The bodies of all answered requests, in batches and direct."""
        by_id = [
            (job, id_)
            for job in self.jobs
            for id_, fate, reply in job.results
            if fate == "replied" and reply.status == 200
        ]
        return self.direct + [
            next(r["body"] for r in job.requests if r["custom_id"] == id_) for job, id_ in by_id
        ]

    def _reply(self, body: dict[str, Any], wrap: Callable[[str], dict[str, Any]]) -> Reply:
        reply = self.respond(body)
        if isinstance(reply, Reply):
            return reply
        return Reply(body=wrap(reply) if isinstance(reply, str) else reply)

    def _reply_directly(
        self, body: dict[str, Any], wrap: Callable[[str], dict[str, Any]]
    ) -> Response:
        reply = self._reply(body, wrap)
        if reply.status == 200:
            self.direct.append(body)
        return JSONResponse(reply.body, reply.status, reply.headers)

    def _create(self, requests: list[dict[str, Any]], metadata: dict[str, str]) -> Job:
        self.hook("making")
        job = Job(f"batch_{len(self.jobs)}", requests, metadata)
        ids = [request["custom_id"] for request in requests]
        assert len(set(ids)) == len(ids)
        assert all(len(id_) <= 64 and id_.replace("-", "").isalnum() for id_ in ids)
        job.errors = self.refusal(job)
        if job.errors:
            job.state = "failed"
        self.jobs.append(job)
        running = sum(job.state == "in_progress" for job in self.jobs)
        self.max_running = max(self.max_running, running)
        self.hook("made")
        return job

    def _poll(self, id_: str, wrap: Callable[[str], dict[str, Any]]) -> Job | None:
        job = next((job for job in self.jobs if job.id == id_), None)
        if job and job.state == "in_progress":
            job.polls += 1
            if job.polls >= self.polls:
                for request in reversed(job.requests):  # neither API promises an order
                    fate = self.fate(request["body"])
                    reply = self._reply(request["body"], wrap) if fate == "replied" else Reply()
                    job.results.append((request["custom_id"], fate, reply))
                job.state = "ended"
        return job

    def _visible(self) -> list[Job]:
        self.hidden -= 1
        return [] if self.hidden >= 0 else self.jobs[::-1]

    # ------------------------------------------------------------------------------------- OpenAI

    async def _chat_openai(self, request: Request) -> Response:
        return self._reply_directly(await request.json(), chat_completion)

    async def _upload(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(head + await request.body()).get_payload()
        form = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in parts
        }
        assert form["purpose"] == b"batch"
        id_ = f"file-{len(self.files)}"
        self.files[id_] = form["file"]
        return JSONResponse(
            {
                "id": id_,
                "object": "file",
                "bytes": len(form["file"]),
                "created_at": 1,
                "filename": "x.jsonl",
                "purpose": "batch",
                "status": "processed",
            }
        )

    async def _content(self, request: Request) -> Response:
        return Response(self.files[request.path_params["id"]], media_type="application/jsonl")

    async def _create_openai(self, request: Request) -> Response:
        body = await request.json()
        assert body["endpoint"] == "/v1/chat/completions"
        lines = self.files[body["input_file_id"]].decode().splitlines()
        requests = [json.loads(line) for line in lines]
        for line in requests:
            assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        return JSONResponse(self._openai_batch(self._create(requests, body.get("metadata") or {})))

    async def _list_openai(self, request: Request) -> Response:
        listed = [self._openai_batch(job) for job in self._visible()]
        return JSONResponse({"object": "list", "data": listed, "has_more": False})

    async def _poll_openai(self, request: Request) -> Response:
        job = self._poll(request.path_params["id"], chat_completion)
        if job is None:
            return JSONResponse({"error": {"message": "no such batch"}}, 404)
        return JSONResponse(self._openai_batch(job))

    def _openai_batch(self, job: Job) -> dict[str, Any]:
        fates = {fate for _, fate, _ in job.results}
        good = [id_ for id_, fate, reply in job.results if fate == "replied" and reply.status < 400]
        state = job.state
        if state == "ended":
            worst = [fate for fate in ("cancelled", "expired") if fate in fates]
            state = worst[0] if worst else "completed"
        shown = {
            "id": job.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file-x",
            "completion_window": "24h",
            "status": state,
            "created_at": int(job.created_at),
            "metadata": job.metadata,
            "request_counts": {
                "total": len(job.requests),
                "completed": len(good) if job.results else job.polls,
                "failed": len(job.results) - len(good),
            },
            "errors": {"object": "list", "data": job.errors} if job.errors else None,
        }
        if job.state == "ended":
            shown |= self._result_files(job)
        return shown

    def _result_files(self, job: Job) -> dict[str, str]:
        """Write the result files of a batch; return their ids by the field that names them."""
        files: dict[str, list[dict[str, Any]]] = {"output_file_id": [], "error_file_id": []}
        for id_, fate, reply in job.results:
            line: dict[str, Any] = {"id": "r", "custom_id": id_, "response": None, "error": None}
            if fate == "replied":
                response = {"status_code": reply.status, "request_id": "q", "body": reply.body}
                line["response"] = response
            else:
                line["error"] = {"code": f"batch_{fate}", "message": f"This was {fate}."}
            if fate != "missing":
                good = fate == "replied" and reply.status < 400
                files["output_file_id" if good else "error_file_id"].append(line)
        names = {}
        for field_, lines in files.items():
            if lines:
                names[field_] = f"{job.id}-{field_}"
                text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
                self.files[names[field_]] = text.encode()
        return names

    # ---------------------------------------------------------------------------------- Anthropic

    async def _message_anthropic(self, request: Request) -> Response:
        return self._reply_directly(await request.json(), anthropic_message)

    async def _create_anthropic(self, request: Request) -> Response:
        items = (await request.json())["requests"]
        requests = [{"custom_id": r["custom_id"], "body": r["params"]} for r in items]
        return JSONResponse(self._anthropic_batch(self._create(requests, {})))

    async def _list_anthropic(self, request: Request) -> Response:
        listed = [self._anthropic_batch(job) for job in self._visible()]
        return JSONResponse({"data": listed, "has_more": False, "first_id": None, "last_id": None})

    async def _poll_anthropic(self, request: Request) -> Response:
        job = self._poll(request.path_params["id"], anthropic_message)
        if job is None:
            error = {"type": "not_found_error", "message": "no such batch"}
            return JSONResponse({"type": "error", "error": error}, 404)
        return JSONResponse(self._anthropic_batch(job))

    async def _results_anthropic(self, request: Request) -> Response:
        job = next(job for job in self.jobs if job.id == request.path_params["id"])
        lines = []
        for id_, fate, reply in job.results:
            result: dict[str, Any] = {"type": "canceled" if fate == "cancelled" else fate}
            if fate == "replied" and reply.status == 200:
                result = {"type": "succeeded", "message": reply.body}
            elif fate == "replied":
                result = {"type": "errored", "error": reply.body}
            if fate != "missing":
                lines.append(json.dumps({"custom_id": id_, "result": result}, ensure_ascii=False))
        return Response("".join(f"{line}\n" for line in lines), media_type="application/x-jsonl")

    def _anthropic_batch(self, job: Job) -> dict[str, Any]:
        created_at = datetime.fromtimestamp(job.created_at, UTC)
        kinds = Counter(
            "succeeded"
            if fate == "replied" and reply.status == 200
            else {"replied": "errored", "cancelled": "canceled"}.get(fate, "expired")
            for _, fate, reply in job.results
        )
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0) | kinds
        counts["processing"] = len(job.requests) - sum(counts.values())
        ended = job.state == "ended"
        return {
            "id": job.id,
            "type": "message_batch",
            "created_at": created_at.isoformat(),
            "expires_at": created_at.isoformat(),
            "ended_at": created_at.isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "request_counts": counts,
            "processing_status": "ended" if ended else "in_progress",
            "results_url": f"{self.address}/v1/messages/batches/{job.id}/results"
            if ended
            else None,
        }
