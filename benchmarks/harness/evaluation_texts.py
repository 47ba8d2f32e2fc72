"""Prompts and completions of varied wording, length and markdown, drawn from a generator.

Texts are sentences with words of word lists. Two prompts seldom share more than a few word
sequences, so that a search for near-duplicate prompts finds none by chance.
"""

from collections.abc import Sequence

import numpy as np

Generator = np.random.Generator

NOUNS = (
    *("bicycle", "engine", "budget", "contract", "heat pump", "garden", "camera", "harbor"),
    *("recipe", "draft", "database", "rental car", "vaccine", "landlord", "orchestra", "glacier"),
    *(
        "spreadsheet",
        "violin",
        "passport",
        "compiler",
        "bakery",
        "telescope",
        "mortgage",
        "beehive",
    ),
    *("curriculum", "sailboat", "thermostat", "novel", "warehouse", "aquarium", "podcast", "loom"),
    *(
        "router",
        "vineyard",
        "marathon",
        "microscope",
        "newsletter",
        "greenhouse",
        "invoice",
        "drone",
    ),
    *("drone", "beehive", "puppet", "tractor", "library", "satellite", "kitchen"),
    *("hedge fund", "lighthouse", "drum"),
    *("battery", "museum", "trumpet", "sourdough", "wardrobe", "canal", "quilt", "reservoir"),
    *("elevator", "planetarium", "syllabus", "ferry", "turbine", "notebook", "chimney", "robot"),
    *("bridge", "perfume", "scaffold", "tournament", "meadow", "printer", "antenna", "staircase"),
    *("carpet", "census", "fountain", "keyboard", "lawsuit", "mirror", "orchard", "pension"),
    *("quarry", "referendum", "sculpture", "tunnel", "umbrella", "village", "waterfall", "yogurt"),
    *("algorithm", "bakery oven", "cathedral", "dictionary", "espresso", "festival", "glossary"),
)
VERBS = (
    *("repair", "compare", "describe", "insure", "paint", "negotiate", "measure", "translate"),
    *("organize", "clean", "debug", "finance", "rebuild", "photograph", "transport", "inspect"),
    *("design", "sell", "document", "upgrade", "restore", "schedule", "weigh", "simplify"),
    *("decorate", "calibrate", "digitize", "explain", "summarize", "rename", "archive", "cancel"),
    *("automate", "sketch", "review", "dismantle", "label", "refinance", "replace", "catalog"),
)
ADJECTIVES = (
    *("old", "noisy", "cheap", "portable", "historic", "fragile", "modern", "crowded", "wooden"),
    *("broken", "seasonal", "remote", "silent", "expensive", "regional", "solar", "damp", "narrow"),
    *("colorful", "unfinished", "reliable", "public", "shared", "abandoned", "electric", "heavy"),
    *("popular", "secondhand", "miniature", "coastal", "digital", "family", "industrial", "quiet"),
)
PLACES = (
    *("Oslo", "Lima", "Kyoto", "Nairobi", "Quebec", "Porto", "Hanoi", "Dublin", "Tbilisi", "Perth"),
    *("Cusco", "Gdansk", "Izmir", "Bergen", "Malaga", "Accra", "Austin", "Zagreb", "Leeds", "Pune"),
)
NAMES = (
    *("Amara", "Bela", "Chidi", "Dorota", "Emeka", "Farah", "Goran", "Hiroko", "Ines", "Jonas"),
    *("Kavya", "Luca", "Mirek", "Nadia", "Olga", "Pedro", "Quentin", "Rosa", "Samir", "Tove"),
)
QUESTIONS = (
    "How do I {v} a {j} {n} without a {n}?",
    "Explain why a {j} {n} in {p} needs a {n}.",
    "Write a {j} letter from {w} to {w} about a {n} and a {n}.",
    "{w} wants to {v} the {n} before {w} can {v} the {n}; what comes first?",
    "List {d} ways to {v} {j} parts of a {n} near {p}.",
    "Give {w} a plan to {v} the {j} {n} within {d} days.",
    "What does {p} do to {v} its {j} {n} each year?",
    "Can {w} {v} a {n} with {d} euros and a {j} {n}?",
    "Draft a poem on the {j} {n} that {w} left in {p}.",
    "Which {n} should {w} {v} first, the {j} one or the {n}?",
    "Summarize the history of the {n} from {p} to {p}, with the {j} {n}.",
    "My {j} {n} cannot {v} the {n}. Help!",
    "Translate for {w}: the {n} of {p} is {j}, {v} it.",
    "Is it legal in {p} to {v} a {j} {n} bought from {w}?",
    "Fix this: {w} tried to {v} {d} {n} records, {j} ones failed.",
)
CONTEXTS = (
    "{w} has {d} hours and a {j} {n}.",
    "Mention {p}, the {n} and any {j} {n}.",
    "Last year {w} had to {v} it in {p}.",
    "Keep the {n} {j}.",
    "Assume {d} people and a {n} in {p}.",
    "{w} dislikes every {j} {n}.",
    "Do not {v} the {n}.",
)
STATEMENTS = (
    "Start with the {j} {n} and {v} it before {w} arrives.",
    "Most people in {p} {v} the {n} once a year.",
    "The {n} costs about {d} euros, the {j} {n} half of that.",
    "A {j} {n} rarely needs a second {n}.",
    "It helps to {v} everything that the {n} touches.",
    "In {p}, the {n} was {j} for {d} years.",
    "{w} once wrote that a {n} is only as good as its {n}.",
    "Check the {n} for damage, then {v} the {j} parts.",
    "There are {d} reasons for this, and the {n} is the first.",
    "You can {v} it at home with a {n}.",
    "The rules for a {j} {n} differ between {p} and {p}.",
    "After {d} days the {n} behaves like any other {n}.",
    "This takes patience, since each {n} is {j}.",
    "Ask {w} or anyone from {p} who has had to {v} one.",
    "The second step is shorter: {v} the {n}.",
    "Pressure falls while the {n} warms up.",
    "Note the date, the {n} and the amount of each {n}.",
    "A {n} in {p} needs more light than a {j} {n}.",
    "Finally, {v} the {n} and store it in a dry place.",
    "If the {n} is {j}, wait until it is not.",
)
_CODE = "```python\ndef total(rows):\n    return sum(row.price for row in rows)\n```"
_POOL_SIZE = 4_000


