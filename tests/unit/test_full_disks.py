"""The folder behind an error is named, whichever library met it."""

import errno
from pathlib import Path

import pytest

from ner_mlflow.full_disks import folder_error
from ner_mlflow.paths import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir("/")
    return tmp_path / "cache"


def caused(cause: Exception) -> Exception:
    """Return an error that a library raised because of another one."""
    try:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError("saving failed") from error
    except RuntimeError as error:
        return error


def test_the_file_of_an_error_is_named_with_the_setting_of_the_folder_around_it(
    cache: Path,
) -> None:
    file = cache / "training" / "model.safetensors"
    error = folder_error(caused(OSError(errno.ENOSPC, "No space left on device", str(file))))
    assert str(error) == (
        f"{file} is full ([Errno 28] No space left on device: '{file}'): free space there, or set "
        "NER_MLFLOW_CACHE to another folder"
    )


def test_a_folder_of_artifacts_has_another_way_out(tmp_path: Path) -> None:
    file = tmp_path / "artifacts" / "0" / "page.html"
    problem = PermissionError(errno.EACCES, "Permission denied", str(file))
    error = folder_error(problem, (tmp_path / "artifacts").as_uri())
    assert str(error).startswith(f"{file} cannot be written ([Errno 13] Permission denied")
    assert str(error).endswith(
        "make it writable, or create the experiment with another artifact location"
    )


def test_errors_in_words_are_recognized_and_others_are_not() -> None:
    full = folder_error(RuntimeError("Error while serializing: No space left on device (os 28)"))
    assert " is full (Error while serializing" in str(full)
    assert folder_error(RuntimeError("shapes differ")) is None
    assert folder_error(FileNotFoundError(errno.ENOENT, "No such file", "corpus")) is None
