"""Pending results: computed once, read any number of times, in any order and from any thread."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.pending import Pending


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), max_size=20))
def test_results_are_read_in_any_order_and_again_and_each_is_computed_once(
    reads: list[int],
) -> None:
    computed: list[int] = []

    def compute(index: int) -> list[int]:
        computed.append(index)
        return [index]

    pending = [Pending(lambda index=index: compute(index)) for index in range(5)]
    results = [pending[index].result() for index in reads]
    assert results == [[index] for index in reads]
    assert sorted(computed) == sorted(set(reads))
    assert all(
        result is pending[index].result() for index, result in zip(reads, results, strict=True)
    )


def test_an_error_is_raised_at_every_reading_and_nothing_is_computed_again() -> None:
    worker: Future[int] = Future()
    worker.set_exception(MemoryError("no room"))
    pending = Pending(worker.result)
    for _ in range(3):
        with pytest.raises(MemoryError, match="no room") as caught:
            pending.result()
        assert caught.value is worker.exception()


def test_a_result_of_none_is_a_result() -> None:
    computed = []
    pending = Pending(lambda: computed.append(1))
    assert pending.result() is None
    assert pending.result() is None
    assert computed == [1]


def test_an_interrupted_reading_can_be_repeated() -> None:
    interruptions = iter([KeyboardInterrupt()])

    def compute() -> str:
        for interruption in interruptions:
            raise interruption
        return "done"

    pending = Pending(compute)
    with pytest.raises(KeyboardInterrupt):
        pending.result()
    assert pending.result() == "done"


def test_threads_that_read_at_the_same_time_share_one_result() -> None:
    pending = Pending(object)
    with ThreadPoolExecutor(8) as executor:
        results = list(executor.map(lambda _: pending.result(), range(64)))
    assert all(result is results[0] for result in results)
