"""The results document: judgments and data frames, copies, and how it is displayed."""

import copy
import pickle

import pytest
from rich.console import Console

from bakeoff.records import Judgments, Results
from tests.builders import sample_results


def results() -> Results:
    return Results.model_validate_json(sample_results().to_json())


def test_judgments_remain_a_tuple() -> None:
    loaded, plain = results(), sample_results().judgments
    assert isinstance(loaded.judgments, Judgments)
    assert loaded.judgments == plain
    assert (loaded.judgments[0], len(loaded.judgments)) == (plain[0], len(plain))
    assert type(loaded.evidence.judgments) is tuple
    assert loaded.evidence.judgments == plain


def test_results_from_evidence_have_data_frames() -> None:
    read = results()
    recomputed = Results.of(read.evidence, read.summary, read.config, read.environment)
    assert recomputed == read
    assert len(recomputed.judgments()) == len(recomputed.judgments) == 2


def test_copies_keep_their_types() -> None:
    loaded = results()
    kept = (
        loaded.model_copy(),
        loaded.model_copy(deep=True),
        copy.deepcopy(loaded),
        pickle.loads(pickle.dumps(loaded)),
        Results.model_validate(loaded.model_dump(by_alias=True)),
    )
    for copied in kept:
        assert copied == loaded
        assert isinstance(copied.judgments, Judgments)
        assert copied.to_json() == loaded.to_json()
    fewer = loaded.model_copy(update={"judgments": list(loaded.judgments[:1])})
    assert len(fewer.judgments("polars")) == 1
    assert fewer.to_json() != loaded.to_json()


def test_an_incomplete_judgment_is_a_validation_error() -> None:
    with pytest.raises(ValueError, match=r"judgments\.0\.judge"):
        Results.model_validate({"judgments": [{"prompt_id": "one"}]})


def test_repr_is_one_line() -> None:
    loaded = results()
    console = Console(width=1000)
    with console.capture() as printed:
        console.print(loaded)
    for text in (repr(loaded), f"Results({loaded})", printed.get().replace("\n", "")):
        assert "models=('a', 'b')" in text
        assert "prompts=2" in text
        assert loaded.summary.pairs[0].verdict in text
        assert len(text) < 400
    assert "Hello." not in repr(loaded)


def test_notebook_shows_the_verdict() -> None:
    loaded = results()
    assert loaded.summary.pairs[0].verdict in loaded._repr_html_()
