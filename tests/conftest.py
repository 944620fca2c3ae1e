"""What many tests share: a tiny backbone, a store of their own, and the commands as a user types them."""

import gc
import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from ner_mlflow.data.sample import generate_sample

if TYPE_CHECKING:
    from mlflow.entities import Run

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # two workers on two cores; more threads than cores wait for each other

ROOT = Path(__file__).parent.parent
LONGEST = (
    "test_mlproject",
    "test_sweep",
    "test_promote",
    "test_bad_input",
    "test_process_study",
    "test_resume",
    "test_prompt",
    "test_tracking_server",
)
"""Test files that take minutes, the longest first: they begin first, so that no worker is left alone with one."""
Completed = subprocess.CompletedProcess[str]
Command = Callable[..., Completed]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)
        )
    )


def pytest_collection_finish() -> None:
    gc.freeze()  # a sweep collects garbage after each trial: it need not look at every module that tests import, time and again


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT over the sample's words and their letters: learns the sample in seconds."""
    import torch  # here and not above: ten seconds that most tests need not wait for
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbones") / "tiny"
    words = sorted(
        {token.lower() for sentence in generate_sample(13)["train"] for token in sentence.tokens}
    )
    letters = sorted({letter for word in words for letter in word})
    vocabulary = dict.fromkeys(
        [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            *words,
            *letters,
            *(f"##{letter}" for letter in letters),
        ]
    )
    tokenizer = Tokenizer(
        models.WordPiece({word: id_ for id_, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_preset(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset for the tiny backbone, with few timed runs."""
    path = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    settings = {
        "model": {"backbone": str(tiny_backbone), "max_length": 64},
        "train": {
            "learning_rate": 3e-3,
            "epochs": 6,
            "batch_size": 16,
            "early_stopping_patience": 6,
        },
        "export": {"latency_runs": 8, "latency_warmup_runs": 1, "served": ["fp32"]},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def user_environment(store: str, **more: str) -> dict[str, str]:
    """The environment of a user with a tracking store of their own, and no run open."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {
        **kept,
        "MLFLOW_TRACKING_URI": store,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **more,
    }


def mlflow_run(
    store: str, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Completed:
    """``mlflow run ROOT ARGUMENTS --env-manager local``, as a user types it."""
    command = ["mlflow", "run", str(ROOT), "--env-manager", "local", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=user_environment(store, **(env or {})),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def entry_point(
    store: str, name: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Completed:
    """``python -m entrypoints.NAME ARGUMENTS``."""
    command = [sys.executable, "-m", f"entrypoints.{name}", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=user_environment(store, **(env or {})),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def runs(store: str, step: str) -> "list[Run]":
    """The runs of a step, the first begun first."""
    import mlflow  # here and not above: most tests need not wait for it

    mlflow.set_tracking_uri(store)
    found: list[Run] = mlflow.search_runs(
        ["0"],
        f"tags.`ner.step` = '{step}'",
        output_format="list",
        order_by=["attributes.start_time ASC"],
    )
    return found


def no_run_is_left_running(store: str) -> None:
    """Assert it."""
    import mlflow

    mlflow.set_tracking_uri(store)
    assert mlflow.search_runs(["0"], "attributes.status = 'RUNNING'", output_format="list") == []


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with create_server(("127.0.0.1", 0)) as socket:
        port: int = socket.getsockname()[1]
        return port


@contextmanager
def listening(
    command: Sequence[str], health: str, folder: Path, store: str, **more: str
) -> Iterator[str]:
    """Start a server with ``--port`` added, wait until its ``health`` page answers, give its address, and end it.

    What it prints goes to ``folder/log``.
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


BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty PostgreSQL database of its own."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed")
    binaries, port = BINARIES[-1].parent, free_port()
    # Not in pytest's folder: it closes that to other users whenever a run begins, and PostgreSQL refuses to run as root; its
    # package brings a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        subprocess.run(["chown", user, folder], check=True)
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, user=user, cwd=folder)

    try:
        run(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", user)
        run(
            str(binaries / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            f"-p {port} -k {folder}",
            "start",
        )
        yield f"postgresql://{user}@127.0.0.1:{port}/postgres"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
