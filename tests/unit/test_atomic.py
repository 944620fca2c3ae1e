"""Files and folders appear whole, and what killed processes left is removed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ner_mlflow.atomic import atomic_file, atomic_folder, remove_dead_scratch, scratch_folder
from ner_mlflow.paths import CACHE_VARIABLE

KILLED = """
import os, sys
from pathlib import Path
from ner_mlflow import atomic
with getattr(atomic, sys.argv[1])(*map(Path, sys.argv[2:])) as part:
    (part / "half.txt" if part.is_dir() else part).write_text("half")
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))


def write_and_be_killed(function: str, *paths: Path) -> None:
    command = [sys.executable, "-c", KILLED, function, *map(str, paths)]
    assert subprocess.run(command, check=False).returncode == -9


def write_and_fail(path: Path) -> None:
    path.write_text("partial", encoding="utf-8")
    raise RuntimeError("interrupted")


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with atomic_file(target) as part:
        part.write_text("complete", encoding="utf-8")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "complete"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_previous_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("previous", encoding="utf-8")
    with pytest.raises(RuntimeError, match="interrupted"), atomic_file(target) as part:
        write_and_fail(part)
    assert target.read_text(encoding="utf-8") == "previous"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    with atomic_folder(target) as part:
        (part / "file.txt").write_text("complete", encoding="utf-8")
        assert not target.exists()
    assert (target / "file.txt").read_text(encoding="utf-8") == "complete"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(RuntimeError, match="interrupted"), atomic_folder(folder) as part:
        write_and_fail(part / "file.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.txt").write_text("previous", encoding="utf-8")
    with pytest.raises(OSError, match="folder"), atomic_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder" / "file.txt").exists()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["answers.jsonl.gz", "[odd] *.jsonl", "no_suffix"])
def test_a_file_that_a_killed_process_left_is_removed_by_the_next_writer(
    name: str, tmp_path: Path
) -> None:
    target, other = tmp_path / name, tmp_path / f".other.{name}.1.part"
    other.touch()
    write_and_be_killed("atomic_file", target)
    (left,) = set(tmp_path.iterdir()) - {other}
    assert left.read_text() == "half"
    with atomic_file(target) as part:
        part.write_text("whole")
        write_and_be_killed("atomic_file", target)
        assert part.exists()  # the part of a process that lives stays
    with atomic_file(target) as part:
        part.write_text("newer")
    assert target.read_text() == "newer"
    assert set(tmp_path.iterdir()) == {target, other}


def test_a_folder_that_a_killed_process_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    write_and_be_killed("atomic_folder", target)
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_folder(target) as part:
        (part / "whole.txt").touch()
    assert list(tmp_path.iterdir()) == [target]
    assert [path.name for path in target.iterdir()] == ["whole.txt"]


def test_only_temporary_folders_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    write_and_be_killed("scratch_folder")
    (tmp_path / "of another program").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "ner_mlflow-link").symlink_to(target)
    assert len(list(tmp_path.glob("*/half.txt"))) == 1
    with scratch_folder() as folder:
        (folder / "file").touch()
        remove_dead_scratch()
        assert (folder / "file").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ner_mlflow-link",
        "of another program",
        "target",
    ]
    assert list(target.iterdir()) == []
