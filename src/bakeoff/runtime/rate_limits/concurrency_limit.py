"""How many requests may be in flight at one server: more for as long as more come back for it.

Knows when replies came and how long they took; not what was asked, and no clock.
"""

START = 32
_GAIN = 4 / 3  # twice as many in flight are worth it where that many times as many come back
_REST = 8  # rounds until it is tried again
_FULL = 0.8  # of a round's replies: then it was the window that held the requests back


class Window:
    """`size` requests may be in flight, of at most `most`.

    It begins with `first` of them and doubles for as long as latency holds: where a third more
    replies come for twice the requests, they are worth it; else the server only queues them. After
    a refusal it is half of that, and then one more for each window of replies.
    """

    def __init__(self, most: int, first: int = START) -> None:
        self._most = most
        self.size = min(first, most)
        self.latency = 0.0  # seconds that a reply takes, on average; 0: not known
        self._climbing = True
        self._refused = False
        self._rest = 0
        self._pace: float | None = None  # replies a second, in the last round that climbed
        self._round = self.size  # replies that a round has,
        self._begun: float | None = None  # when it began,
        self._served = self._full = 0  # and how many there were, with a full window

    def served(self, now: float, took: float, full: bool) -> None:
        """A reply came after `took` seconds; `full`: no more could have been in flight then."""
        self.latency += (took - self.latency) / (32 if self.latency else 1)
        if self._begun is None:
            self._begun = now - took
        self._served += 1
        self._full += full
        if self._climbing and full:
            self.size = min(self._most, self.size + 1)
        if self._served >= self._round:
            if self._full >= _FULL * self._served:
                self._learn(self._served / max(now - self._begun, 1e-9))
            self._begin(now)

    def refused(self) -> None:
        """The server has too much: half as many."""
        self.size = max(1, self.size // 2)
        self._climbing, self._refused = False, True
        self._begin(None)

    def _begin(self, now: float | None) -> None:
        self._round, self._begun = self.size, now
        self._served = self._full = 0

    def _learn(self, pace: float) -> None:
        if self._climbing:
            self._climbing = self._pace is None or pace >= _GAIN * self._pace
            if not self._climbing:
                self.size, self._rest = self._round, _REST
            self._pace = pace
        elif self._refused:
            self.size = min(self._most, self.size + 1)
        else:
            self._rest -= 1
            self._climbing, self._pace = self._rest <= 0, pace
