"""The booth over HTTP: its page, what the page asks for, and how a refusal looks. Knows no vote."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bakeoff.web.server import json_reply, text_reply
from bakeoff.web.voting.session import Asked, Booth, Refusal, Told

_Tell = Callable[[Asked], Told]
_Endpoint = Callable[[Request], Awaitable[Response]]

_FILES = {"": ("page.html", "text/html")} | {
    name: (name, f"text/{kind}") for name, kind in (("page.css", "css"), ("page.js", "javascript"))
}


def app(booth: Booth) -> Starlette:
    """The page, and a path for all that a voter may do."""
    told: list[_Tell] = [booth.alive, booth.voters, booth.state]
    done: list[_Tell] = [booth.vote, booth.undo, booth.again, booth.finish]
    return Starlette(
        routes=[
            *(Route(f"/{path}", _file(*what)) for path, what in _FILES.items()),
            *(Route(f"/{tell.__name__}", _telling(tell), methods=["GET"]) for tell in told),
            *(Route(f"/{do.__name__}", _telling(do), methods=["POST"]) for do in done),
        ]
    )


def _telling(tell: _Tell) -> _Endpoint:
    # On the event loop, one after the other: votes are few, and each waits for the disk anyway.
    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "POST":
                asked = Asked.model_validate_json(await request.body())
            else:
                asked = Asked.model_validate(dict(request.query_params))
            return json_reply(tell(asked))
        except ValidationError:
            return json_reply({"error": "This is no vote. Load the page again."}, 400)
        except Refusal as refusal:
            return json_reply({"error": str(refusal)}, refusal.status)

    return endpoint


def _file(name: str, kind: str) -> _Endpoint:
    text = (files("bakeoff.web.voting") / name).read_text(encoding="utf-8")

    async def endpoint(_: Request) -> Response:
        return text_reply(text, kind)

    return endpoint
