"""Adaptive limit on the requests in flight at one server, from the latency of its replies."""

INITIAL = 32
_MIN_GAIN = 4 / 3  # of throughput, by which growth continues after the limit has doubled
_HOLD_ROUNDS = 8  # rounds without growth after an attempt without this gain
_FULL_SHARE = 0.8  # of a round's replies at the full limit: the limit bounded its throughput


class ConcurrencyLimit:
    """Limit of requests in flight: `size`, from 1 to `maximum`; starts with `initial`.

    Slow start: each reply at the full limit raises it by one, as long as doubling it raises
    throughput by a third; from there on the server only queues the requests. A refusal halves the
    limit; afterwards it grows by one per round of replies (AIMD).
    """

    def __init__(self, maximum: int, initial: int = INITIAL) -> None:
        self._maximum = maximum
        self.size = min(initial, maximum)
        self.latency = 0.0
        """Moving average of the seconds until a reply; 0 before the first one."""
        self._growing = True
        self._was_refused = False
        self._hold_rounds = 0
        self._throughput: float | None = None  # replies a second in the last full round
        self._round_size = self.size  # replies in a round
        self._round_start: float | None = None
        self._replies = self._full_replies = 0  # in this round

    def on_reply(self, now: float, latency: float, full: bool) -> None:
        """Count a reply; `full`: the limit was reached when it came. Times in seconds."""
        self.latency += (latency - self.latency) / (32 if self.latency else 1)
        if self._round_start is None:
            self._round_start = now - latency
        self._replies += 1
        self._full_replies += full
        if self._growing and full:
            self.size = min(self._maximum, self.size + 1)
        if self._replies >= self._round_size:
            if self._full_replies >= _FULL_SHARE * self._replies:
                self._adjust(self._replies / max(now - self._round_start, 1e-9))
            self._start_round(now)

    def on_refusal(self) -> None:
        """Halve the limit, because the server refused a request."""
        self.size = max(1, self.size // 2)
        self._growing, self._was_refused = False, True
        self._start_round(None)

    def _start_round(self, now: float | None) -> None:
        self._round_size, self._round_start = self.size, now
        self._replies = self._full_replies = 0

    def _adjust(self, throughput: float) -> None:
        if self._growing:
            self._growing = self._throughput is None or throughput >= _MIN_GAIN * self._throughput
            if not self._growing:
                self.size, self._hold_rounds = self._round_size, _HOLD_ROUNDS
            self._throughput = throughput
        elif self._was_refused:
            self.size = min(self._maximum, self.size + 1)
        else:
            self._hold_rounds -= 1
            self._growing, self._throughput = self._hold_rounds <= 0, throughput
