"""The voting session over HTTP: the page, its files, and JSON endpoints."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bakeoff.web.server import json_reply, text_reply
from bakeoff.web.voting.session import JsonObject, VoterRequest, VotingError, VotingSession

_Action = Callable[[VoterRequest], JsonObject]
_Endpoint = Callable[[Request], Awaitable[Response]]

_FILES = {"": ("page.html", "text/html")} | {
    name: (name, f"text/{kind}") for name, kind in (("page.css", "css"), ("page.js", "javascript"))
}


def voting_app(session: VotingSession) -> Starlette:
    """Return the app: the page at `/`, and each action of the session at its name."""
    reads: list[_Action] = [session.alive, session.voters, session.state]
    writes: list[_Action] = [session.vote, session.undo, session.reopen_skipped, session.finish]
    return Starlette(
        routes=[
            *(Route(f"/{path}", _file(*file)) for path, file in _FILES.items()),
            *(Route(f"/{read.__name__}", _endpoint(read), methods=["GET"]) for read in reads),
            *(Route(f"/{write.__name__}", _endpoint(write), methods=["POST"]) for write in writes),
        ]
    )


def _endpoint(action: _Action) -> _Endpoint:
    # Blocks the event loop: votes are rare, and must be handled one after another anyway.
    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "POST":
                body = VoterRequest.model_validate_json(await request.body())
            else:
                body = VoterRequest.model_validate(dict(request.query_params))
            return json_reply(action(body))
        except ValidationError:
            return json_reply({"error": "This is no vote. Load the page again."}, 400)
        except VotingError as error:
            return json_reply({"error": str(error)}, error.status)

    return endpoint


def _file(name: str, media_type: str) -> _Endpoint:
    text = (files("bakeoff.web.voting") / name).read_text(encoding="utf-8")

    async def endpoint(_: Request) -> Response:
        return text_reply(text, media_type)

    return endpoint
