"""Hold a result that other threads may still compute."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Pending(Generic[Value]):
    """A future whose last step runs in the first thread that reads the result.

    Unlike :class:`concurrent.futures.Future`, it needs no thread of its own.
    """

    def __init__(self, finish: Callable[[], Value]) -> None:
        """``finish`` waits for the work of other threads and turns it into the result."""
        self._lock = Lock()
        self._finish: Callable[[], Value] | None = finish
        self._value: list[Value] = []
        self._error: Exception | None = None

    def result(self) -> Value:
        """Return the result, the same object each time; safe to call from any thread.

        Raises:
            Exception: the error that the computation raised, the same object each time.
        """
        with self._lock:
            if self._finish is not None:
                try:
                    self._value.append(self._finish())
                except Exception as error:
                    self._error = error
                self._finish = None  # releases the inputs
        if self._error is not None:
            raise self._error
        return self._value[0]
