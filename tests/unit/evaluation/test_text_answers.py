"""Answers to texts are stored with an evaluation and read back as they were."""

from pathlib import Path

import pandas as pd
import pytest

from ner_mlflow.evaluation.text_answers import TextAnswer, answer_frame, answers_of_frame
from ner_mlflow.tagging.iob2 import Entity

REDIS, UBUNTU = Entity(4, 9, "SW"), Entity(13, 19, "OS")
FULL = TextAnswer("d", "Use Redis on Ubuntu 😀", (REDIS, UBUNTU), (REDIS,), (0.75,))
EMPTY = TextAnswer("a:1", "Nothing here", (), (), ())


@pytest.mark.parametrize("answers", [[FULL, EMPTY], [EMPTY], []])
def test_stored_answers_are_read_back(answers: list[TextAnswer], tmp_path: Path) -> None:
    answer_frame(answers).to_parquet(tmp_path / "texts.parquet", index=False)
    assert answers_of_frame(pd.read_parquet(tmp_path / "texts.parquet")) == answers


def test_a_stored_answer_shows_its_entities_as_objects() -> None:
    (row,) = answer_frame([FULL]).to_dict("records")
    assert row["gold"][1] == {"start": 13, "end": 19, "type": "OS"}
    assert row["predicted"] == [{"start": 4, "end": 9, "type": "SW", "score": 0.75}]
