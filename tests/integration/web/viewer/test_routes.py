import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from bakeoff.evaluation.votes.vote_log import read_votes
from bakeoff.web.server import HEADERS
from bakeoff.web.viewer import pages
from bakeoff.web.viewer.runs import find_runs
from tests.unit.web.viewer.builders import (
    VOTES,
    judge,
    key_of,
    results,
    write_progress,
    write_results,
)
from tests.web_clients import Browser, viewer

HURT = "</script><img src=x onerror='window.hurt=1'>"


def get(url: str, **more: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=300, **more)  # type: ignore[arg-type]


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_results(root / "one", results(seed=1, started="2026-01-01T00:00:00+00:00"))
    write_results(root / "two", results(seed=2, better=0.9, started="2026-02-01T00:00:00+00:00"))
    write_progress(root / "three")
    return root


def test_list_shows_newest_first_with_verdicts(root: Path) -> None:
    with viewer(root) as url:
        text = get(url).text
    assert text.index(">three<") < text.index(">two<") < text.index(">one<")
    for seed, better in ((1, 0.6), (2, 0.9)):
        (pair,) = results(seed=seed, better=better).summary.pairs
        assert pair.verdict in text
        assert pages.share(pair.win_rate.estimate) in text  # type: ignore[union-attr]
    assert "30</b> of 100" in text
    assert "2 failed" in text


def test_list_follows_new_and_removed_runs(root: Path) -> None:
    with viewer(root) as url:
        before = get(url + "status").json()
        assert get(url + "status").json() == before
        write_results(root / "new" / "run", results(seed=3))
        assert get(url + "status").json() != before
        assert ">new/run<" in get(url).text
        address = url + f"run/{key_of(root, 'new/run')}/"
        assert get(address).status_code == 200
        (root / "new" / "run" / "results.json").unlink()
        assert ">new/run<" not in get(url).text
        assert get(address).status_code == 404


def test_report_has_its_script_policy_and_no_frames(root: Path) -> None:
    with viewer(root) as url:
        reply = get(url + f"run/{key_of(root, 'one')}/")
        own = [get(url), get(url + f"run/{key_of(root, 'three')}/"), get(url + "nothing")]
    policy = reply.headers["Content-Security-Policy"]
    assert "script-src 'sha256-" in policy
    assert "'unsafe-eval'" not in policy
    assert policy.endswith("; frame-ancestors 'none'")
    assert 'href="../../"' in reply.text
    assert 'href="vote/"' in reply.text
    for page in own:
        assert {name: page.headers[name] for name in HEADERS} == HEADERS
        assert "<script>" not in page.text
        assert " style=" not in page.text
        assert " onclick=" not in page.text


def test_single_run_is_shown_without_a_list(root: Path) -> None:
    for path in (root / "one", root / "one" / "results.json"):
        with viewer(path) as url:
            page = get(url)
            assert page.status_code == 307
            shown = get(url + page.headers["location"])
            assert shown.status_code == 200
            assert 'href="../../"' not in shown.text
            assert 'href="vote/"' in shown.text


def test_results_file_of_another_name_has_no_vote(root: Path) -> None:
    other = (root / "one" / "results.json").rename(root / "one" / "results-0123.json")
    with viewer(other) as url:
        address = url + get(url).headers["location"]
        assert 'href="vote/"' not in get(address).text
        assert get(address + "vote/").status_code == 409


def test_run_in_progress_shows_no_win_rate(root: Path) -> None:
    with viewer(root) as url:
        address = url + f"run/{key_of(root, 'three')}/"
        text, before = get(address).text, get(address + "status").json()
        assert "No win rate is shown before the end" in text
        assert not re.search(r"\d %", text)
        assert "about" in text
        write_progress(root / "three", done=31)
        assert get(address + "status").json() != before
        write_results(root / "three", results(seed=5))
        (root / "three" / "progress.json").unlink()
        text = get(address).text
        assert "No win rate is shown before the end" not in text
        (pair,) = results(seed=5).summary.pairs
        assert pages.share(pair.win_rate.estimate) in text  # type: ignore[union-attr]


