from pathlib import Path

import pytest

from bakeoff.config import Poll
from bakeoff.voting.urn import read
from tests.voting.cases import MODELS, VOTES, booth, evidence
from tests.voting.chromium import Page

NASTY = "<img src=x onerror='window.hurt = 1'><script>window.hurt = 1</script> \u202etext"


def count(page: Page, words: str) -> None:
    """Wait until the counter says so and the page takes a vote again."""
    page.until(f"$('count').textContent === {words!r} && !busy")
    page.until("performance.now() - shownAt > SETTLE")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_voter_goes_from_the_name_to_the_end_with_keys(width: int, tmp_path: Path) -> None:
    long = "word " * 400 + "x" * 500
    of = evidence(said={(1, MODELS[0]): NASTY, (1, MODELS[1]): "", (2, MODELS[0]): long})
    with booth(of, poll=Poll(draw="order")) as server, Page(tmp_path / "profile") as page:
        page.open(server.url, width, 800)
        page.until("!$('start').hidden && document.activeElement === $('name')")
        page.call("Input.insertText", text="Anna")
        page.js("document.querySelector('#enter button').click()")
        for number, key in enumerate(["1", "0", "s"], 1):
            count(page, f"{number} of 4")
            assert page.js("$('prompt').textContent") == f"question {number - 1}"
            fits = "document.documentElement.scrollWidth <= innerWidth"
            assert page.js(fits), f"pair {number} is wider than the window"
            if number == 2:
                texts = page.js("[$('first').textContent, $('second').textContent]")
                assert sorted(texts) == sorted([NASTY, "Nothing was said."])
            page.press(key)
        count(page, "4 of 4")
        page.press("u")
        count(page, "3 of 4")
        page.press("2")
        count(page, "4 of 4")
        page.js("document.querySelector('[data-choice=first]').click()")
        page.until("!$('end').hidden")
        assert page.js("$('ended').textContent") == "All 4 are judged."
        page.js("window.before = true")
        page.call("Page.reload")
        page.until("!window.before && !$('end').hidden")  # the tab knows who it is
        page.js("$('done').click(); $('sure').querySelector('[value=yes]').click()")
        page.until("$('ended').textContent === 'The voting is finished.'")
        assert page.js("window.hurt") is None
        assert page.complaints == []
    said = ["first", "tie", "skip", "undone", "second", "first"]
    assert [vote.choice for vote in read(VOTES)] == said


def test_a_page_whose_server_is_gone_says_that_the_votes_are_saved(tmp_path: Path) -> None:
    with Page(tmp_path / "profile") as page:
        with booth(evidence(), poll=Poll(draw="order")) as server:
            page.open(server.url, 1280, 800)
            page.until("!$('start').hidden")
            page.js("$('name').value = 'Anna'; document.querySelector('#enter button').click()")
            count(page, "1 of 4")
            page.press("1")
            count(page, "2 of 4")
        page.press("1")
        page.until("!$('trouble').hidden")
        assert "Your votes are saved" in page.js("$('trouble').textContent")
        assert page.js("$('count').textContent") == "2 of 4"
    assert len(read(VOTES)) == 1


def test_a_vote_that_is_not_saved_is_said_and_the_pair_stays(tmp_path: Path) -> None:
    with booth(evidence(), poll=Poll(draw="order")) as server, Page(tmp_path / "profile") as page:
        page.open(server.url, 1280, 800)
        page.until("!$('start').hidden")
        page.js("$('name').value = 'Anna'; document.querySelector('#enter button').click()")
        count(page, "1 of 4")
        VOTES.mkdir()
        page.press("1")
        page.until("!$('trouble').hidden")
        assert page.js("$('trouble').textContent").startswith("This was not saved (")
        assert page.js("$('count').textContent") == "1 of 4"
        VOTES.rmdir()
        page.press("1")
        count(page, "2 of 4")
        assert page.js("$('trouble').hidden")
    assert len(read(VOTES)) == 1
