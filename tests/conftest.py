"""Fixtures and helpers of all tests: a tiny backbone, servers, and commands as a user runs them."""

import gc
import getpass
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import TYPE_CHECKING

import pytest
from backbones import export_untrained, save_tiny_bert
from forks import run_forked

from ner_mlflow.data.sample import generate_sample

if TYPE_CHECKING:
    from mlflow.entities import Run

# Two workers share two cores; more threads than cores would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
gc.disable()  # until the test files and their libraries are imported

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
LONGEST = (
    "e2e/test_mlproject.py",
    "e2e/test_sweep.py",
    "e2e/test_bad_input.py",
    "e2e/test_promote.py",
    "e2e/test_kills.py",
    "e2e/test_registration.py",
    "e2e/test_full_disks.py",
    "e2e/test_tracking_server.py",
    "e2e/test_resume.py",
    "e2e/test_parallel_training.py",
    "e2e/test_prompt.py",
    "e2e/test_generality.py",
    "e2e/test_running_text.py",
    "e2e/test_shared_study.py",
    "e2e/test_architectures.py",
    "e2e/test_api.py",
    "e2e/test_trials.py",
)
"""Test files that take long, the longest first.

They start first, so that the workers end at about the same time.
"""
Completed = subprocess.CompletedProcess[str]
Command = Callable[..., Completed]
StoreMaker = Callable[[Path], str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        name = item.path.relative_to(TESTS).as_posix()
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    # A sweep collects garbage after each trial; imported modules need not be searched each time.
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def clean_environment() -> Iterator[None]:
    """Undo what a test file changed: variables, the main module, outboxes left, MLflow's store."""
    before = dict(os.environ)
    main_module = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main_module  # Streamlit's AppTest puts a page in its place
    if undelivered := sys.modules.get("ner_mlflow.tracking.undelivered"):
        undelivered.left_folders.clear()  # commands would end with the status that tells of them
    if "mlflow" in sys.modules:
        import mlflow

        mlflow.set_tracking_uri(None)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT for the sample's words and letters; it fits the sample in seconds."""
    folder = tmp_path_factory.mktemp("backbones") / "tiny"
    words = sorted(
        {token.lower() for sentence in generate_sample(13)["train"] for token in sentence.tokens}
    )
    letters = sorted({letter for word in words for letter in word})
    save_tiny_bert(folder, [*words, *letters, *(f"##{letter}" for letter in letters)])
    return folder


@pytest.fixture(scope="session")
def tiny_export(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained model exported to fp32; a test that changes it makes a copy."""
    return export_untrained(tiny_backbone, tmp_path_factory.mktemp("model"), 48, ("OS", "SOFTWARE"))


@pytest.fixture(scope="session")
def tiny_preset(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset file for the tiny backbone, with few timed runs and no variant but fp32."""
    path = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    settings = {
        "model": {"backbone": str(tiny_backbone), "max_length": 64},
        "train": {
            "learning_rate": 3e-3,
            "epochs": 6,
            "batch_size": 16,
            "early_stopping_patience": 6,
        },
        "export": {
            "latency_runs": 8,
            "latency_warmup_runs": 1,
            "variants": ["fp32"],
            "served": ["fp32"],
        },
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> StoreMaker:
    """A function that puts an empty store into a folder and makes it MLflow's store.

    It returns the store's address. MLflow takes seconds to create the tables of a database, so the
    stores are copies of one.
    """
    import mlflow

    original = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{original}")
    mlflow.search_experiments()

    def make(folder: Path) -> str:
        shutil.copy(original, folder / "mlflow.db")
        with sqlite3.connect(folder / "mlflow.db") as database:
            database.execute(
                "update experiments set artifact_location = ?", [(folder / "mlruns" / "0").as_uri()]
            )
        address = f"sqlite:///{folder / 'mlflow.db'}"
        mlflow.set_tracking_uri(address)
        return address

    return make


def user_environment(store: str, **more: str) -> dict[str, str]:
    """Return the environment of a user with an own tracking store and no open run."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
    }
    return {
        **inherited,
        "MLFLOW_TRACKING_URI": store,
        # One experiment, whether `mlflow run` opens the run or the command does.
        **({} if "MLFLOW_EXPERIMENT_NAME" in more else {"MLFLOW_EXPERIMENT_ID": "0"}),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **more,
    }


def mlflow_run(
    store: str, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Completed:
    """Run ``mlflow run ROOT ARGUMENTS --env-manager local``.

    MLflow starts a fresh interpreter for the entry point.
    """
    return run_forked(
        "mlflow",
        ["run", str(ROOT), "--env-manager", "local", *arguments],
        cwd=cwd,
        env=user_environment(store, **(env or {})),
        timeout_s=600,
    )


def entry_point(
    store: str,
    name: str,
    *arguments: str,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run ``python -m entrypoints.NAME ARGUMENTS``, where it can be in a fork."""
    environment = user_environment(store, **(env or {}))
    if any(variable.startswith("HF_") for variable in env or {}):  # read when it is imported
        command = [sys.executable, "-m", f"entrypoints.{name}", *arguments]
        return subprocess.run(
            command,
            cwd=cwd,
            env={**environment, "PYTHONPATH": str(ROOT)},  # the step's files are found from any cwd
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    return run_forked(f"entrypoints.{name}", arguments, cwd=cwd, env=environment, timeout_s=600)


def runs(store: str, step: str) -> "list[Run]":
    """Return the runs of a step in the order of their start."""
    import mlflow  # takes seconds to import, and many tests need none

    mlflow.set_tracking_uri(store)
    step_runs: list[Run] = mlflow.search_runs(
        ["0"],
        f"tags.`ner.step` = '{step}'",
        output_format="list",
        order_by=["attributes.start_time ASC"],
    )
    return step_runs


def assert_no_run_is_running(store: str) -> None:
    """Check that no run of a store has the status RUNNING."""
    import mlflow

    mlflow.set_tracking_uri(store)
    assert mlflow.search_runs(["0"], "attributes.status = 'RUNNING'", output_format="list") == []


def free_port() -> int:
    """Return a free port of this machine."""
    with create_server(("127.0.0.1", 0)) as socket:
        port: int = socket.getsockname()[1]
        return port


@contextmanager
def run_server(
    command: Sequence[str], health: str, folder: Path, store: str, **more: str
) -> Iterator[str]:
    """Start a server, wait until it answers, yield its address, and end it.

    Args:
        command: the command, without ``--port``.
        health: the path of a page that answers when the server is ready.
        folder: the working directory; the output goes to its file ``log``.
        store: the tracking store.
        more: further environment variables.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=user_environment(store, **more),
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}{health}", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


QUICK_SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Variables of an `mlflow server` that starts without its job queue, which takes seconds."""


def server_command(store: str, folder: Path, workers: int = 1) -> list[str]:
    """Return the command of an `mlflow server`, without ``--port``.

    Args:
        store: the address of its database.
        folder: the folder in which the server keeps artifacts, in ``artifacts``.
        workers: its processes.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store),
        *("--artifacts-destination", str(folder / "artifacts"), "--workers", str(workers)),
    ]


@contextmanager
def run_tracking_server(store: str, folder: Path, workers: int = 1) -> Iterator[str]:
    """Start an `mlflow server`, yield its address, and end it.

    The arguments are those of :func:`server_command`; the server runs in ``folder``.
    """
    command = server_command(store, folder, workers)
    with run_server(command, "/health", folder, store, **QUICK_SERVER) as address:
        yield address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an `mlflow server` on a new SQLite file."""
    with run_tracking_server(f"sqlite:///{tmp_path / 'server.db'}", tmp_path) as address:
        yield address


BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass(frozen=True)
class PostgreSQL:
    """A PostgreSQL server of the tests.

    Attributes:
        folder: its data, socket and log.
        port: the port on which it listens.
        user: the system user as whom it runs, and its superuser.
    """

    folder: Path
    port: int
    user: str

    @property
    def url(self) -> str:
        """The URL of its database ``postgres``."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Make the files of a new, empty database."""
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", self.user)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -k {self.folder}"
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End the server at once, as a crash would."""
        self._control("-m", "immediate", "stop")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(BINARIES[-1].parent / program), *arguments],
            check=True,
            capture_output=True,
            timeout=60,
            user=self.user,
            cwd=self.folder,
        )


@contextmanager
def run_postgresql() -> Iterator[PostgreSQL]:
    """Start a PostgreSQL server with a new, empty database, yield it, and end it."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed")
    # PostgreSQL refuses to run as root, so it runs as the user of its package, which cannot read
    # pytest's temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        subprocess.run(["chown", user, folder], check=True)
    database = PostgreSQL(folder, free_port(), user)
    try:
        database.create()
        database.start()
        try:
            yield database
        finally:
            database.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_server() -> Iterator[PostgreSQL]:
    """A PostgreSQL server with a new, empty database."""
    with run_postgresql() as database:
        yield database


@pytest.fixture
def postgresql(postgresql_server: PostgreSQL) -> str:
    """The URL of a new, empty PostgreSQL database."""
    return postgresql_server.url