def test_stopped_run_says_how_to_resume(root: Path) -> None:
    write_progress(root / "three", seconds_ago=3600)
    with viewer(root) as url:
        text = get(url + f"run/{key_of(root, 'three')}/").text
        assert "Run the same command again" in get(url).text
    assert "Run the same command again" in text
    assert "left" not in text


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
def test_invalid_file_is_listed_with_its_problem(text: str, root: Path) -> None:
    (root / "broken").mkdir()
    (root / "broken" / "results.json").write_text(text)
    with viewer(root) as url:
        listed = get(url)
        shown = get(url + f"run/{key_of(root, 'broken')}/")
        both = f"compare?before={key_of(root, 'broken')}&after={key_of(root, 'one')}"
        assert get(url + both).status_code == 409
        voting = get(url + f"run/{key_of(root, 'broken')}/vote/")
    assert listed.status_code == 200
    assert "no results of this version" in listed.text
    assert (shown.status_code, voting.status_code) == (409, 409)
    assert "results.json" in shown.text
    for reply in (listed, shown, voting):
        assert str(root.parent) not in reply.text


def test_inconsistent_results_are_reported(root: Path) -> None:
    document = json.loads((root / "one" / "results.json").read_text())
    document["environment"] = {"packages": ["not", "by", "name"]}
    (root / "one" / "results.json").write_text(json.dumps(document))
    with viewer(root) as url:
        shown = get(url + f"run/{key_of(root, 'one')}/")
        assert get(url).status_code == 200
    assert shown.status_code == 409
    assert "do they contradict themselves?" in shown.text


def test_two_runs_are_compared(root: Path) -> None:
    strict = {"judges": {"judge": judge("Be <b>strict</b>.")}}
    write_results(root / "strict", results(identities=strict))
    first, second, other = (key_of(root, name) for name in ("one", "two", "strict"))
    with viewer(root) as url:
        text = get(url + f"compare?before={first}&after={second}").text
        refused = get(url + f"compare?before={first}&after={other}").text
        for query in (
            "",
            f"?before={first}",
            f"?before={first}&after=nothing",
            "?before=../one&after=/etc",
        ):
            assert get(url + "compare" + query).status_code == 404
    assert "On the 40 prompts that both judged, the win rate changed by +" in text
    assert "Not compared" not in text
    assert "The win rates are not compared" in refused
    assert "the judge&#39;s template differs" in refused
    assert "&lt;" in refused
    assert "<b>strict" not in refused


