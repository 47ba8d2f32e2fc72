"""The progress display of a run: a bar per model and judge on a terminal, lines on a pipe."""

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

from bakeoff.records import Stage
from bakeoff.report.plain_text import escape_controls, shorten, transliterate
from bakeoff.runtime.progress import ProgressCallback, ProgressUpdate

Clock = Callable[[], float]

_VERBS: dict[Stage, str] = {"completion": "completes", "judgment": "judges"}
_RATE_WINDOW = 30.0  # seconds over which a rate is measured
_SAMPLE_INTERVAL = 0.25  # seconds between the samples of a rate
_MAX_SILENCE = 30.0  # seconds after which a pipe has a line for a model that made progress
_MIN_INTERVAL = 5.0  # seconds between two lines of a model on a pipe
_BAR_WIDTHS = range(8, 25)  # terminal cells
_MIN_LABEL = 18  # terminal cells of a label before columns are dropped
_MAX_NAME = 200  # characters
_DROP_ORDER = ("tokens", "rate", "bar", "money", "time", "failed")  # of columns that do not fit


class BarCharacters(NamedTuple):
    """The characters of a bar."""

    done: str
    rest: str
    ellipsis: str  # replaces the middle of a label that does not fit


_UNICODE = BarCharacters("━", "─", "…")
_ASCII = BarCharacters("#", ".", "~")


@contextmanager
def show_progress(
    console: Console, priced: Collection[str] = (), clock: Clock = time.monotonic
) -> Iterator[ProgressCallback]:
    """Yield the callback that a run reports its progress to.

    A terminal has a bar per model and judge, a pipe a line after each tenth of the work or half a
    minute. `priced` names the models and judges that cost money: their rows say if no price is
    known.
    """
    table = ProgressTable(priced, clock)
    if not console.is_interactive:
        yield lambda progress: _print(console, table.update(progress))
        return
    bars = Live(table, console=console, refresh_per_second=5)

    def watch(progress: ProgressUpdate) -> None:
        table.update(progress)
        bars.start()  # only now: the download of a model has its own bar

    try:
        yield watch
    finally:
        if bars.is_started:
            bars.stop()
            console.print()


def _print(console: Console, line: str) -> None:
    if line:
        console.print(Text(transliterate(line, console.encoding)), soft_wrap=True)


class RowCells(NamedTuple):
    """The texts of a row; empty if they do not apply."""

    label: str
    progress: str
    failed: str
    rate: str
    time: str
    tokens: str
    money: str


class ProgressRow:
    """The progress and rate of one model or judge; times are seconds of the clock."""

    def __init__(self, progress: ProgressUpdate, now: float) -> None:
        self.progress = progress
        self._began = self._last = now
        self._samples = deque([(now, 0)])  # times and numbers of items done, without cached ones
        self._printed = (now, 0, 0)  # the time, items and tokens of the last line on a pipe

    def update(self, progress: ProgressUpdate, now: float) -> None:
        """Record the progress at time `now`."""
        self.progress, self._last = progress, now
        if now - self._samples[-1][0] >= _SAMPLE_INTERVAL:
            self._samples.append((now, progress.done - progress.stored))
            while len(self._samples) > 2 and now - self._samples[1][0] > _RATE_WINDOW:
                self._samples.popleft()

    @property
    def is_done(self) -> bool:
        """Whether all items are done."""
        return self.progress.done >= self.progress.total

    @property
    def tokens(self) -> int:
        """The tokens of finished and of running items."""
        return self.progress.tokens + self.progress.tokens_in_progress

    def take_line(self, now: float) -> bool:
        """Whether to print a line on a pipe now; the next one is measured from it.

        One is due at the end, and after each tenth of the work or half a minute with progress.
        """
        printed_at, done, tokens = self._printed
        advanced, waited = self.progress.done - done, now - printed_at
        tenth = 10 * advanced >= self.progress.total and waited >= _MIN_INTERVAL
        active = advanced > 0 or self.tokens > tokens
        due = (advanced > 0 and (self.is_done or tenth)) or (active and waited >= _MAX_SILENCE)
        if due:
            self._printed = (now, self.progress.done, self.tokens)
        return due

    def cells(self, now: float, *, priced: bool) -> RowCells:
        """The texts of this row; `priced` says that an unknown price is shown."""
        progress = self.progress
        rate = 0.0 if self.is_done else self._rate(now)
        left = f"{_time(ceil((progress.total - progress.done) / rate))} left" if rate else ""
        name = " ".join(escape_controls(progress.participant[:_MAX_NAME]).split())
        return RowCells(
            label=f"{name} {_VERBS[progress.stage]}",
            progress=f"{progress.done}/{progress.total}"
            + (f" ({progress.remote_done} in a batch)" if progress.remote_done else ""),
            failed=f"{progress.failed} failed" if progress.failed else "",
            rate=_rate_text(rate) if rate else "",
            time=f"in {_time(round(self._last - self._began))}" if self.is_done else left,
            tokens=f"{_thousands(self.tokens)} tok" if self.tokens else "",
            money="price unknown"
            if progress.cost is None and priced
            else _dollars(progress.cost or 0),
        )

    def _rate(self, now: float) -> float:
        """Items per second over the last half minute; 0 if unknown."""
        start, before = self._samples[0]
        new = self.progress.done - self.progress.stored - before
        return new / (now - start) if now > start else 0.0


