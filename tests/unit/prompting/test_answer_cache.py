"""A language model is asked the same question once."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ner_mlflow.errors import DataError
from ner_mlflow.prompting.answer_cache import AnswerCache
from ner_mlflow.prompting.client import CallError, Completion, Message

QUESTION = [{"role": "user", "content": "Where is Debian?"}]


class Endpoint:
    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self, messages: Sequence[Message]) -> Completion:
        self.calls += 1
        if self.calls <= self._failures:
            raise CallError("no answer")
        return Completion(f"answer {self.calls} to {messages[-1]['content']}", 7, 3, 0.5)


def test_an_answer_is_kept_for_later_processes(tmp_path: Path) -> None:
    endpoint = Endpoint()
    first = AnswerCache(endpoint, tmp_path / "answers.db", "model a")(QUESTION)
    again = AnswerCache(endpoint, tmp_path / "answers.db", "model a")(QUESTION)
    assert again == first == Completion("answer 1 to Where is Debian?", 7, 3, 0.5)
    assert endpoint.calls == 1


def test_other_questions_and_other_settings_are_asked(tmp_path: Path) -> None:
    endpoint = Endpoint()
    AnswerCache(endpoint, tmp_path / "answers.db", "model a")(QUESTION)
    AnswerCache(endpoint, tmp_path / "answers.db", "model b")(QUESTION)
    AnswerCache(endpoint, tmp_path / "answers.db", "model a")([*QUESTION, *QUESTION])
    assert endpoint.calls == 3


def test_a_failed_call_is_made_again(tmp_path: Path) -> None:
    endpoint = Endpoint(failures=1)
    ask = AnswerCache(endpoint, tmp_path / "answers.db", "model a")
    with pytest.raises(CallError):
        ask(QUESTION)
    assert ask(QUESTION).text.startswith("answer 2")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "answers.db"
    AnswerCache(Endpoint(), file, "model a")(QUESTION)
    file.write_bytes(b"no database" * 900)
    with pytest.raises(DataError, match=rf"answers in {file} cannot be kept \(file is not a dat"):
        AnswerCache(Endpoint(), file, "model a")