@pytest.mark.parametrize(
    "path",
    [
        "run/../run/",
        "run/%2e%2e/",
        "run/..%2f..%2fetc/",
        "run//",
        "run/one/",
        "run/" + "0" * 16 + "/",
        "run/" + "0" * 16 + "/vote/",
        "run/" + "0" * 16 + "/vote/page.js",
        "run/" + "0" * 16 + "/status",
        "results.json",
        "one/results.json",
        "../../etc/passwd",
        "viewer.css/../../routes.py",
        "%00",
    ],
)
def test_addresses_are_not_paths(path: str, root: Path) -> None:
    with viewer(root) as url:
        place = urlsplit(url)
        raw = (
            f"GET {place.path}{path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection((place.hostname, place.port), timeout=30) as line:
            line.sendall(raw.encode())
            reply = b"".join(iter(lambda: line.recv(65536), b""))
    assert reply.split(b" ", 2)[1] == b"404", reply[:200]
    assert str(root).encode() not in reply
    assert b"root:" not in reply


def test_other_hosts_and_origins_are_refused(root: Path) -> None:
    with viewer(root) as url:
        place = urlsplit(url)
        door = f"{place.scheme}://{place.netloc}/"
        run = f"run/{key_of(root, 'one')}/"
        assert get(url, headers={"Host": "evil.example"}).status_code == 403  # type: ignore[arg-type]
        for path in ("", run, "viewer.js", "status", run + "vote/"):
            assert get(door + path).status_code == 404
            assert get(url + path).status_code in (200, 307)
        body = {"voter": "Anna", "id": "x", "choice": "first"}
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
            for path in (run + "vote/vote", run + "vote/finish", ""):
                sent = httpx.post(
                    url + path, json=body, headers=headers, trust_env=False, timeout=300
                )
                assert sent.status_code == 403
    assert not (root / "one" / VOTES).exists()


def test_file_contents_are_escaped_and_paths_hidden(
    tmp_path: Path,
) -> None:
    root = tmp_path / "here"
    nasty = HURT + "\u202e\u0000'\"&{{ 7 * 7 }}"
    data = results(
        (f"tuned{nasty}", f"base{nasty}"), suffix=nasty, failed=3, config={"system": nasty}
    )
    write_results(root / "one<img src=y onerror=alert(1)>", data)
    write_results(root / "two", results((f"other{nasty}", f"base{nasty}"), seed=4, snapshot=nasty))
    write_progress(root / "new")
    progress = json.loads((root / "new" / "progress.json").read_text())
    progress["rows"][0]["participant"] = nasty
    (root / "new" / "progress.json").write_text(json.dumps(progress))
    keys = list(find_runs(root).runs)
    with viewer(root) as url:
        paths = ["", *(f"run/{key}/" for key in keys)]
        paths += [f"compare?before={before}&after={after}" for before in keys for after in keys]
        replies = [get(url + path) for path in paths]
    for reply in replies:
        assert "<img src=x" not in reply.text
        assert "<img src=y" not in reply.text
        assert "{{ 7 * 7 }}" in reply.text or "49" not in reply.text
        assert str(tmp_path) not in reply.text
    assert [reply.status_code for reply in replies].count(200) >= 4


def test_votes_count_after_finish(root: Path) -> None:
    folder = root / "one"
    with viewer(root) as url, Browser(url + f"run/{key_of(root, 'one')}/vote/") as browser:
        for choice in ("first", "second", "tie", "skip"):
            browser.vote(choice)
        assert len(read_votes(folder / VOTES)) == 4
        assert browser.press("finish") == {"next_page": "../"}
        report = get(url + f"run/{key_of(root, 'one')}/")
        assert report.status_code == 200
        assert "Anna" in report.text
        stored = json.loads((folder / "results.json").read_text())
        assert sum(row["judge"] == "Anna" for row in stored["judgments"]) == 3
        assert stored["origins"]["Anna"] == "human:"
        state = browser.state()  # a booth anew, and the votes are still there
        assert (state["done"], state["total"]) == (4, 40)
        browser.vote("first")
        assert len(read_votes(folder / VOTES)) == 5


def test_voting_pages_reveal_no_model(root: Path) -> None:
    write_results(root / "secret-folder", results(("zebra-one", "yak-two")))
    key = key_of(root, "secret-folder")
    with viewer(root) as url, Browser(url + f"run/{key}/vote/") as browser:
        for path in ("", "page.css", "page.js", "voters"):
            assert browser.get(path).status_code == 200
        for choice in ("first", "tie", "skip"):
            browser.vote(choice)
        browser.press("finish")
    assert len(browser.received) > 5_000
    for secret in ("zebra", "yak", "judge-1", "secret", '"p1"', "It is right", "All runs"):
        assert secret.encode() not in browser.received, secret


def test_uncountable_votes_are_kept_and_reported(root: Path) -> None:
    folder = root / "one"
    with viewer(root) as url, Browser(url + f"run/{key_of(root, 'one')}/vote/") as browser:
        browser.vote("first")
        with (folder / VOTES).open("a") as file:
            file.write("no vote\n")
        browser.press("finish")
        report = get(url + f"run/{key_of(root, 'one')}/")
        assert report.status_code == 409
        assert "All votes are kept, but they could not be counted" in report.text
        assert "line 2 of" in report.text
        assert str(root) not in report.text
        assert get(url + f"run/{key_of(root, 'one')}/").status_code == 200


def test_equal_completions_leave_nothing_to_vote_on(root: Path) -> None:
    data = results(prompts=range(3))
    same = tuple(
        row.model_copy(update={"completion": row.completion.model_copy(update={"text": "x"})})
        for row in data.completions
    )
    write_results(root / "same", data.model_copy(update={"completions": same}))
    with viewer(root) as url:
        reply = get(url + f"run/{key_of(root, 'same')}/vote/")
    assert reply.status_code == 409
    assert "there is nothing to vote on" in reply.text


def test_new_results_open_a_new_voting_session(root: Path) -> None:
    key = key_of(root, "one")
    with viewer(root) as url, Browser(url + f"run/{key}/vote/") as browser:
        browser.vote("first")
        assert browser.state()["total"] == 40
        write_results(root / "one", results(seed=1, prompts=range(10)))
        assert browser.state()["total"] == 10
    assert len(read_votes(root / "one" / VOTES)) == 1


def test_error_pages_link_to_the_list(root: Path) -> None:
    (root / "broken").mkdir()
    (root / "broken" / "results.json").write_text("{}")
    key = key_of(root, "broken")
    with viewer(root) as url:
        for path in ("nothing", "a/b/c", "compare", f"run/{key}/", "run/x/", f"run/{key}/vote/"):
            reply = get(url + path)
            assert reply.status_code in (404, 409)
            style, home = re.findall(r'href="([^"]*?)(?:viewer\.css)?"', reply.text)[1:]
            assert style == home
            assert str(reply.url.join(home)) == url, path
