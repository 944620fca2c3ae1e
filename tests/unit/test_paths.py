"""Atomic writes, and paths that may not exist."""

from pathlib import Path

import pytest

from ner_mlflow.paths import CACHE_VARIABLE, atomic_file, atomic_folder, cache_folder, find_path


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


def test_a_path_that_cannot_exist_is_not_found(tmp_path: Path) -> None:
    assert find_path(str(tmp_path)) == tmp_path
    assert find_path(str(tmp_path / "none")) is None
    assert find_path("a\0b") is None
    assert find_path("x" * 10_000) is None


def test_a_tilde_is_the_users_folder_unless_a_file_is_named_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_path("~/corpus") == tmp_path / "corpus"
    assert find_path("~nobody-of-this-name") is None
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "corpus").mkdir()
    assert find_path("~/corpus") == Path("~/corpus")


def test_the_cache_is_where_the_environment_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ner_mlflow"
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
