"""A team's server, as deploy/ starts it: permissions, TLS, backup, restore, upgrade and gc."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from alembic import command
from alembic.script import ScriptDirectory
from conftest import ROOT, entry_point, free_port
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import create_engine
from team_server import SECRETS, TeamServer, dumped, page_command, process_lines, team_server

from deploy.collect_garbage import find_garbage
from deploy.common import connect

pytestmark = pytest.mark.slow

TEXTS = ["After the upgrade to Ubuntu 22.04 PostgreSQL 15.3 crashes.", "Outlook hangs.", ""]


class Upper(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model without weights."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamServer]:
    """A server that runs, with the users alice (maintainer), mia (member), rob (reader) and ned."""
    folder = tmp_path_factory.mktemp("server")
    with team_server(folder / "machine", folder / "backups") as machine:
        machine.start()
        yield machine


@pytest.fixture(scope="module")
def users(server: TeamServer) -> dict[str, tuple[str, str]]:
    """Name -> account of users with each role; ned has none any more."""
    accounts = {}
    for name, role in (("alice", "maintainer"), ("mia", "member"), ("rob", "reader")):
        words = page_command("deploy.users add")
        done = server.run(*(name if word == "alice" else word for word in words[:-1]), role)
        assert done.returncode == 0, done.stderr
        accounts[name] = (name, done.stdout.rpartition(": ")[2].strip())
    done = server.run("-m", "deploy.users", "add", "ned", "--role", "reader")
    accounts["ned"] = ("ned", done.stdout.rpartition(": ")[2].strip())
    return accounts


@contextmanager
def logged_in(server: TeamServer, account: tuple[str, str]) -> Iterator[MlflowClient]:
    """Use MLflow as a user of the server."""
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict(zip(names, account, strict=True)))
    mlflow.set_tracking_uri(server.address)
    try:
        yield MlflowClient()
    finally:
        mlflow.set_tracking_uri(None)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def log_model(client: MlflowClient, experiment: str, model: str = "", **tags: str) -> Any:
    """Log a run with a metric, a file and a model; register the model if it has a name."""
    with mlflow.start_run(experiment_id=experiment, tags=tags) as run:
        mlflow.log_metrics({"f1": 0.5}, step=1)
        mlflow.log_param("seed", 13)
        mlflow.log_text("an artifact", "note.txt")
        return run, mlflow.pyfunc.log_model(
            name="model",
            python_model=Upper(),
            registered_model_name=model or None,
            pip_requirements=[],
            params={"a": 1},
        )


def refused(action: Callable[[], object]) -> bool:
    """Return whether the server forbids an action, or says that it has nothing for the user."""
    try:
        answer = action()
    except (MlflowException, requests.HTTPError) as error:
        return "403" in str(error) or "Permission denied" in str(error)
    return answer is not None and len(answer) == 0  # type: ignore[arg-type]


def test_nobody_gets_in_without_a_login_or_under_another_host(server: TeamServer) -> None:
    pages = ["/", "/version", "/graphql", "/signup", "/metrics", "/v1/traces", "/api/2.0/mlflow/"]
    pages += ["/api/2.0/mlflow/experiments/search?max_results=1", "/get-artifact?path=a&run_id=b"]
    pages += ["/api/2.0/mlflow-artifacts/artifacts", "/ajax-api/2.0/mlflow/users/list"]
    for page in pages:
        assert requests.get(server.address + page, timeout=30).status_code in (401, 404), page
    assert requests.get(f"{server.address}/health", timeout=30).text == "OK"
    page = f"{server.address}/api/2.0/mlflow/experiments/search?max_results=1"
    for host, status in (("mlflow.example.org", 200), ("evil.example.org", 403)):
        answer = requests.get(page, auth=server.administrator, headers={"Host": host}, timeout=30)
        assert answer.status_code == status, host


def test_a_page_of_another_site_changes_nothing(server: TeamServer) -> None:
    page = f"{server.address}/api/2.0/mlflow/experiments/search"
    for origin, status in (("https://mlflow.example.org", 200), ("https://evil.example.org", 403)):
        answer = requests.post(
            page,
            auth=server.administrator,
            json={"max_results": 1},
            headers={"Host": "mlflow.example.org", "Origin": origin},
            timeout=30,
        )
        assert answer.status_code == status, origin


def test_users_without_a_role_read_nothing_and_register_nothing(
    server: TeamServer, users: dict[str, tuple[str, str]]
) -> None:
    with logged_in(server, users["alice"]) as client:
        experiment = client.create_experiment("of alice")
        run, model = log_model(client, experiment, "of-alice")
        client.set_registered_model_alias("of-alice", "champion", 1)
    run_id, source = run.info.run_id, f"models:/{model.model_id}"
    place = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    artifacts = f"{server.address}/api/2.0/mlflow-artifacts/artifacts"

    def reads(client: MlflowClient) -> dict[str, Callable[[], object]]:
        return {
            "experiment": lambda: dict(client.get_experiment(experiment)),
            "experiments": lambda: [
                found for found in client.search_experiments() if found.name == "of alice"
            ],
            "run": lambda: client.get_run(run_id).to_dictionary(),
            "runs": lambda: client.search_runs([experiment]),
            "history": lambda: client.get_metric_history(run_id, "f1"),
            "artifacts": lambda: client.list_artifacts(run_id),
            "artifact": lambda: mlflow.artifacts.load_text(f"runs:/{run_id}/note.txt"),
            "logged model": lambda: client.get_logged_model(model.model_id).to_dictionary(),
            "logged models": lambda: client.search_logged_models([experiment]),
            "registered model": lambda: dict(client.get_registered_model("of-alice")),
            "versions": lambda: client.search_model_versions("name = 'of-alice'"),
            "alias": lambda: dict(client.get_model_version_by_alias("of-alice", "champion")),
            "model": lambda: mlflow.pyfunc.load_model("models:/of-alice@champion").predict(["a"]),
        }

    def writes(client: MlflowClient) -> dict[str, Callable[[], object]]:
        return {
            "metric": lambda: client.log_metric(run_id, "f1", 1.0),
            "artifact": lambda: client.log_text(run_id, "x", "note.txt"),
            "version": lambda: dict(client.create_model_version("of-alice", source, run_id)),
            "alias": lambda: client.set_registered_model_alias("of-alice", "champion", 1),
            "version tag": lambda: client.set_model_version_tag("of-alice", "1", "a", "b"),
            "deleted run": lambda: client.delete_run(run_id),
            "deleted model": lambda: client.delete_registered_model("of-alice"),
        }

    def creates(client: MlflowClient, name: str) -> dict[str, Callable[[], object]]:
        return {
            "experiment": lambda: client.create_experiment(name),
            "registered model": lambda: dict(client.create_registered_model(name)),
        }

    with logged_in(server, users["rob"]) as client:
        assert [what for what, action in reads(client).items() if refused(action)] == []
        assert [what for what, act in writes(client).items() if not refused(act)] == []
        assert [what for what, act in creates(client, "rob").items() if not refused(act)] == []
    with logged_in(server, users["mia"]) as client:
        assert [what for what, act in writes(client).items() if not refused(act)] == []
        assert [what for what, act in creates(client, "mia").items() if refused(act)] == []

    def take_the_role_away() -> None:
        from deploy.users import AuthServiceClient

        with logged_in(server, server.administrator):
            store = AuthServiceClient(server.address)
            (role,) = (role for role in store.list_user_roles("ned") if role.name == "reader")
            store.unassign_role("ned", role.id)

    take_the_role_away()
    with logged_in(server, users["ned"]) as client:
        for actions in (reads(client), writes(client), creates(client, "ned")):
            assert [what for what, action in actions.items() if not refused(action)] == []
    for method, path in (
        ("GET", f"/{place}/note.txt"),
        ("PUT", f"/{place}/note.txt"),
        ("DELETE", f"/{place}/note.txt"),
        ("GET", f"?path={place}"),
        ("GET", ""),
        ("PUT", "/note.txt"),
        ("GET", "/workspaces/default/../default/" + place.split("/", 2)[2] + "/note.txt"),
    ):
        answer = requests.request(
            method, artifacts + path, auth=users["ned"], data=b"x", timeout=30
        )
        assert answer.status_code in (403, 404), (method, path, answer.status_code)
    query = (
        f'query {{ mlflowGetRun(input: {{runId: "{run_id}"}}) {{ run {{ info {{ runId }} }} }} }}'
    )
    answer = requests.post(
        f"{server.address}/graphql", auth=users["ned"], json={"query": query}, timeout=30
    )
    assert run_id not in answer.text
    assert requests.post(
        f"{server.address}/api/2.0/mlflow/users/create",
        auth=users["alice"],
        json={"username": "eve", "password": "a-long-password-of-eve"},
        timeout=30,
    ).status_code == 403  # fmt: skip
    with logged_in(server, users["alice"]) as client:
        assert [what for what, action in writes(client).items() if refused(action)] == []


def test_a_user_is_listed_gets_a_new_password_and_goes(server: TeamServer) -> None:
    def status(password: str) -> int:
        page = f"{server.address}/api/2.0/mlflow/users/current"
        return requests.get(page, auth=("eve", password), timeout=30).status_code

    added = server.run("-m", "deploy.users", "add", "eve", "--role", "member")
    first = added.stdout.rpartition(": ")[2].strip()
    assert status(first) == 200
    changed = server.run("-m", "deploy.users", "password", "eve")
    second = changed.stdout.rpartition(": ")[2].strip()
    assert (status(first), status(second)) == (401, 200)
    assert (
        "eve is a reader"
        in server.run("-m", "deploy.users", "role", "eve", "--role", "reader").stdout
    )
    lines = server.run(*page_command("deploy.users list")).stdout.splitlines()
    assert "eve: reader" in lines
    assert "admin: administrator" in lines
    assert server.run("-m", "deploy.users", "remove", "eve").returncode == 0
    assert status(second) == 401
    again = server.run("-m", "deploy.users", "remove", "eve")
    assert again.returncode == 1
    (line,) = again.stderr.splitlines()
    assert line.startswith("error: http://127.0.0.1:")


def test_no_secret_is_in_the_list_of_processes_or_in_the_log(server: TeamServer) -> None:
    shown = process_lines()
    assert "postgresql+psycopg:///mlflow" in shown  # the server is among them
    for secret in SECRETS.values():
        assert secret not in shown
        assert secret not in server.log()


def test_the_health_check_fails_if_the_server_is_away_or_its_database_is(
    server: TeamServer,
) -> None:
    away = {**server.env, "MLFLOW_PORT": str(free_port())}
    done = TeamServer(server.folder, away).run("-m", "deploy.check")
    assert done.returncode == 1
    assert "is not healthy: http://127.0.0.1:" in done.stderr
    end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mlflow'"
    with connect_as_superuser(server) as run:
        run("alter role mlflow nologin")
        run(end)
        try:
            assert "answers 503" in server.run("-m", "deploy.check").stderr
        finally:
            run("alter role mlflow login")
    assert server.run("-m", "deploy.check").returncode == 0


@contextmanager
def connect_as_superuser(server: TeamServer) -> Iterator[Callable[[str], object]]:
    """Connect as the owner of the cluster."""
    import psycopg

    user = "postgres" if os.geteuid() == 0 else None
    place = {"host": server.env["PGHOST"], "port": server.env["PGPORT"], "user": user}
    with psycopg.connect(dbname="postgres", autocommit=True, **place) as connection:
        yield lambda statement: connection.execute(statement.encode())


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_tls_in_front_of_the_server(server: TeamServer, tmp_path: Path) -> None:
    port = free_port()
    env = {
        **server.environment(),
        "TRACKING_HOST": f"localhost:{port}",
        "CADDY_HTTP_PORT": str(free_port()),
        "MLFLOW_UPSTREAM": f"127.0.0.1:{server.env['MLFLOW_PORT']}",
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with (tmp_path / "log").open("w") as log:
        proxy = subprocess.Popen(
            ["caddy", "run", "--config", ROOT / "deploy" / "Caddyfile"],
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        authority = tmp_path / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        for _ in range(600):
            if (
                authority.is_file()
                and "serving initial configuration" in (tmp_path / "log").read_text()
            ):
                break
            threading.Event().wait(0.2)
        page = f"https://localhost:{port}/health"
        answer = requests.get(page, verify=str(authority), timeout=30)
        assert (answer.status_code, answer.text) == (200, "OK")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        page = f"https://localhost:{port}/api/2.0/mlflow/experiments/search?max_results=1"
        # The server does not know this host, since it was started for another one.
        refused = requests.get(page, auth=server.administrator, verify=str(authority), timeout=30)
        assert refused.status_code == 403
    finally:
        proxy.terminate()
        proxy.wait(20)


def state(client: MlflowClient, folder: Path) -> dict[str, Any]:
    """Return all that a server holds: runs with histories and files, models, versions, aliases."""
    experiments = client.search_experiments(view_type=ViewType.ALL)
    found: dict[str, Any] = {"experiments": [dict(entry) for entry in experiments]}
    for run in client.search_runs([entry.experiment_id for entry in experiments]):
        histories = {
            key: [(point.step, point.value, point.timestamp) for point in
                  client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        }  # fmt: skip
        files = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, dst_path=str(folder / run.info.run_id)
        )
        content = {
            path.relative_to(files).as_posix(): path.read_bytes().hex()[:64]
            + f" {path.stat().st_size}"
            for path in Path(files).rglob("*")
            if path.is_file()
        }
        shown = run.to_dictionary()
        shown["inputs"]["dataset_inputs"].sort(key=dumped)  # the server gives them in any order
        found[run.info.run_id] = (shown, histories, content)
    for model in client.search_registered_models():
        found[model.name] = dict(model)
        for version in client.search_model_versions(f"name = '{model.name}'"):
            found[f"{model.name}/{version.version}"] = dict(version)
    return found


class Writer(threading.Thread):
    """A user who logs runs with a file each while something else happens."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        super().__init__(daemon=True)
        self.runs: list[str] = []
        self._client, self._experiment, self._end = client, experiment, threading.Event()

    def run(self) -> None:
        while not self._end.is_set():
            run = self._client.create_run(self._experiment)
            self._client.log_text(run.info.run_id, run.info.run_id, "own_id.txt")
            self._client.set_terminated(run.info.run_id)  # FINISHED: its file is there
            self.runs.append(run.info.run_id)

    def end(self) -> None:
        self._end.set()
        self.join()


