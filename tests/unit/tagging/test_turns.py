"""Turns bound what threads do at once; they are given in the order of asking."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ner_mlflow.tagging.turns import Turns


def test_no_more_threads_than_turns_work_at_once() -> None:
    turns, lock = Turns(3), threading.Lock()
    working, most = 0, 0

    def work(_: int) -> None:
        nonlocal working, most
        turns.take()
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.002)
        with lock:
            working -= 1
        turns.give_back()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(60)))
    assert most == 3


def test_turns_are_given_in_the_order_of_asking() -> None:
    turns, served = Turns(1), []
    turns.take()

    def work(number: int) -> None:
        turns.take()
        served.append(number)
        turns.give_back()

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)  # it waits before the next one asks
    turns.give_back()
    for thread in threads:
        thread.join(timeout=10)
    assert served == list(range(8))


def test_nobody_overtakes_a_thread_that_waits() -> None:
    turns = Turns(1)
    assert turns.take_if_free()
    assert not turns.take_if_free()
    waiting = threading.Thread(target=turns.take)
    waiting.start()
    time.sleep(0.05)
    turns.give_back()
    assert not turns.take_if_free()
    waiting.join(timeout=10)
    turns.give_back()
    assert turns.take_if_free()
