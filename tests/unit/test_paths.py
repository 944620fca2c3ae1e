"""Paths that may not exist, and the cache folder."""

from pathlib import Path

import pytest

from ner_mlflow.paths import CACHE_VARIABLE, cache_folder, find_path


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