class ProgressTable:
    """All rows as a rich renderable of any width."""

    def __init__(self, priced: Collection[str], clock: Clock) -> None:
        self._priced = priced
        self._clock = clock
        self._rows: dict[tuple[Stage, str], ProgressRow] = {}

    def update(self, progress: ProgressUpdate) -> str:
        """Record the progress of a model or judge; returns its line for a pipe, mostly empty."""
        now, key = self._clock(), (progress.stage, progress.participant)
        row = self._rows.get(key) or self._rows.setdefault(key, ProgressRow(progress, now))
        row.update(progress, now)
        if not row.take_line(now):
            return ""
        cells = row.cells(now, priced=progress.participant in self._priced)
        count = f"{cells.label}: {cells.progress}"
        stored = f"{progress.stored} from the store" if progress.stored else ""
        parts = [count, stored, cells.failed, cells.rate, cells.time, cells.tokens, cells.money]
        if row.is_done:
            parts = [f"{count} {cells.time}", stored, cells.failed, cells.tokens, cells.money]
        return ", ".join(filter(None, parts))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = self._clock()
        rows = []
        for row in list(self._rows.values()):  # another thread may add a row while this one draws
            cells = row.cells(now, priced=row.progress.participant in self._priced)
            rows.append((row, cells._replace(label=transliterate(cells.label, options.encoding))))
        characters = _ASCII if options.ascii_only else _UNICODE
        layout = _layout([cells for _, cells in rows], options.max_width)
        for row, cells in rows:
            yield _line(row, cells, layout, characters)


class Layout(NamedTuple):
    """The widths of the columns in terminal cells."""

    label: int
    bar: int  # 0 if it does not fit
    others: dict[str, int]  # the other columns that fit
    gap: int  # between two columns


def _layout(rows: Sequence[RowCells], width: int) -> Layout:
    """The columns that fit into a width; label and bar take the space that the others leave."""
    columns = zip(RowCells._fields, zip(*rows, strict=True), strict=True) if rows else ()
    sizes = {name: max(map(cell_len, column)) for name, column in columns}
    label = sizes.pop("label", 0)
    widths = {"bar": _BAR_WIDTHS.start} | {name: size for name, size in sizes.items() if size}
    for name in _DROP_ORDER:
        if min(label, _MIN_LABEL) + sum(widths.values()) + len(widths) <= width:
            break
        widths.pop(name, None)
    taken = sum(widths.values())
    gap = 2 if label + taken + 2 * len(widths) <= width else 1
    free = max(1, width - taken - gap * len(widths))
    bar = widths.pop("bar", 0)
    spare = max(0, free - label)
    return Layout(min(label, free), bar and min(_BAR_WIDTHS.stop - 1, bar + spare), widths, gap)


def _line(row: ProgressRow, cells: RowCells, layout: Layout, characters: BarCharacters) -> Text:
    label = _label(cells.label, layout.label, characters.ellipsis)
    line = Text(label + " " * (layout.label - cell_len(label)), no_wrap=True, overflow="crop")
    gap = " " * layout.gap
    if layout.bar:
        progress = row.progress
        filled = layout.bar * progress.done // progress.total if progress.total else layout.bar
        good = row.is_done and not progress.failed
        line.append(gap).append(characters.done * filled, style="green" if good else "")
        line.append(characters.rest * (layout.bar - filled), style="dim")
    for name, text in zip(RowCells._fields, cells, strict=True):
        if name in layout.others:
            style = "red" if name == "failed" else ""
            line.append(f"{gap}{text:>{layout.others[name]}}", style=style)
    return line


def _label(label: str, width: int, ellipsis: str) -> str:
    """A label of at most `width` cells; the name is shortened before the verb."""
    name, _, verb = label.rpartition(" ")
    room = width - cell_len(verb) - 1
    if room > 5:
        return f"{shorten(name, room, ellipsis)} {verb}"
    return shorten(label, width, ellipsis)


def _rate_text(rate: float) -> str:
    """A rate per second, or per minute or hour if it is below one."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if rate * seconds >= 1:
            return f"{rate * seconds:.{1 if rate * seconds < 10 else 0}f}/{unit}"
    return f"{rate * 3600:.1f}/h"


def _time(seconds: int) -> str:
    """A duration as `M:SS` or `H:MM:SS`."""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def _thousands(count: int) -> str:
    """A count with k or M, as `1.2k`."""
    if count < 1000:
        return str(count)
    return f"{count / 1e3:.1f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _dollars(cost: float) -> str:
    """An amount of US dollars; empty for 0."""
    if not cost:
        return ""
    return f"${cost:.4f}" if cost >= 0.0001 else "<$0.0001"
