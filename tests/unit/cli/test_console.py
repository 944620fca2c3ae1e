"""One console script: steps are found by name and imported when they are called."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ner_mlflow.cli.command import command
from ner_mlflow.cli.console import STEPS, main
from ner_mlflow.cli.options import GivenSettings, setting
from ner_mlflow.errors import ConfigError

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the console script and print the modules that it has imported at its end."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('MODULES', *sys.modules))\n"
        "from ner_mlflow.cli.console import main\n"
        f"sys.argv = {['ner-mlflow', *arguments]!r}\n"
        "main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def modules(output: str) -> set[str]:
    return set(output.partition("MODULES ")[2].split())


def test_the_help_lists_every_step_and_imports_none() -> None:
    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert all(f"  {step} " in done.stdout for step in STEPS)
    assert not {"torch", "transformers", "mlflow", "pandas", "optuna"} & modules(done.stdout)


def test_the_help_of_a_step_explains_its_options() -> None:
    done = run("data", "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: ner-mlflow data [OPTIONS]" in done.stdout
    assert "[drop|keep]" in done.stdout
    assert "data.cross_split_duplicates" in done.stdout
    assert "ner_mlflow.cli.data" in modules(done.stdout)


def test_inspect_imports_no_pytorch_no_transformers_and_no_mlflow() -> None:
    done = run("inspect", "--dataset", "sample")
    assert done.returncode == 0, done.stderr
    assert "950 sentences" in done.stdout
    heavy = {"torch", "transformers", "mlflow", "matplotlib", "optuna", "datasets"}
    assert not heavy & modules(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["dta"], "error: No such command 'dta'. (see: ner-mlflow --help)\n", 2),
        (["data", "--sed", "3"], "(see: ner-mlflow data --help)\n", 2),
        (["data", "--data.sed", "3"], "no setting 'data.sed': did you mean data.seed?\n", 1),
        (["data", "--seed"], "(see: ner-mlflow data --help)\n", 2),
    ],
)
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str], message: str, status: int
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    error = capsys.readouterr().err
    assert ended.value.code == status
    assert error.startswith("error: ")
    assert error.endswith(message)
    assert error.count("\n") == 1


def test_a_command_gets_the_settings_of_its_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    received: list[GivenSettings] = []

    @command("probe")
    @setting("epochs", "train.epochs")
    def probe(given: GivenSettings) -> None:
        received.append(given)

    with pytest.raises(SystemExit) as ended:
        probe(["--epochs", "7", "--train.weight_decay", "-0", "--distill.teachers=[a b, c]"])
    assert ended.value.code == 0
    config = received[0].resolve("minilm_full")
    assert (config.train.epochs, config.train.weight_decay) == (7, 0)
    assert config.distill.teachers == ("a b", "c")
    assert received[0].text("train.epochs") == "7"
    assert received[0].text("train.seed") == ""


def test_an_error_of_the_configuration_ends_the_command_with_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @command("probe")
    def probe(given: GivenSettings) -> None:
        given.resolve("minilm_full")
        raise ConfigError("unreachable")

    with pytest.raises(SystemExit) as ended:
        probe(["--train.epochs", "three"])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: train.epochs: input should be a valid integer")
    assert error.count("\n") == 1
