"""How a run goes on, as it goes on: a bar for each model and judge, or plain lines on a pipe.

Knows Progress, and neither a pipeline nor results.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from bakeoff.report.plain_text import shortened, spelled, visible
from bakeoff.runtime.progress import ProgressCallback, ProgressUpdate, Stage

Clock = Callable[[], float]

_DOES: dict[Stage, str] = {"completion": "completes", "judgment": "judges"}
_WINDOW = 30.0  # seconds that a rate looks back
_SAMPLE = 0.25  # seconds between what it remembers
_SILENCE = 30.0  # seconds after which a pipe has a line of whoever did something
_HASTE = 5.0  # seconds between two lines of one on a pipe, however fast it is
_BARS = range(8, 25)  # cells of a bar
_LABEL = 18  # cells of a label at least, where there is room for more than it
_NAME = 200  # characters of a name that are looked at
_DROPPED = ("tokens", "rate", "bar", "money", "time", "failed")  # the first one first


class Marks(NamedTuple):
    """What a bar is drawn with, and what stands for what a label leaves out."""

    done: str
    rest: str
    cut: str


_DRAWN = Marks("━", "─", "…")
_ASCII = Marks("#", ".", "~")


@contextmanager
def live(
    console: Console, hosted: Collection[str] = (), clock: Clock = time.monotonic
) -> Iterator[ProgressCallback]:
    """Yields the watch of a run: a bar each on a terminal, on a pipe a line now and then.

    `hosted` names the models and judges that cost money: where a price is not known, it says so.
    """
    board = Board(hosted, clock)
    if not console.is_interactive:
        yield lambda progress: _print(console, board.show(progress))
        return
    bars = Live(board, console=console, refresh_per_second=5)

    def watch(progress: ProgressUpdate) -> None:
        board.show(progress)
        bars.start()  # not before: a model that is fetched first has a bar of its own

    try:
        yield watch
    finally:
        if bars.is_started:
            bars.stop()
            console.print()


def _print(console: Console, line: str) -> None:
    if line:
        console.print(Text(spelled(line, console.encoding)), soft_wrap=True)


class Cells(NamedTuple):
    """What is said of one model or judge; empty where there is nothing to say."""

    label: str
    said: str
    failed: str
    rate: str
    time: str
    tokens: str
    money: str


class Row:
    """One model or judge: how far it is, and how fast."""

    def __init__(self, progress: ProgressUpdate, now: float) -> None:
        self.progress = progress
        self._began = self._last = now
        self._seen = deque([(now, 0)])  # when so many were done that the store did not have
        self._told = (now, 0, 0)  # when a line said so, with how many done and how many tokens

    def update(self, progress: ProgressUpdate, now: float) -> None:
        """Take in how far it is now."""
        self.progress, self._last = progress, now
        if now - self._seen[-1][0] >= _SAMPLE:
            self._seen.append((now, progress.done - progress.stored))
            while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW:
                self._seen.popleft()

    @property
    def through(self) -> bool:
        """Whether there is nothing left to do."""
        return self.progress.done >= self.progress.total

    @property
    def tokens(self) -> int:
        """The tokens of what is done, and of what is under way."""
        return self.progress.tokens + self.progress.tokens_in_progress

    def due(self, now: float) -> bool:
        """Whether a pipe is to have a line: at the end, and every tenth or half a minute."""
        at, done, tokens = self._told
        further, waited = self.progress.done - done, now - at
        tenth = 10 * further >= self.progress.total and waited >= _HASTE
        moved = further > 0 or self.tokens > tokens
        due = (further > 0 and (self.through or tenth)) or (moved and waited >= _SILENCE)
        if due:
            self._told = (now, self.progress.done, self.tokens)
        return due

    def cells(self, now: float, *, priced: bool) -> Cells:
        """What to say of it now."""
        it = self.progress
        rate = 0.0 if self.through else self._rate(now)
        left = f"{_time(ceil((it.total - it.done) / rate))} left" if rate else ""
        return Cells(
            label=f"{' '.join(visible(it.participant[:_NAME]).split())} {_DOES[it.stage]}",
            said=f"{it.done}/{it.total}"
            + (f" ({it.remote_done} in a batch)" if it.remote_done else ""),
            failed=f"{it.failed} failed" if it.failed else "",
            rate=_pace(rate) if rate else "",
            time=f"in {_time(round(self._last - self._began))}" if self.through else left,
            tokens=f"{_thousands(self.tokens)} tok" if self.tokens else "",
            money="price unknown" if it.cost is None and priced else _dollars(it.cost or 0),
        )

    def _rate(self, now: float) -> float:
        """How many are done in a second, lately; 0 where nothing tells."""
        then, before = self._seen[0]
        new = self.progress.done - self.progress.stored - before
        return new / (now - then) if now > then else 0.0


class Board:
    """All rows, to be drawn in any width."""

    def __init__(self, hosted: Collection[str], clock: Clock) -> None:
        self._hosted = hosted
        self._clock = clock
        self._rows: dict[tuple[Stage, str], Row] = {}

    def show(self, progress: ProgressUpdate) -> str:
        """Take in how far one is; the line that a pipe is to have of it, mostly none."""
        now, key = self._clock(), (progress.stage, progress.participant)
        row = self._rows.get(key) or self._rows.setdefault(key, Row(progress, now))
        row.update(progress, now)
        if not row.due(now):
            return ""
        said = row.cells(now, priced=progress.participant in self._hosted)
        count = f"{said.label}: {said.said}"
        kept = f"{progress.stored} from the store" if progress.stored else ""
        parts = [count, kept, said.failed, said.rate, said.time, said.tokens, said.money]
        if row.through:
            parts = [f"{count} {said.time}", kept, said.failed, said.tokens, said.money]
        return ", ".join(filter(None, parts))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = self._clock()
        rows = []
        for row in list(self._rows.values()):  # a thread draws while another one counts
            cells = row.cells(now, priced=row.progress.participant in self._hosted)
            rows.append((row, cells._replace(label=spelled(cells.label, options.encoding))))
        marks = _ASCII if options.ascii_only else _DRAWN
        layout = _layout([cells for _, cells in rows], options.max_width)
        for row, cells in rows:
            yield _line(row, cells, layout, marks)


class Layout(NamedTuple):
    """Cells of a label and a bar, of each other column that has room, and between two of them."""

    label: int
    bar: int
    others: dict[str, int]
    gap: int


def _layout(rows: Sequence[Cells], width: int) -> Layout:
    """What fits into a width; the bar and the label take what the others leave."""
    columns = zip(Cells._fields, zip(*rows, strict=True), strict=True) if rows else ()
    need = {name: max(map(cell_len, column)) for name, column in columns}
    label = need.pop("label", 0)
    widths = {"bar": _BARS.start} | {name: size for name, size in need.items() if size}
    for name in _DROPPED:
        if min(label, _LABEL) + sum(widths.values()) + len(widths) <= width:
            break
        widths.pop(name, None)
    taken = sum(widths.values())
    gap = 2 if label + taken + 2 * len(widths) <= width else 1
    free = max(1, width - taken - gap * len(widths))
    bar = widths.pop("bar", 0)
    spare = max(0, free - label)
    return Layout(min(label, free), bar and min(_BARS.stop - 1, bar + spare), widths, gap)


def _line(row: Row, cells: Cells, layout: Layout, marks: Marks) -> Text:
    label = _label(cells.label, layout.label, marks.cut)
    line = Text(label + " " * (layout.label - cell_len(label)), no_wrap=True, overflow="crop")
    gap = " " * layout.gap
    if layout.bar:
        progress = row.progress
        filled = layout.bar * progress.done // progress.total if progress.total else layout.bar
        good = row.through and not progress.failed
        line.append(gap).append(marks.done * filled, style="green" if good else "")
        line.append(marks.rest * (layout.bar - filled), style="dim")
    for name, text in zip(Cells._fields, cells, strict=True):
        if name in layout.others:
            style = "red" if name == "failed" else ""
            line.append(f"{gap}{text:>{layout.others[name]}}", style=style)
    return line


def _label(label: str, width: int, cut: str) -> str:
    """A name and what it does, the name shortened first."""
    name, _, does = label.rpartition(" ")
    room = width - cell_len(does) - 1
    return f"{shortened(name, room, cut)} {does}" if room > 5 else shortened(label, width, cut)


def _pace(rate: float) -> str:
    """Something in a second, or in a minute or hour where that is less than one."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.{1 if rate * seconds < 10 else 0}f}/{unit}"
    return f"{rate * 3600:.1f}/h"


def _time(seconds: int) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _thousands(count: int) -> str:
    """A count, in few characters."""
    if count < 1000:
        return str(count)
    return f"{count / 1e3:.1f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _dollars(cost: float) -> str:
    """US dollars, and nothing where nothing was paid."""
    if not cost:
        return ""
    return f"${cost:.4f}" if cost >= 0.0001 else "<$0.0001"
