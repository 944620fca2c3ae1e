"""Teachers are found by their addresses."""

import pytest
from pipelines import Finished

from ner_mlflow.errors import ModelError
from ner_mlflow.workflows.distillation import find_teachers


def test_teachers_are_found_in_the_given_order(finished: Finished) -> None:
    addresses = (finished.result.export.model_uri, finished.result.train.run_id)
    config = finished.config.distill.model_copy(update={"teachers": addresses})
    teachers = find_teachers(config)
    assert [teacher.is_onnx for teacher in teachers] == [True, False]
    assert teachers[1].address == finished.result.train.model_uri


def test_a_teacher_that_does_not_exist_is_named(finished: Finished) -> None:
    config = finished.config.distill.model_copy(update={"teachers": ("nowhere",)})
    with pytest.raises(ModelError, match="model 'nowhere' is neither a folder that exists"):
        find_teachers(config)
