from hypothesis import given
from hypothesis import strategies as st

from bakeoff.importers.samples import Samples
from bakeoff.records import Completion


def slow(known: dict[tuple[str, int], str], said: dict[str, str]) -> int:
    """The rule as it is written down, sample after sample."""
    sample = 0
    while said and any(known.get((m, sample), text) != text for m, text in said.items()):
        sample += 1
    known.update({(m, sample): text for m, text in said.items()})
    return sample


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)))
def test_the_smallest_sample_that_holds_the_same_or_nothing(rows: list[dict[str, str]]) -> None:
    samples, known = Samples(), dict[tuple[str, int], str]()
    for said in rows:
        put = samples.put("p", {m: Completion(text=text) for m, text in said.items()})
        assert put == slow(known, said)
    found = {(one.model, one.sample): one.completion.text for one in samples.authored()}
    assert found == known


def test_thousands_of_completions_of_one_prompt_are_no_trouble() -> None:
    samples = Samples()
    for n in range(5000):
        said = {"a": Completion(text=str(n)), "b": Completion(text="always the same")}
        assert samples.put("p", said) == n