def _fill(rng: Generator, pattern: str) -> str:
    parts = pattern.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        words = _WORDS[part[0]]
        filled.append(words[int(rng.integers(len(words)))] + part[2:])
    text = "".join(filled)
    return text[0].upper() + text[1:]


_WORDS: dict[str, Sequence[str]] = {
    "n": NOUNS,
    "v": VERBS,
    "j": ADJECTIVES,
    "p": PLACES,
    "w": NAMES,
    "d": tuple(map(str, range(2, 90))),
}


def choose(rng: Generator, options: Sequence[str]) -> str:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def prompt_text(rng: Generator) -> str:
    """A question or task of one to three sentences."""
    sentences = [choose(rng, QUESTIONS)]
    sentences += [choose(rng, CONTEXTS) for _ in range(int(rng.integers(1, 3)))]
    return " ".join(_fill(rng, sentence) for sentence in sentences)


def _make_pool() -> list[str]:
    rng = np.random.default_rng(1)
    return [_fill(rng, choose(rng, STATEMENTS)) for _ in range(_POOL_SIZE)]


_POOL = _make_pool()
_MEAN_LENGTH = sum(map(len, _POOL)) / len(_POOL) + 1


def completion_text(
    rng: Generator,
    characters: float,
    *,
    headers: int = 0,
    items: int = 0,
    bold: int = 0,
    code: int = 0,
) -> str:
    """A completion of about this number of characters, with these counts of markdown elements."""
    count = max(1, round(characters / _MEAN_LENGTH + float(rng.uniform(-0.5, 0.5))))
    sentences = [_POOL[i] for i in rng.integers(_POOL_SIZE, size=max(count, items)).tolist()]
    for place in range(min(bold, len(sentences))):
        head, _, tail = sentences[place].partition(" ")
        sentences[place] = f"**{head}** {tail}"
    body = " ".join(sentences[items:])
    parts = [f"- {sentence}" for sentence in sentences[:items]]
    text = "\n".join(parts) + ("\n\n" if parts and body else "") + body
    for number in range(headers):
        text = f"## {choose(rng, NOUNS).capitalize()} {number + 1}\n\n{text}"
    return text + f"\n\n{_CODE}" * code


class Style:
    """Counts of markdown elements of each of n completions."""

    def __init__(self, rng: Generator, n: int, richness: float = 0.5) -> None:
        """`richness` is the mean count of headers; items and bold spans are more frequent."""
        self.headers = rng.poisson(richness, n)
        self.items = rng.poisson(3 * richness, n)
        self.bold = rng.poisson(2 * richness, n)
        self.code = rng.poisson(0.2 * richness, n)

    @property
    def total(self) -> np.ndarray:
        """The number of elements of each completion."""
        return np.asarray(self.headers + self.items + self.bold + self.code)

    def render(self, rng: Generator, lengths: Sequence[float] | np.ndarray) -> list[str]:
        """A completion for each of the lengths."""
        columns = (self.headers, self.items, self.bold, self.code)
        return [
            completion_text(rng, length, headers=h, items=i, bold=b, code=c)
            for length, h, i, b, c in zip(
                lengths, *(column.tolist() for column in columns), strict=True
            )
        ]


def lengths(rng: Generator, n: int, median: float = 500.0, spread: float = 0.5) -> np.ndarray:
    """Lengths in characters, log-normal."""
    return np.asarray(median * np.exp(rng.normal(0, spread, n)))