def test_a_drill_from_main_to_a_restored_server_on_an_empty_machine(
    tiny_preset: Path, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    with team_server(tmp_path / "first", backups) as first:
        first.start()
        added = first.run(*page_command("deploy.users add"))
        alice = ("alice", added.stdout.rpartition(": ")[2].strip())
        done = entry_point(
            first.address,
            "main",
            "--presets",
            str(tiny_preset),
            "--epochs",
            "2",  # after one, the tiny model finds nothing, so it would not become the champion
            env={
                "MLFLOW_EXPERIMENT_NAME": "drill",
                "MLFLOW_TRACKING_USERNAME": alice[0],
                "MLFLOW_TRACKING_PASSWORD": alice[1],
            },
        )
        assert done.returncode == 0, done.stderr
        assert alice[1] not in done.stdout + done.stderr
        with logged_in(first, alice) as client:
            before = state(client, tmp_path / "before")
            answers = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(TEXTS)
            assert len(before) > 6
            made = first.run(*page_command("deploy.backup"))
            assert made.returncode == 0, made.stderr
            contents = set((backups / "contents").glob("??/*"))
            writer = Writer(client, client.create_experiment("meanwhile"))
            writer.start()
            while len(writer.runs) < 3:
                threading.Event().wait(0.1)
            again = first.run(*page_command("deploy.backup"))
            writer.end()
            assert again.returncode == 0, again.stderr
            assert contents < set((backups / "contents").glob("??/*"))
    # The machine is gone: its cluster, its object store, its server. The backups are left.
    with team_server(tmp_path / "second", backups) as second:
        assert second.object_keys() == set()
        restored = second.run(*page_command("deploy.restore"))
        assert restored.returncode == 0, restored.stderr
        twice = second.run(*page_command("deploy.restore"))
        assert twice.returncode == 1
        assert re.search(r"error: database mlflow\w* has \d+ tables: give empty ones", twice.stderr)
        second.start()
        refused = second.run(*page_command("deploy.restore"), "--replace")
        assert "other connections: stop the server first" in refused.stderr
        with logged_in(second, alice) as client:  # with the password of before
            loaded = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(TEXTS)
            assert loaded == answers
            meanwhile = client.get_experiment_by_name("meanwhile")
            assert meanwhile is not None
            runs = client.search_runs([meanwhile.experiment_id])
            finished = [run.info.run_id for run in runs if run.info.status == "FINISHED"]
            assert len(finished) >= 3
            for run_id in finished:  # no run of the backup lacks its file
                assert mlflow.artifacts.load_text(f"runs:/{run_id}/own_id.txt") == run_id
            after = state(client, tmp_path / "after")
            assert dumped(
                {key: after.get(key) for key in before if key != "experiments"}
            ) == dumped({key: value for key, value in before.items() if key != "experiments"})
            assert [entry for entry in after["experiments"] if entry["name"] != "meanwhile"] == (
                before["experiments"]
            )
            new = client.create_experiment("after the restore")
            assert int(new) > int(meanwhile.experiment_id)
        damage = next((backups / "contents").glob("??/*"))
        damage.write_bytes(b"rot")
        second.stop()
        rotten = second.run(*page_command("deploy.restore"), "--replace")
        assert f"error: {damage} differs from its SHA-256" in rotten.stderr


def empty_the_bin(server: TeamServer) -> None:
    """Delete for good what other tests deleted."""
    done = server.run("-m", "deploy.collect_garbage", "--older-than", "0s")
    assert done.returncode == 0, done.stderr


def test_gc_deletes_what_was_deleted_and_keeps_what_versions_need(server: TeamServer) -> None:
    empty_the_bin(server)
    with logged_in(server, server.administrator) as client:
        experiment = client.create_experiment("garbage")
        data, _ = log_model(client, experiment)
        train, _ = log_model(client, experiment, data_run=data.info.run_id)
        champion, served = log_model(client, experiment, "kept", train_run=train.info.run_id)
        client.set_registered_model_alias("kept", "champion", 1)
        plain, plain_model = log_model(client, experiment)
        whole = client.create_experiment("whole experiment")
        other, other_model = log_model(client, whole)
        client.delete_logged_model(other_model.model_id)
        bin_, bin_model = log_model(client, whole)
        for run in (data, train, champion, plain):
            client.delete_run(run.info.run_id)
        for model in (served, plain_model):
            client.delete_logged_model(model.model_id)
        client.delete_experiment(bin_.info.experiment_id)
        before = server.object_keys()
        young = server.run("-m", "deploy.collect_garbage", "--older-than", "1d")
        assert "deleted 0 runs, 0 models and 0 experiments for good" in young.stdout, young.stderr
        assert server.object_keys() == before
        words = page_command("deploy.collect_garbage")
        words[-1] = "0s"
        looked = server.run(*words, "--dry-run")
        assert "would delete 3 runs, 3 models and 1 experiments" in looked.stdout, looked.stderr
        assert server.object_keys() == before
        done = server.run(*words)
        assert done.returncode == 0, done.stderr
        assert "deleted 3 runs, 3 models and 1 experiments for good" in done.stdout
        assert f"{train.info.run_id} stays: version kept/1 needs it" in done.stdout
        gone = (plain.info.run_id, bin_.info.run_id, other.info.run_id)
        gone += (plain_model.model_id, bin_model.model_id, other_model.model_id)
        left = server.object_keys()
        assert [key for key in left if any(name in key for name in gone)] == []
        kept = (data.info.run_id, train.info.run_id, champion.info.run_id, served.model_id)
        assert {key for key in before if any(name in key for name in kept)} <= left
        for run_id in kept[:3]:
            client.restore_run(run_id)
            assert client.get_run(run_id).data.metrics == {"f1": 0.5}
        assert mlflow.pyfunc.load_model("models:/kept@champion").predict(["a"]) == ["A"]
        with pytest.raises(MlflowException, match="not found"):
            client.get_run(plain.info.run_id)
        assert client.get_experiment_by_name("whole experiment") is None
        again = server.run(*words)
        assert "deleted 0 runs, 0 models and 0 experiments for good" in again.stdout


def test_gc_refuses_an_experiment_in_the_bin_that_a_version_needs(server: TeamServer) -> None:
    empty_the_bin(server)
    with logged_in(server, server.administrator) as client:
        experiment = client.create_experiment("needed")
        run, model = log_model(client, experiment, "needed")
        client.delete_experiment(experiment)
        before = server.object_keys()
        done = server.run("-m", "deploy.collect_garbage", "--older-than", "0s")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert re.fullmatch(
            r"error: experiment needed is deleted, but version needed/1 needs its "
            rf"({run.info.run_id}|{model.model_id}): mlflow experiments restore "
            rf"--experiment-id {experiment}, or delete the version; nothing was deleted",
            line,
        )
        assert server.object_keys() == before
        client.delete_model_version("needed", "1")
        done = server.run("-m", "deploy.collect_garbage", "--older-than", "0s")
        assert "1 experiments for good" in done.stdout, done.stderr
        assert [
            key for key in server.object_keys() if run.info.run_id in key or model.model_id in key
        ] == []


def test_two_jobs_at_once_are_refused(server: TeamServer) -> None:
    import fcntl

    lock = Path(server.env["BACKUP_FOLDER"]) / ".lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for module in ("deploy.backup", "deploy.upgrade", "deploy.collect_garbage"):
            done = server.run("-m", module)
            assert done.returncode == 1
            assert "a backup, restore, upgrade or garbage collection runs: wait" in done.stderr


def old_databases(machine: TeamServer) -> str:
    """Fill both databases as an earlier MLflow did, with a run, and return the revision."""
    query = f"host=127.0.0.1&port={machine.env['PGPORT']}&user=mlflow"
    engine = create_engine(f"postgresql+psycopg:///mlflow?{query}")
    InitialBase.metadata.create_all(engine)
    config = _get_alembic_config("postgresql+psycopg:///mlflow")
    revision = list(ScriptDirectory.from_config(config).walk_revisions())[10].revision
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    machine.query(
        "mlflow",
        "insert into experiments (experiment_id, name, lifecycle_stage, artifact_location)"
        " values (7, 'old', 'active', 'mlflow-artifacts:/7');"
        "insert into runs (run_uuid, name, status, lifecycle_stage, artifact_uri, experiment_id,"
        f" start_time, user_id, source_type) values ('{'a' * 32}', 'old run', 'FINISHED', 'active',"
        f" 'mlflow-artifacts:/7/{'a' * 32}/artifacts', 7, 1, 'alice', 'LOCAL');"
        "insert into params (run_uuid, key, value)"
        f" values ('{'a' * 32}', 'seed', '13')",
    )
    url = f"postgresql+psycopg:///mlflow_auth?{query}"
    done = machine.run(
        "-m", "mlflow.server.auth", "db", "upgrade", "--url", url, "--revision", "c3d4e5f6a7b8"
    )
    assert done.returncode == 0, done.stderr
    return str(revision)


def test_an_upgrade_of_old_databases_and_the_way_back(tmp_path: Path) -> None:
    with team_server(tmp_path / "machine", tmp_path / "backups") as machine:
        old = old_databases(machine)

        def revisions() -> tuple[object, object]:
            return (
                machine.query("mlflow", "select version_num from alembic_version")[0][0],
                machine.query("mlflow_auth", "select version_num from alembic_version_auth")[0][0],
            )

        def tables() -> list[tuple[object, ...]]:
            query = (
                "select table_name, column_name, data_type from information_schema.columns"
                " where table_schema = 'public' union all select routine_name, '', '' from"
                " information_schema.routines where routine_schema = 'public' order by 1, 2"
            )
            return machine.query("mlflow", query) + machine.query("mlflow_auth", query)

        assert revisions() == (old, "c3d4e5f6a7b8")
        as_before = tables()
        # A migration that fails half-way: a later one makes this table.
        machine.query("mlflow", "create table sql_trace_metric_daily_rollups (taken integer)")
        done = machine.run(*page_command("deploy.upgrade"))
        assert done.returncode == 1, done.stdout
        assert "both databases are as they were before" in done.stderr
        machine.query("mlflow", "drop table sql_trace_metric_daily_rollups")
        assert revisions() == (old, "c3d4e5f6a7b8")
        assert tables() == as_before
        done = machine.run(*page_command("deploy.upgrade"))
        assert done.returncode == 0, done.stderr
        assert revisions()[0] != old
        assert revisions()[1] != "c3d4e5f6a7b8"
        machine.start()
        with logged_in(machine, machine.administrator) as client:
            assert client.get_run("a" * 32).data.params == {"seed": "13"}
        machine.stop()
        way_back = done.stdout.rpartition("the way back: python ")[2].split()
        done = machine.run(*way_back)
        assert done.returncode == 0, done.stderr
        assert revisions() == (old, "c3d4e5f6a7b8")
        assert tables() == as_before
        assert machine.query("mlflow", "select value from params") == [("13",)]


def test_garbage_is_found_in_one_look_at_the_database(
    server: TeamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER"):
        monkeypatch.setenv(name, server.env[name])
    with connect("mlflow") as connection:
        assert find_garbage(connection, 365 * 86400).runs == []
