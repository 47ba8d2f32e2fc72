"""Error classes: the tree in the docstring, pickling and one-line messages."""

import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff import errors
from bakeoff.errors import BackendError, BakeoffError, VerdictError, WorkError, one_line

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and value.__module__ == errors.__name__
]


def documented_tree() -> dict[str, str]:
    """Each class in the docstring's tree, with its base class."""
    tree: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r" {4}([ │├└─]*)(\w+Error)", line):
            depth = len(match[1])
            above = [(d, name) for d, name in above if d < depth]
            tree[match[2]] = above[-1][1] if above else "Exception"
            above.append((depth, match[2]))
    return tree


def test_class_tree_in_the_docstring_is_right() -> None:
    assert documented_tree() == {cls.__name__: cls.__base__.__name__ for cls in CLASSES}


@given(
    st.sampled_from([cls for cls in CLASSES if issubclass(cls, WorkError)]),
    st.text(),
    st.none() | st.text(),
    st.none() | st.integers(100, 599),
)
def test_work_errors_can_be_pickled_with_their_fields(
    cls: type[WorkError], message: str, raw: str | None, status: int | None
) -> None:
    fields = {"status": status} if issubclass(cls, BackendError) else {}
    error = cls(message, raw=raw, **fields)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == copy.message == message
    assert copy.__dict__ == {"message": message, "raw": raw, **fields}


@given(st.sampled_from([c for c in CLASSES if not issubclass(c, WorkError)]), st.text())
def test_other_errors_can_be_pickled(cls: type[BakeoffError], message: str) -> None:
    copy = pickle.loads(pickle.dumps(cls(message)))
    assert type(copy) is cls
    assert copy.args == (message,)


def test_kinds_of_work_errors() -> None:
    kinds = [cls.kind for cls in (WorkError, BackendError, VerdictError)]
    assert kinds == ["failed", "backend", "verdict"]


def test_status_and_raw_are_optional() -> None:
    error = BackendError("down")
    assert (error.message, error.status, error.raw) == ("down", None, None)
    with pytest.raises(TypeError):
        WorkError()  # type: ignore[call-arg]


@given(st.text(max_size=400))
def test_one_line_is_short_and_has_no_line_breaks(text: str) -> None:
    line = one_line(ValueError(text))
    assert len(line) <= 300
    assert line.splitlines() in ([], [line])
    assert " ".join(text.split()).startswith(line)
