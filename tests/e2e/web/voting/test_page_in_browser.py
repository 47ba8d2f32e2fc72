from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from bakeoff.config.options import VoteOptions
from bakeoff.evaluation.votes.vote_log import read_votes
from tests.browser import chromium, open_page
from tests.e2e.web.voting.page_actions import counts, enter
from tests.marks import long
from tests.unit.web.voting.builders import MODELS, VOTES, evidence
from tests.web_clients import voting_browser

NASTY = "<img src=x onerror='window.hurt = 1'><script>window.hurt = 1</script> \u202etext"


@pytest.mark.parametrize("width", [390, *long([1280])])
def test_vote_with_the_keyboard_from_start_to_end(width: int) -> None:
    long = "word " * 400 + "x" * 500
    data = evidence(replacements={(1, MODELS[0]): NASTY, (1, MODELS[1]): "", (2, MODELS[0]): long})
    with (
        voting_browser(data, options=VoteOptions(draw="order")) as server,
        chromium() as browser,
        open_page(browser, server.url, width=width) as watched,
    ):
        page = watched.page
        expect(page.locator("#name")).to_be_focused()
        page.keyboard.type("Anna")
        page.keyboard.press("Enter")
        for number, key in enumerate(["1", "0", "s"], 1):
            counts(page, f"{number} of 4")
            expect(page.locator("#prompt")).to_have_text(f"question {number - 1}")
            fits = "document.documentElement.scrollWidth <= innerWidth"
            assert page.evaluate(fits), f"pair {number} is wider than the window"
            if number == 2:
                texts = [page.locator(side).text_content() for side in ("#first", "#second")]
                assert set(texts) == {NASTY, "Nothing was said."}
            page.keyboard.press(key)
        counts(page, "4 of 4")
        page.keyboard.press("u")
        counts(page, "3 of 4")
        page.keyboard.press("2")
        counts(page, "4 of 4")
        page.click("[data-choice=first]")
        expect(page.locator("#ended")).to_have_text("All 4 are judged.")
        page.reload()
        expect(page.locator("#ended")).to_be_visible()  # the tab keeps the voter's name
        page.click("#done")
        page.click("#confirm [value=yes]")
        expect(page.locator("#ended")).to_have_text("The voting is finished.")
        assert page.evaluate("window.hurt") is None
        watched.assert_no_errors()
    choices = ["first", "tie", "skip", "undone", "second", "first"]
    assert [vote.choice for vote in read_votes(VOTES)] == choices


@pytest.mark.long
def test_page_of_a_stopped_server_says_that_votes_are_saved() -> None:
    with chromium() as browser, ExitStack() as stack:
        server = stack.enter_context(voting_browser(evidence(), options=VoteOptions(draw="order")))
        with open_page(browser, server.url) as watched:
            page = watched.page
            enter(page)
            counts(page, "1 of 4")
            page.keyboard.press("1")
            counts(page, "2 of 4")
            stack.close()
            page.keyboard.press("1")
            expect(page.locator("#error")).to_contain_text("Your votes are saved")
            expect(page.locator("#count")).to_have_text("2 of 4")
            assert watched.external_requests == []
    assert len(read_votes(VOTES)) == 1


def test_unsaved_vote_is_reported_and_the_pair_stays() -> None:
    with (
        voting_browser(evidence(), options=VoteOptions(draw="order")) as server,
        chromium() as browser,
        open_page(browser, server.url) as watched,
    ):
        page = watched.page
        enter(page)
        counts(page, "1 of 4")
        VOTES.mkdir()
        page.keyboard.press("1")
        expect(page.locator("#error")).to_contain_text("This was not saved (")
        counts(page, "1 of 4")
        VOTES.rmdir()
        page.keyboard.press("1")
        counts(page, "2 of 4")
        expect(page.locator("#error")).to_be_hidden()
    assert len(read_votes(VOTES)) == 1
