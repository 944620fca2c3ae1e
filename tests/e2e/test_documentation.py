"""The commands of the documentation run as they stand there, from the top of a page to its end."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import ROOT, user_environment
from documentation import RUN_IN_ORDER, SERVERS, Block, blocks, blocks_to_run

pytestmark = pytest.mark.slow

TIMEOUT_S = 3600
"""Time limit of a page."""
AFTER_MAIN = [page for page, test in RUN_IN_ORDER.items() if "runs_after_main" in test]
SHELL = """
# The console script, where the package is not installed.
type ner-mlflow > /dev/null 2>&1 || ner-mlflow() {
    python -c 'from ner_mlflow.cli.console import main; main()' "$@"
}
wait_for_port() {
    for _ in $(seq 1200); do
        if (: > "/dev/tcp/127.0.0.1/$1") 2> /dev/null; then return 0; fi
        sleep 0.5
    done
    echo "nothing listens on port $1" >&2
    return 1
}
"""


@dataclass(frozen=True)
class Result:
    """What a block of a page printed on standard output."""

    block: Block
    output: str


def clone(folder: Path) -> Path:
    """Copy the files of the repository, as a fresh clone has them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a user who chose no store and no experiment."""
    variables = user_environment("", **more)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        variables.pop(name, None)
    return variables


def run_page(page: str, folder: Path, env: dict[str, str]) -> list[Result]:
    """Run the blocks of a page in one shell, in a folder; servers run until its end.

    Raises:
        AssertionError: a command failed, or a port of the page is taken.
    """
    parts = blocks_to_run(page)
    for port in re.findall(r"--port (\d+)", "\n".join(block.text for block in parts)):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))), f"port {port} is taken"
    logs = folder / ".page"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    script = SHELL + "".join(
        f"echo '+ line {block.line}' >&2\n{{\n{_code(block, logs)}\n}} > {logs}/{number}\n"
        for number, block in enumerate(parts)
    )
    with (logs / "errors").open("w") as errors:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=env,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
        try:
            status = process.wait(TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its servers too
    text = (logs / "errors").read_text(encoding="utf-8", errors="replace")
    assert status == 0, f"{page}\n{text[-6000:]}"
    return [
        Result(block, (logs / str(number)).read_text(encoding="utf-8"))
        for number, block in enumerate(parts)
    ]


def _code(block: Block, logs: Path) -> str:
    if block.language == "python":
        return f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON"
    lines = []
    for command in block.commands:
        if command.startswith(SERVERS):
            port = re.search(r"--port (\d+)", command)
            assert port, f"{block.page}:{block.line}: a server without --port"
            lines.append(f"{command} > {logs}/server_{port[1]} 2>&1 &\nwait_for_port {port[1]}")
        else:
            lines.append(command)
    return "\n".join(lines)


def outputs(results: list[Result], part: str) -> list[str]:
    """Return the outputs of the blocks that hold a text."""
    return [result.output for result in results if part in result.block.text]


def assert_shown(results: list[Result], page: str) -> None:
    """Check that what a page shows below a command is what the command printed; ... is a gap."""
    by_line = {result.block.line: result.output for result in results}
    above = ""
    for block in blocks(ROOT / page):
        above = by_line.get(block.line, above)
        if block.language == "text":
            for line in filter(None, block.text.splitlines()):
                for part in line.split("..."):
                    assert part.strip() in above, f"{page}: {line}"


def answers(output: str) -> list[Any]:
    """Return the JSON values that several curl lines printed one after the other."""
    values, decoder, rest = [], json.JSONDecoder(), output.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        values.append(value)
        rest = rest[end:].lstrip()
    return values


def test_the_readme_from_a_fresh_clone(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    results = run_page("README.md", folder, environment())
    (first, *_) = outputs(results, "--experiment-name sample")
    assert "It is registered as models:/it-ner/1 and is the champion" in first
    assert "open next: mlflow ui" in first
    (inspected,) = outputs(results, "-e inspect")
    assert "-P dataset=docs/tutorial/tickets.json -P label_map=keep" in inspected
    (tagged,) = outputs(results, "-e predict")
    assert "40 texts in " in tagged
    rows = (folder / "tagged.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(len(json.loads(row)["entities"]) for row in rows) > 40


def test_the_tutorial_from_an_export_to_a_served_champion(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    results = run_page("docs/tutorial.md", folder, environment(PYTHONPATH=str(folder)))
    assert_shown(results, "docs/tutorial.md")
    (answer,) = answers(outputs(results, "curl")[0])
    assert {("Outlook", "APPLICATION", 0, 7), ("ThinkPad T14", "DEVICE", 31, 43)} <= {
        (found["text"], found["label"], found["start"], found["end"])
        for found in answer["predictions"][0]
    }
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    runs = mlflow.search_runs(
        experiment_names=["tickets"],
        filter_string="tags.`ner.step` = 'evaluate'",
        order_by=["attributes.start_time ASC"],
        output_format="list",
    )
    assert runs[0].data.metrics["test/f1"] > 0.9
    corrected = json.loads((folder / "to_correct.json").read_text(encoding="utf-8"))
    assert len(corrected) == 40


@pytest.fixture(scope="module")
def after_main(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the main job has run, with a tiny model as the champion."""
    folder = clone(tmp_path_factory.mktemp("reader") / "clone")
    done = subprocess.run(
        ["mlflow", "run", ".", "--env-manager", "local", "-P", f"presets={tiny_preset}"],
        cwd=folder,
        env=environment(PYTHONPATH=str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.copy(folder / "mlflow.db", folder / "after_main.db")
    return folder


def reset(folder: Path) -> None:
    """Forget what another page did: its runs, and the files that it wrote."""
    shutil.copy(folder / "after_main.db", folder / "mlflow.db")
    (folder / "tagged.jsonl").unlink(missing_ok=True)


def test_the_answers_of_the_served_model_are_those_of_the_page(after_main: Path) -> None:
    reset(after_main)
    results = run_page("docs/serving.md", after_main, environment(PYTHONPATH=str(after_main)))
    bare, tables, refused, alive = (
        result.output for result in results if "curl" in result.block.text
    )
    (answer,) = answers(bare)
    text = "After the upgrade to Ubuntu 22.04 PostgreSQL 15.3 crashes."
    assert answer["predictions"][0]
    for found in answer["predictions"][0]:
        assert found.keys() == {"text", "label", "start", "end", "score"}
        assert text[found["start"] : found["end"]] == found["text"]
    records, split = answers(tables)
    assert records == split
    (error,) = answers(refused)
    assert error["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "row 1: None is not text: send strings only" in error["message"]
    assert alive.split() == ["200", mlflow.__version__]


@pytest.mark.parametrize("page", AFTER_MAIN)
def test_a_page_runs_after_main(page: str, after_main: Path) -> None:
    reset(after_main)
    run_page(page, after_main, environment(PYTHONPATH=str(after_main)))
