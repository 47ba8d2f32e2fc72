"""Actions of a voter on the voting page in Chromium."""

from playwright.sync_api import Page, expect

# Not `wait_for_function`: it evaluates strings, which the page's policy forbids.
READY = """new Promise((done) => {
  const look = () => !busy && performance.now() - shownAt > SETTLE ? done() : setTimeout(look, 20);
  look();
})"""


def enter(page: Page, name: str = "Anna") -> None:
    page.fill("#name", name)
    page.click("#enter button")


def counts(page: Page, words: str) -> None:
    """Wait until the counter has this text and the page accepts votes."""
    expect(page.locator("#count")).to_have_text(words)
    page.evaluate(READY)
