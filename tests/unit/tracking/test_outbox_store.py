"""What is logged through an outbox is read at once, and is in the store once, whatever happens."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import mlflow
import pytest
from clocks import set_clock_back
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking import remote
from ner_mlflow.tracking.delivery import deliver_left
from ner_mlflow.tracking.lifecycle import open_child, open_run
from ner_mlflow.tracking.outbox import (
    CLIENT_ID_TAG,
    Kind,
    Outbox,
    new_local_id,
    note_open,
    outbox_folder,
)
from ner_mlflow.tracking.outbox_store import current_store
from ner_mlflow.tracking.queries import finished_runs
from ner_mlflow.tracking.remote import StoreAwayError
from ner_mlflow.tracking.steps import Step


@pytest.fixture
def store(
    make_store: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr("ner_mlflow.tracking.outbox_store.DELIVERY_LIMIT_S", 1.0)
    return make_store(tmp_path)


def stored_runs(store: str) -> list[Run]:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    return list(SqlAlchemyStore(store, "mlruns").search_runs(["0"], "", 3))


def outboxes() -> list[Path]:
    return list(outbox_folder().glob("*/outbox.sqlite"))


def break_store(monkeypatch: pytest.MonkeyPatch, *methods: str, after: bool = False) -> None:
    """Have methods of the store fail as if the connection broke, before or after they act."""
    current = current_store()
    assert current
    real = current.remote.store
    for name in methods:
        method = getattr(real, name)

        def broken(*args: object, method: Callable[..., object] = method, **kw: object) -> object:
            if after:
                method(*args, **kw)
            raise ConnectionError("the connection broke")

        monkeypatch.setattr(real, name, broken)


def test_what_is_logged_is_read_at_once_and_is_in_the_store_at_the_end(store: str) -> None:
    with open_run(Step.TRAIN, "train") as run:
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_metrics({"loss": 0.25}, step=2)
        run.set_tags({"preset": "tiny"})
        run.log_text("notes.md", f"made in run {run.id}")
        read = mlflow.get_run(run.id)
        assert read.data.metrics == {"loss": 0.25}
        assert read.data.tags["ner.preset"] == "tiny"
        history = mlflow.MlflowClient().get_metric_history(run.id, "loss")
        assert [metric.value for metric in history] == [0.5, 0.25]
        mlflow.MlflowClient().log_param(run.id, "epochs", "1")
        with pytest.raises(MlflowException, match="Changing param values is not allowed"):
            mlflow.MlflowClient().log_param(run.id, "epochs", "2")
    assert outboxes() == []
    (stored,) = stored_runs(store)
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics == {"loss": 0.25}
    assert mlflow.artifacts.load_text(f"runs:/{run.id}/notes.md") == f"made in run {run.id}"


@pytest.mark.parametrize("after", [False, True])
def test_a_run_whose_making_fails_is_made_once(
    store: str, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    with open_run(Step.MAIN, "main"):
        pass
    with monkeypatch.context() as patch:
        break_store(patch, "create_run", after=after)
        with open_run(Step.TRAIN, "train") as run:
            run.log_text("page.html", f"<a href='#/runs/{run.id}'>{run.id}</a>")
            with open_child(run, Step.EVALUATE, "evaluate") as child:
                child.set_tags({"train_run": run.id})
        if not after:  # otherwise the run is found as soon as it is asked for
            assert len(outboxes()) == 1
            assert [found.id for found in finished_runs(Step.TRAIN, "0")] == [run.id]
    current = current_store()
    assert current
    assert current.has_everything(10)
    made = {entry.data.tags["ner.step"]: entry for entry in stored_runs(store)}
    assert len(stored_runs(store)) == 3
    train_id = made["train"].info.run_id
    assert made["evaluate"].data.tags["ner.train_run"] == train_id
    assert made["evaluate"].data.tags["mlflow.parentRunId"] == train_id
    assert made["train"].data.tags[CLIENT_ID_TAG] == run.id
    page = mlflow.artifacts.load_text(f"runs:/{train_id}/page.html")
    assert page == f"<a href='#/runs/{train_id}'>{train_id}</a>"
    assert mlflow.get_run(run.id).info.status == "FINISHED"  # its local id still finds it


def test_runs_end_while_the_store_was_never_reached(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = current_store()
    assert current

    def refuse() -> None:
        raise OperationalError("connect", {}, ConnectionError("refused"))

    with monkeypatch.context() as patch:
        patch.setattr(remote, "ANSWER_LIMIT_S", 0.5)
        patch.setattr(current.remote, "_store", None)
        patch.setattr(current.remote, "_build", refuse)
        with open_run(Step.MAIN, "main") as run, open_child(run, Step.TRAIN, "train"):
            pass
    assert current.has_everything(10)
    statuses = {run.data.tags["ner.step"]: run.info.status for run in stored_runs(store)}
    assert statuses == {"main": "FINISHED", "train": "FINISHED"}


def test_a_run_that_the_store_makes_too_late_is_made_once(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(Step.MAIN, "main"):
        pass
    current = current_store()
    assert current
    create_run = current.remote.store.create_run

    def create_late(*args: object, **kwargs: object) -> Run:
        time.sleep(1.5)
        return create_run(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(remote, "ANSWER_LIMIT_S", 0.2)
        patch.setattr(current.remote.store, "create_run", create_late)
        with open_run(Step.TRAIN, "train"):
            pass
    assert current.has_everything(10)
    runs = stored_runs(store)
    assert sorted(run.data.tags["ner.step"] for run in runs) == ["main", "train"]
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.parametrize("after", [False, True])
def test_metrics_inputs_and_outputs_whose_answers_are_lost_are_logged_once(
    store: str, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    methods = ("log_batch", "log_inputs", "log_outputs", "update_run_info")
    with open_run(Step.TRAIN, "train") as run:
        with monkeypatch.context() as patch:
            break_store(patch, *methods, after=after)
            for step in range(5):
                run.log_metrics({"loss": 1 / (step + 1)}, step)
            mlflow.log_input(mlflow.data.from_numpy(__import__("numpy").zeros(2)), "training")
            run.log_text("a.txt", "a")
        run.log_metrics({"loss": 0.1}, 5)
    (stored,) = stored_runs(store)
    history = mlflow.MlflowClient().get_metric_history(run.id, "loss")
    assert [metric.step for metric in history] == [0, 1, 2, 3, 4, 5]
    assert len(stored.inputs.dataset_inputs) == 1
    assert stored.info.status == "FINISHED"


def test_a_run_ends_in_the_store_only_after_its_files_are_there(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = "mlflow.store.artifact.local_artifact_repo.LocalArtifactRepository.log_artifact"
    with open_run(Step.TRAIN, "train") as run:
        run.log_text("before.txt", "before")
        with monkeypatch.context() as patch:
            current = current_store()
            assert current
            assert current.has_everything(10)
            (current.session.outbox.artifact_folder(run.id) / "after.txt").write_text("after")
            patch.setattr(target, full)
            current.update_run_info(run.id, 3, 1, None)
            assert not current.has_everything(1)
            assert stored_runs(store)[0].info.status == "RUNNING"
        assert current.has_everything(10)
    assert stored_runs(store)[0].info.status == "FINISHED"
    assert mlflow.artifacts.load_text(f"runs:/{run.id}/after.txt") == "after"


def test_what_the_store_refuses_is_an_error_before_any_work(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("you may not write", 7)

    current = current_store()
    assert current
    with monkeypatch.context() as patch:
        patch.setattr(current.remote.store, "log_batch", refuse)
        with (
            pytest.raises(TrackingError, match=r"refused the entries of .*you may not write"),
            open_run(Step.TRAIN, "train"),
        ):
            pytest.fail("work began")
    assert len(outboxes()) == 1  # what was refused is kept, and stops nothing that comes later
    with open_run(Step.DATA, "data"):
        pass
    assert {run.info.status for run in stored_runs(store)} == {"FAILED", "FINISHED"}
    assert outboxes() == []


def test_reads_fail_at_once_while_the_store_is_known_to_be_away(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(Step.TRAIN, "train"):
        current = current_store()
        assert current
        break_store(monkeypatch, "get_run")
        current.remote.note_away(ConnectionError("gone"))
        with pytest.raises(StoreAwayError, match="does not answer"):
            current.get_run("f" * 32)


def test_metrics_of_one_run_are_sent_together(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(Step.TRAIN, "train") as run:
        current = current_store()
        assert current
        assert current.has_everything(10)
        real, sent, logged = current.remote.store.log_batch, [], Event()

        def count(run_id: str, metrics: list[Metric], params: object, tags: object) -> None:
            logged.wait()  # else a slow machine sends many small batches meanwhile
            sent.append(len(metrics))
            real(run_id, metrics=metrics, params=params, tags=tags)

        monkeypatch.setattr(current.remote.store, "log_batch", count)
        current.remote.store.log_batch = count
        with monkeypatch.context() as patch:
            patch.setattr(current.session.deliverer, "wake", lambda: None)
            for step in range(1500):
                run.log_metrics({"loss": 1.0}, step)
        logged.set()
    assert sum(sent) == 1500
    assert max(sent) <= 1000
    assert len(sent) < 100


def test_a_clock_that_is_set_back_during_a_run_loses_no_file_and_no_order(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    with open_run(Step.MAIN, "main") as run:
        run.log_metrics({"loss": 0.5}, step=1)
        run.log_metrics({"f1": 0.25})
        with monkeypatch.context() as patch:
            break_store(patch, "log_batch")
            run.log_text("before.txt", "before")
            set_clock_back(monkeypatch)
            run.log_text("after.txt", "after")
        run.log_metrics({"loss": 0.25}, step=2)
        run.log_metrics({"f1": 0.75})
        with open_child(run, Step.TRAIN, "train"):
            pass
    assert outboxes() == []
    train, main = sorted(stored_runs(store), key=lambda run: run.info.start_time, reverse=True)
    assert train.data.tags["mlflow.parentRunId"] == main.info.run_id
    for stored in (train, main):
        assert stored.info.status == "FINISHED"
        assert stored.info.start_time <= stored.info.end_time
    assert train.info.end_time <= main.info.end_time
    assert main.data.metrics == {"loss": 0.25, "f1": 0.75}
    history = client.get_metric_history(run.id, "loss")
    assert [metric.step for metric in sorted(history, key=lambda metric: metric.timestamp)] == [
        1,
        2,
    ]
    for name in ("before", "after"):
        assert mlflow.artifacts.load_text(f"runs:/{run.id}/{name}.txt") == name


def test_outboxes_that_are_left_are_delivered_whatever_their_order(store: str) -> None:
    # The clock was set back between the two: the one that makes the run looks younger.
    with open_run(Step.MAIN, "main"):
        pass
    current = current_store()
    assert current
    run_id = new_local_id()
    note_open(run_id)
    parts: list[tuple[Kind, dict[str, object]]] = [
        (Kind.LOGGED, {"metrics": [], "params": {}, "tags": {"ner.note": "later"}}),
        (
            Kind.RUN,
            {
                "experiment_id": "0",
                "user_id": "me",
                "start_time": 1,
                "tags": {},
                "run_name": "left",
            },
        ),
    ]
    for kind, payload in parts:
        outbox = Outbox.create(current.remote.key)
        outbox.add(kind, run_id, payload)
        outbox.close()
        time.sleep(0.02)
    assert deliver_left(current.remote) == 0
    assert outboxes() == []
    (left,) = (run for run in stored_runs(store) if run.info.run_name == "left")
    assert left.data.tags["ner.note"] == "later"
