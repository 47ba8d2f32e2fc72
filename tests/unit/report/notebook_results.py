"""Results of two and of three models for the tests of the notebook view."""

from itertools import combinations

from bakeoff.records import Results
from tests.builders import make_results
from tests.unit.analysis.builders import evidence, failure, judgment, prompt, texts, won

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></bdi></div><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' \" onclick=\"alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "a\x00b\u202ec",
    "half \ud800 a pair",
]


def two_models(a: str = "a", b: str = "b", text: str = "A note.") -> Results:
    """25 prompts, and one that failed; a model called `a` wins most of them."""
    rows = [row.model_copy(update={"judge": text}) for row in won(18, 4, 3)]
    names = {"a": a, "b": b}
    renamed = [
        row.model_copy(update={"first": names[row.first], "second": names[row.second]})
        for row in rows
    ]
    # Judged in one order only, so that something stands against the verdict.
    return make_results(
        evidence(
            [row for row in renamed if row.first == a],
            (a, b),
            failures=(failure("p0", kind=text, first=a, second=b),),
            completions=tuple(
                completion
                for name in (a, b)
                for completion in texts(name, [f"say {n}" for n in range(25)])
            ),
            notes=(text,),
        )
    )


def three_models(names: tuple[str, ...] = ("a", "b", "c")) -> Results:
    strongest = dict(zip(names, (0.8, 0.5, 0.3), strict=True))
    rows = [
        row
        for x, y in combinations(names, 2)
        for n in range(40)
        for value in [float(n % 10 < 5 + 5 * (strongest[x] - strongest[y]))]
        for row in (judgment(n, x, value, second=y), judgment(n, y, 1 - value, second=x))
    ]
    return make_results(evidence(rows, names, prompts=tuple(map(prompt, range(40)))))
