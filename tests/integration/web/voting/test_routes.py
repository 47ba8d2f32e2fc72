import json
from typing import Any

import httpx
import pytest

from tests.unit.web.voting.builders import MODELS, VOTES, evidence
from tests.web_clients import voting_browser

SECRETS = (
    *MODELS,
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "prompt-",
    "thinking",
    "model_",
    "judge",
    "hf:",
    str(VOTES),
)


def test_no_reply_reveals_a_model() -> None:
    with voting_browser(evidence(6)) as browser:
        for path in ("", "page.css", "page.js", "alive", "voters"):
            assert browser.get(path).status_code == 200
        page, browser.received = browser.received, b""
        for choice in ("first", "second", "tie", "skip", "first"):
            browser.vote(choice)
        browser.press("undo")
        browser.press("reopen_skipped")
        for name in ("Bo", *MODELS, "judge-gamma", ""):
            browser.get("state", voter=name)
        browser.post("vote", voter="Anna", id="prompt-0", choice="first")
        browser.post("vote", voter="Anna", id="no", choice="best")
        browser.get("voters")
        while browser.state("Cy")["pair"]:
            browser.vote("first", "Cy")
        browser.get("nothing/here")
        browser.press("finish")
        assert len(browser.received) > 5_000
        for secret in SECRETS:
            assert secret.encode() not in browser.received, secret
        for secret in (*MODELS, "judge-gamma", "hf:", "prompt-0", "epsilon", "kappa"):
            assert secret.encode() not in page, secret


def test_pair_contains_only_its_texts() -> None:
    with voting_browser(evidence(8)) as browser:
        pairs: list[dict[str, Any]] = []
        while shown := browser.state()["pair"]:
            assert sorted(shown) == ["criteria", "first", "id", "reference", "second", "turns"]
            pairs.append(shown)
            browser.vote("tie")
        ids = [shown["id"] for shown in pairs]
        assert len(set(ids)) == 8
        assert {len(name) for name in ids} == {12}
        assert sorted(ids) != ids  # no number in disguise


def test_texts_are_transmitted_unchanged() -> None:
    nasty = [
        "<script>alert(1)</script>",
        "</script><img src=x onerror=alert(1)>",
        "a\0b\x1b[31m",
        "\u202etfel ot thgir\u2066",
        "\ud800 half a pair",
        "\r\n\t  spaces  \u2028\u2029",
        "",
        "😀" * 1000,
    ]
    replacements = {(number, MODELS[0]): text for number, text in enumerate(nasty)}
    data = evidence(len(nasty), replacements=replacements)
    with voting_browser(data) as browser:
        texts = set()
        for _ in nasty:
            reply = browser.get("state", voter="Anna")
            assert reply.headers["content-type"] == "application/json"
            shown = reply.json()["pair"]
            texts |= {shown["first"], shown["second"]}
            browser.vote("skip")
        assert set(nasty) <= texts


def test_invalid_votes_are_refused_with_a_message() -> None:
    with voting_browser(evidence()) as browser:
        shown = browser.state()["pair"]["id"]
        bodies: list[dict[str, object]] = [
            {"voter": "Anna", "id": shown, "choice": "best"},
            {"voter": "Anna", "id": shown, "choice": "undone"},
            {"voter": ["Anna"], "id": shown, "choice": "first"},
            {"voter": "Anna", "id": shown, "choice": "first", "human_sample": "random"},
        ]
        for body in bodies:
            reply = browser.post("vote", **body)
            assert (reply.status_code, list(reply.json())) == (400, ["error"])
        assert browser.get("state", nobody="x").status_code == 400
        assert browser.get("state").status_code == 422
        assert browser.get("vote", voter="Anna").status_code == 405
        body = {"voter": "Anna", "id": shown, "choice": "first"}
        elsewhere = {"Origin": "http://evil.example"}
        sent = httpx.post(
            browser.url + "vote", json=body, headers=elsewhere, trust_env=False, timeout=300
        )
        assert sent.status_code == 403
        assert not VOTES.exists()


def test_every_vote_is_in_the_file_before_it_is_acknowledged() -> None:
    with voting_browser(evidence()) as browser:
        for number, choice in enumerate(("first", "second", "tie", "skip"), 1):
            browser.vote(choice)
            lines = VOTES.read_text().splitlines()
            assert len(lines) == number
            assert json.loads(lines[-1])["choice"] == choice
        browser.press("undo")
        assert json.loads(VOTES.read_text().splitlines()[-1])["choice"] == "undone"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")],
)
def test_page_files_have_media_types(path: str, kind: str) -> None:
    with voting_browser(evidence()) as browser:
        reply = browser.get(path)
        assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
        assert "http://" not in reply.text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in reply.text
