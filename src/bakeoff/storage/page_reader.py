"""What is left of a damaged file and its log: every row on every page that is whole.

Knows pages, and not what leads from one to another; no record.
"""

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bakeoff.storage.sqlite_file import log_of
from bakeoff.storage.sqlite_pages import Cell, numbers_on, page_size, rows_on
from bakeoff.storage.wal import frames_of, log_page_size

_USUAL = 4096  # bytes of a page of SQLite's, where the file does not tell any more


class Remains:
    """The pages of a file, in every version that it or its log has. Enter it to read them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: mmap.mmap | bytes = b""
        self._open = ExitStack()
        log = log_of(path)
        written = log.read_bytes() if log.exists() else b""
        self._frames = frames_of(written)
        self._logged = {frame.page: frame.content for frame in self._frames if frame.good}
        self._size = log_page_size(written) if self._frames else _USUAL

    def __enter__(self) -> Self:
        if self._path.exists() and self._path.stat().st_size:
            file = self._open.enter_context(self._path.open("rb"))
            self._file = self._open.enter_context(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
            try:
                self._size = page_size(self._file[:100])
            except ValueError:
                return self  # its first page is damaged: the log, or custom, says how long they are
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file = b""
        self._open.close()

    def rows(self) -> Iterator[Cell]:
        """The rows of all tables and indices; one that lies on several versions comes as often."""
        for number in range(1, self._count + 1):
            yield from rows_on(self._page(number), number, self._page)
        for number in self._logged:  # as they were before
            yield from rows_on(self._filed(number), number, self._filed)
        for frame in self._frames:
            if self._logged.get(frame.page) is not frame.content:
                yield from rows_on(frame.content, frame.page, self._page)

    def numbers(self) -> Iterator[int]:
        """Numbers of rows that were there, as the pages tell that lead to them."""
        for number in range(1, self._count + 1):
            yield from numbers_on(self._page(number), self._count)

    @property
    def _count(self) -> int:
        return max(len(self._file) // self._size, *self._logged, 0)

    def _page(self, number: int) -> bytes:
        """The newest version of a page that is whole; empty where there is none."""
        return self._logged.get(number) or self._filed(number)

    def _filed(self, number: int) -> bytes:
        page = self._file[(number - 1) * self._size : number * self._size] if number > 0 else b""
        return page if len(page) == self._size else b""
