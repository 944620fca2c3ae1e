"""Times for the tracking store that do not go back when the machine's clock is set back."""

import threading
import time

TOLERATED_S = 1.0
"""Seconds by which the clock may fall behind at once without having been set back; programs that
keep a clock right change it little by little."""


class SteadyClock:
    """Corrects the times of a process whose machine's clock is set back.

    After the clock was set back, time goes on from where it was. A clock that is set forward is
    followed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wall_s, self._steady_s = time.time(), time.monotonic()

    def now_ms(self) -> int:
        """Return the time, in milliseconds since 1970."""
        return self.corrected_ms(time.time_ns() // 1_000_000)

    def corrected_ms(self, read_ms: int) -> int:
        """Return the right time for one that was read from the machine's clock.

        Args:
            read_ms: milliseconds since 1970. A time later than the clock shows now was read before
                the clock was set back, and is right.
        """
        with self._lock:
            wall_s, steady_s = time.time(), time.monotonic()
            behind_s = self._wall_s + steady_s - self._steady_s - wall_s
            if behind_s <= TOLERATED_S:
                self._wall_s, self._steady_s = wall_s, steady_s
                return read_ms
        return read_ms + round(behind_s * 1000) if read_ms <= wall_s * 1000 else read_ms
