"""The cold start of a model that cannot be loaded."""

from pathlib import Path

import pytest

from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.cold_start import measure_cold_start


def test_a_process_that_cannot_answer_is_an_error_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a fresh process cannot answer with it") as caught:
        measure_cold_start(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
