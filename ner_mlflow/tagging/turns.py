"""Bound what several threads hold in memory at once."""

from collections import deque
from threading import Condition


class Turns:
    """A number of turns, which threads take and give back; who waited longest gets the next.

    A thread that holds a turn must not wait for another one. Otherwise all turns could be held by
    threads that wait.
    """

    def __init__(self, count: int) -> None:
        """``count`` turns can be held at the same time; at least 1."""
        self._free = count
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    def take(self) -> None:
        """Take a turn; wait until one is free and all who came before have theirs."""
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                self._changed.wait_for(lambda: self._free and self._waiting[0] is me)
                self._free -= 1
            finally:  # also when the wait is interrupted
                self._waiting.remove(me)
                self._changed.notify_all()

    def take_if_free(self) -> bool:
        """Take a turn if one is free and nobody waits for it; return whether it was taken."""
        with self._changed:
            taken = self._free > 0 and not self._waiting
            self._free -= taken
            return taken

    def give_back(self) -> None:
        """Give a turn back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()
