"""The progress display: a table that fits any terminal, and lines on a pipe."""

import io
from collections.abc import Callable, Collection

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bakeoff.report.live import ProgressTable, show_progress
from bakeoff.runtime.progress import ProgressUpdate
from tests.unit.report.test_plain_text import ANY, EVIL


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def done(count: int, total: int = 100, participant: str = "a", **more: object) -> ProgressUpdate:
    return ProgressUpdate(
        stage="completion", participant=participant, done=count, total=total, **more
    )  # type: ignore[arg-type]


def drawn(board: ProgressTable, width: int = 80, encoding: str = "utf-8") -> list[str]:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)  # strict: what it lacks is an error
    console = Console(file=out, width=width)
    console.print(board)
    out.flush()
    return out.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]


def table_of(
    *shown: ProgressUpdate, priced: Collection[str] = (), seconds: float = 10
) -> ProgressTable:
    clock = Clock()
    table = ProgressTable(priced, clock)
    for update in shown:
        table.update(update.model_copy(update={"done": 0, "stored": 0}))
    clock.now += seconds
    for update in shown:
        table.update(update)
    return table


def test_a_row_has_progress_rate_and_time() -> None:
    (line,) = drawn(table_of(done(25, failed=2, tokens=12_345, cost=0.01234)))
    assert line.split() == [
        *("a", "completes", "━━─────────", "25/100", "2", "failed"),
        *("2.5/s", "0:30", "left", "12.3k", "tok", "$0.0123"),
    ]
    (line,) = drawn(table_of(done(100, tokens=7)))
    assert line.split()[2:] == ["━" * 24, "100/100", "in", "0:10", "7", "tok"]


def test_slow_rates_are_per_minute_or_hour() -> None:
    assert "12/min  7:20 left" in drawn(table_of(done(12), seconds=60))[0]
    assert "30.0/h  3:18:00 left" in drawn(table_of(done(1), seconds=120))[0]


def test_the_rate_covers_recent_uncached_work_only() -> None:
    clock = Clock()
    table = ProgressTable((), clock)
    table.update(done(0, 1000))
    table.update(done(500, 1000, stored=500))
    assert "/s" not in drawn(table)[0]  # all of it was in the store
    for second in range(1, 101):  # a hundred slow ones, then two hundred fast ones
        clock.now += 1
        table.update(done(500 + second, 1000, stored=500))
    assert "1.0/s" in drawn(table)[0]
    for second in range(1, 41):
        clock.now += 1
        table.update(done(600 + 5 * second, 1000, stored=500))
    assert "5.0/s" in drawn(table)[0]


def test_unknown_prices_are_shown_for_priced_models_only() -> None:
    rows = done(5, participant="here", cost=None), done(5, participant="there", cost=None)
    here, there = drawn(table_of(*rows, priced={"there"}))
    assert "price unknown" in there
    assert "price" not in here
    assert "$" not in here + there
    assert "<$0.0001" in drawn(table_of(done(5, cost=1e-6)))[0]
    assert "$" not in drawn(table_of(done(5, cost=0.0)))[0]


NAMES = ANY | st.sampled_from([EVIL, "[red]x[/red]", "日本" * 40, "a" * 300, "tuned"])
ROWS = st.lists(
    st.builds(
        ProgressUpdate,
        stage=st.sampled_from(["completion", "judgment"]),
        participant=NAMES,
        done=st.integers(0, 10**6),
        failed=st.integers(0, 10**6),
        total=st.integers(0, 10**6),
        stored=st.just(0),
        tokens=st.integers(0, 10**10),
        cost=st.none() | st.floats(0, 10**5),
    ),
    max_size=6,
    unique_by=lambda row: (row.stage, row.participant),
)


