"""Broken and hostile input is read or refused in one line: no traceback, no hang, little memory."""

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc.scoring_server as scoring_server
import pytest
from backbones import export_untrained
from hostile import KINDS, TARGETS, Change, FaultError, Target, change
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, PythonModelContext

from ner_mlflow.errors import ModelError, NerError
from ner_mlflow.modeling.loading import open_tagger
from ner_mlflow.tagging.pyfunc import ServedModel, check_requests
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger

SLOWEST_S = 5
"""The longest that one input may take, in seconds of CPU; most take a millisecond."""
MOST_MEMORY_KB = 300_000
"""The most that the process may grow over all inputs of a kind."""
MANY = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}
WEIGHED = (*KINDS, *(("value",) * 6))
CHANGES = st.lists(
    st.tuples(st.sampled_from(WEIGHED), st.integers(0, 100_000), st.integers(0, 10_000)),
    min_size=1,
    max_size=4,
)
"""Changes of valid input; half of them put another value into JSON."""


PATCHED = ("infer_and_parse_data", "invocations", "predictions_to_json", "_decode_json_input")
"""The functions of MLflow's server that the served model replaces."""


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY_KB


def soon(target: Target, content: bytes) -> None:
    started = time.process_time()
    target.check(content)
    assert time.process_time() - started < SLOWEST_S


@pytest.mark.parametrize("name", TARGETS)
def test_changed_input_is_read_or_refused_in_one_line(name: str) -> None:
    target = TARGETS[name]
    assert any(target.check(sample) for sample in target.samples)

    @settings(max_examples=250, **MANY)  # type: ignore[arg-type]
    @given(st.sampled_from(target.samples), CHANGES)
    def check(sample: bytes, changes: list[Change]) -> None:
        soon(target, change(sample, changes))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused_in_one_line(name: str) -> None:
    @settings(max_examples=60, **MANY)  # type: ignore[arg-type]
    @given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
    def check(content: bytes) -> None:
        soon(TARGETS[name], content)

    check()


def test_a_quoted_control_character_neither_breaks_a_line_nor_steers_a_terminal() -> None:
    error = NerError("a\nb\x1b[2J\x9b\u2028c")
    assert str(error) == r"a\nb\x1b[2J\x9b\u2028c"


@pytest.fixture(scope="module")
def exported(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_untrained(tiny_backbone, tmp_path_factory.mktemp("exported"), 48)


@pytest.fixture
def invoke(exported: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The function of MLflow's server that answers a request, with the served model."""
    for name in PATCHED:
        monkeypatch.setattr(scoring_server, name, getattr(scoring_server, name))
    check_requests(scoring_server)
    context = PythonModelContext({"model": str(exported)}, {"threads": 1})
    served = ServedModel()
    served.load_context(context)

    class Implementation:
        def predict(self, data: Any, params: Any = None) -> Any:
            return served.predict(context, data, params)

    model = PyFuncModel(Model(), Implementation())

    def answer(body: bytes, kind: str | None) -> int:
        try:
            return int(scoring_server.invocations(body, kind, model, None).status)
        except MlflowException as error:
            message, status = error.message, error.get_http_status_code()
        if "\n" in message or len(message) > 600 or not 400 <= status < 500:
            raise FaultError(f"{status}: {message[:500]!r}")
        return int(status)

    return answer


REQUESTS = tuple(
    json.dumps(request).encode()
    for request in (
        {"inputs": ["I use Ubuntu"]},
        {"instances": [{"text": "I use Ubuntu", "id": 3}]},
        {"dataframe_records": [{"text": "a"}]},
        {"dataframe_split": {"columns": ["id", "text"], "data": [[3, "a"]]}},
        {"inputs": {"text": ["a", "b"]}, "params": {"as_json": True}},
    )
)


def test_every_request_is_answered_with_200_or_a_line_and_a_status_of_the_400s(
    invoke: Callable[..., Any],
) -> None:
    answered = set()
    kinds = st.sampled_from(
        ("application/json",) * 8 + ("text/csv", "", None, "a;b", "a;charset=x")
    )

    @settings(max_examples=1500, **MANY)  # type: ignore[arg-type]
    @given(st.sampled_from(REQUESTS), CHANGES, kinds)
    def check(request: bytes, changes: list[Change], kind: str | None) -> None:
        started = time.process_time()
        answered.add(invoke(change(request, changes), kind))
        assert time.process_time() - started < SLOWEST_S

    check()
    assert answered == {200, 400, 415}
    odd = {"columns": [[], "text"], "data": [[3, "a"]]}
    assert invoke(json.dumps({"dataframe_split": odd}).encode(), "application/json") == 400


@pytest.mark.parametrize("name", ["ner_model.json", "tokenizer.json", "model.onnx"])
def test_a_changed_model_is_loaded_or_refused_in_one_line(
    name: str, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    content = (exported / name).read_bytes()
    refused = []

    @settings(max_examples=150 if name == "ner_model.json" else 25, **MANY)  # type: ignore[arg-type]
    @given(CHANGES)
    def check(changes: list[Change]) -> None:
        (folder / name).write_bytes(change(content, changes))

        def load(_: bytes) -> None:
            load_tagger(folder, 1)

        refused.append(not Target(load, ()).check(b""))

    check()
    assert any(refused)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_changed_checkpoint_is_loaded_or_refused_in_one_line(
    name: str, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported.parent / "torch", folder)
    content = (folder / name).read_bytes()

    @settings(max_examples=25, **MANY)  # type: ignore[arg-type]
    @given(CHANGES)
    def check(changes: list[Change]) -> None:
        (folder / name).write_bytes(change(content, changes))

        def load(_: bytes) -> None:
            open_tagger(folder, 256)

        Target(load, ()).check(b"")

    check()


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "training_args.bin", "python_model.PKL", "modeling_evil.py"]
)
@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_a_model_with_a_pickle_or_code_of_its_own_is_refused_by_name(
    kind: str, name: str, exported: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported.parent / kind, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"cos\nsystem\n(S'touch /tmp/ran'\ntR.")
    with pytest.raises(ModelError, match=f"{name}: may hold a pickle or code, which is never run"):
        open_tagger(tmp_path / "model", 256)


def test_weights_outside_the_folder_of_a_model_are_not_read(exported: Path, tmp_path: Path) -> None:
    import onnx
    from onnx.external_data_helper import set_external_data

    shutil.copytree(exported, tmp_path / "model")
    (tmp_path / "secret").write_bytes(b"s" * 100_000)
    path = tmp_path / "model" / "model.onnx"
    graph = onnx.load(path)
    tensor = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(tensor.raw_data)
    set_external_data(tensor, "../secret", 0, size)
    tensor.ClearField("raw_data")
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"model.onnx cannot be loaded"):
        EntityRecognizer(load_tagger(tmp_path / "model", 1))
