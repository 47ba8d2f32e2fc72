import errno
import json
import logging
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ConfigError
from bakeoff.evaluation.votes.vote_log import append_vote, read_votes
from bakeoff.evaluation.votes.votes import Vote
from tests.unit.web.voting.builders import VOTES, evidence, vote

OF = evidence()
ONE, TWO, THREE = (vote(OF, number) for number in range(3))

any_votes = st.lists(
    st.builds(
        Vote,
        voter=st.text(min_size=1, max_size=5),
        prompt_id=st.text(max_size=5),
        first=st.text(max_size=5),
        second=st.text(max_size=5),
        content_key=st.just("s1:0"),
        choice=st.sampled_from(["first", "second", "tie", "skip", "undone"]),
        human_sample=st.sampled_from(["random", "chosen"]),
        time=st.just("2026-01-01T00:00:00+00:00"),
    ),
    max_size=4,
)


@given(any_votes)
def test_votes_are_read_in_the_order_appended(votes: list[Vote]) -> None:
    VOTES.unlink(missing_ok=True)
    for number, vote_ in enumerate(votes):
        assert read_votes(VOTES) == votes[:number]
        append_vote(VOTES, vote_)
    assert read_votes(VOTES) == votes
    lines = VOTES.read_text(encoding="utf-8").split("\n") if votes else [""]
    assert [json.loads(line)["voter"] for line in lines[:-1]] == [vote.voter for vote in votes]


def test_existing_lines_are_never_changed() -> None:
    append_vote(VOTES, ONE)
    before = VOTES.read_bytes()
    append_vote(VOTES, ONE.model_copy(update={"choice": "undone"}))
    assert VOTES.read_bytes().startswith(before)


def test_truncated_last_line_loses_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    append_vote(VOTES, ONE)
    begins = VOTES.stat().st_size
    append_vote(VOTES, TWO)
    content = VOTES.read_bytes()
    for end in range(begins, len(content)):
        VOTES.write_bytes(content[:end])
        caplog.clear()
        kept = [ONE, TWO] if end == len(content) - 1 else [ONE]  # only its end is missing
        with caplog.at_level(logging.WARNING):
            assert read_votes(VOTES) == kept
        assert ("cut short" in caplog.text) == (begins < end < len(content) - 1)
        append_vote(VOTES, THREE)  # the next vote starts a new line
        assert read_votes(VOTES) == [*kept, THREE]


def test_trailing_zeros_are_a_truncated_line() -> None:
    append_vote(VOTES, ONE)
    with VOTES.open("ab") as file:
        file.write(b"\0" * 100)
    assert read_votes(VOTES) == [ONE]
    append_vote(VOTES, TWO)
    assert read_votes(VOTES) == [ONE, TWO]


@pytest.mark.parametrize("line", [b"{}", b"no vote", b"\xff\xfe", b"[]", b"null"])
def test_invalid_line_is_named(line: bytes) -> None:
    append_vote(VOTES, ONE)
    VOTES.write_bytes(VOTES.read_bytes() + line + b"\n")
    append_vote(VOTES, TWO)
    with pytest.raises(ConfigError, match=r"line 2 of 'votes.jsonl' is no vote") as caught:
        read_votes(VOTES)
    assert "\n" not in str(caught.value)


def test_unknown_field_is_an_error() -> None:
    VOTES.write_text(json.dumps(ONE.model_dump() | {"model": "x"}) + "\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_votes(VOTES)


def test_empty_lines_are_ignored() -> None:
    append_vote(VOTES, ONE)
    VOTES.write_bytes(b"\n" + VOTES.read_bytes() + b"  \n\n")
    assert read_votes(VOTES) == [ONE]


def test_missing_file_has_no_votes_and_a_folder_is_an_error() -> None:
    assert read_votes(VOTES) == []
    VOTES.mkdir()
    with pytest.raises(ConfigError, match="cannot read the votes in"):
        read_votes(VOTES)
    with pytest.raises(IsADirectoryError):
        append_vote(VOTES, ONE)


def test_full_disk_leaves_the_file_unchanged() -> None:
    append_vote(VOTES, ONE)
    before = VOTES.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 100):  # a part of the line still fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                append_vote(VOTES, TWO)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert VOTES.read_bytes() == before
    append_vote(VOTES, TWO)
    assert read_votes(VOTES) == [ONE, TWO]


def test_fsync_failure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    append_vote(VOTES, ONE)

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output"):
            append_vote(VOTES, TWO)
    assert read_votes(VOTES) == [ONE]


def test_two_writers_lose_no_votes() -> None:
    other = Path(VOTES)
    for vote_ in (ONE, TWO, THREE):
        append_vote(VOTES, vote_)
        append_vote(other, vote_.model_copy(update={"voter": "Bo"}))
    assert [vote.voter for vote in read_votes(VOTES)] == ["Anna", "Bo"] * 3
