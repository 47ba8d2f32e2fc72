"""What a voter does on the page in a browser."""

from playwright.sync_api import Page, expect

# Not `wait_for_function`: it makes its script from a string again and again, and the page's policy
# lets nobody do that.
READY = """new Promise((done) => {
  const look = () => !busy && performance.now() - shownAt > SETTLE ? done() : setTimeout(look, 20);
  look();
})"""


def enter(page: Page, name: str = "Anna") -> None:
    page.fill("#name", name)
    page.click("#enter button")


def counts(page: Page, words: str) -> None:
    """Wait until the counter says so and the page takes a vote again."""
    expect(page.locator("#count")).to_have_text(words)
    page.evaluate(READY)