@given(ROWS, st.integers(1, 200), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_rows_fit_any_width_and_encoding(
    rows: list[ProgressUpdate], width: int, encoding: str
) -> None:
    text = drawn(table_of(*rows, priced=[row.participant for row in rows]), width, encoding)
    assert len(text) == len(rows)
    for line in text:
        assert cell_len(line) <= width
        assert "\x1b" not in line


def test_long_names_keep_both_ends_and_leave_room_for_a_bar() -> None:
    name = "tuned=hf:me/some-very-long-model-name-with-many-parts-{}"
    rows = [done(50, participant=name.format(n), failed=1, tokens=10**6, cost=1.5) for n in "12"]
    for n, line in zip("12", drawn(table_of(*rows)), strict=True):
        assert line.startswith("tuned…")
        assert f"-{n} completes" in line
        assert "━━━━────" in line
        assert len(line) <= 80


def lines(act: Callable[[Callable[[ProgressUpdate], None], Clock], None]) -> list[str]:
    out, clock = io.StringIO(), Clock()
    with show_progress(Console(file=out, width=40), clock=clock) as watch:
        act(watch, clock)
    return out.getvalue().splitlines()


def test_fast_work_is_one_line_on_a_pipe() -> None:
    def act(watch: Callable[[ProgressUpdate], None], clock: Clock) -> None:
        for count in range(101):
            clock.now += 0.01
            watch(done(count, tokens=count, failed=count // 50))

    assert lines(act) == ["a completes: 100/100 in 0:01, 2 failed, 100 tok"]


def test_cached_items_are_counted_on_a_pipe() -> None:
    def act(watch: Callable[[ProgressUpdate], None], clock: Clock) -> None:
        for count in range(3):
            watch(done(count, 2, stored=count))

    assert lines(act) == ["a completes: 2/2 in 0:00, 2 from the store"]


def test_slow_work_is_a_line_per_tenth_or_half_minute_on_a_pipe() -> None:
    def tenths(watch: Callable[[ProgressUpdate], None], clock: Clock) -> None:
        for count in range(101):
            watch(done(count))
            clock.now += 1

    printed = lines(tenths)
    assert [line.split(",")[0] for line in printed[:2]] == [
        "a completes: 10/100",
        "a completes: 20/100",
    ]
    assert len(printed) == 10
    assert printed[0] == "a completes: 10/100, 1.0/s, 1:30 left"

    def slow(watch: Callable[[ProgressUpdate], None], clock: Clock) -> None:
        for count in range(5):
            watch(done(count, 1000))
            clock.now += 45

    assert [line.partition(",")[0][-6:] for line in lines(slow)] == [
        "1/1000",
        "2/1000",
        "3/1000",
        "4/1000",
    ]


def test_a_pipe_has_no_control_sequences() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with show_progress(Console(file=out, width=80)) as watch:
        watch(done(2, 2, participant="[red]é\x1b[31m\nx"))
    out.flush()
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert text == "[red]\\xe9\\x1b[31m x completes: 2/2 in 0:00\n"


def test_a_dumb_terminal_gets_the_lines_of_a_pipe() -> None:
    out = io.StringIO()
    with show_progress(
        Console(file=out, width=80, force_terminal=True, _environ={"TERM": "dumb"})
    ) as watch:
        watch(done(2, 2))
    assert out.getvalue() == "a completes: 2/2 in 0:00\n"


def test_a_terminal_is_redrawn_and_the_cursor_ends_below() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    with show_progress(console) as watch:
        watch(done(1, 2, participant="a[b]"))
        watch(done(2, 2, participant="a[b]"))
    assert "a[b] completes" in out.getvalue()
    assert "2/2" in out.getvalue()
    assert out.getvalue().endswith("\n\x1b[?25h\n")  # the cursor is back


def test_without_work_nothing_is_drawn() -> None:
    out = io.StringIO()
    with show_progress(Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""


def test_tokens_of_running_items_are_counted() -> None:
    assert drawn(table_of(done(0, tokens_in_progress=700)))[0].split()[-2:] == ["700", "tok"]
    assert drawn(table_of(done(5, tokens=1000, tokens_in_progress=700)))[0].split()[-2:] == [
        "1.7k",
        "tok",
    ]
    clock = Clock()
    table = ProgressTable((), clock)
    lines = []
    for second in range(100):
        lines.append(table.update(done(0, tokens_in_progress=10 * min(second, 50))))
        clock.now += 1
    assert [line for line in lines if line] == [
        "a completes: 0/100, 300 tok",
        "a completes: 0/100, 500 tok",
    ]


def test_items_finished_in_a_batch_are_shown() -> None:
    (line,) = drawn(table_of(done(3, remote_done=40)))
    assert "3/100 (40 in a batch)" in line
    (line,) = drawn(table_of(done(3)))
    assert "batch" not in line
