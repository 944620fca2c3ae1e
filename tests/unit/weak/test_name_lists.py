"""Lists of names come from files, from the interpreter and from packages."""

import errno
import os
from pathlib import Path

import pytest

from ner_mlflow.errors import ConfigError
from ner_mlflow.weak.name_lists import PROVIDERS, read_names


@pytest.mark.parametrize(
    ("source", "some", "none"),
    [
        ("python_exceptions", ["TypeError", "KeyboardInterrupt"], ["print"]),
        ("errno", ["ENOENT", "ECONNREFUSED"], []),
        ("signals", ["SIGSEGV"], []),
        ("http_errors", ["Bad Gateway", "Not Found"], ["Gone", "OK"]),
        ("pygments_languages", ["Haskell", "Kotlin"], ["HTML+PHP", "Python console session"]),
        ("trove_frameworks", ["Django", "Scrapy"], ["1.4"]),
        ("trove_posix_systems", ["FreeBSD", "AIX"], ["POSIX"]),
    ],
)
def test_lists_of_packages_hold_names(source: str, some: list[str], none: list[str]) -> None:
    names = read_names(source, Path())
    assert set(some) <= set(names)
    assert not set(none) & set(names)


def test_each_list_has_names_without_blanks_at_their_ends() -> None:
    for source in PROVIDERS:
        names = read_names(source, Path())
        assert names == [name.strip() for name in names if name]


def test_a_file_holds_one_name_a_line_and_comments(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\ufeff# ours\nC#\n\n  Visual Studio \n", encoding="utf-8")
    assert read_names("names.txt", tmp_path) == ["C#", "Visual Studio"]


def test_a_comment_may_be_indented_but_not_stand_behind_a_name(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("C#\n\t# ours\nError #1009\n", encoding="utf-8")
    assert read_names("names.txt", tmp_path) == ["C#", "Error #1009"]
    file.write_text("C#\nJava # a language\n", encoding="utf-8")
    with pytest.raises(
        ConfigError,
        match=r"names\.txt:2: 'Java # a language' is read as one name: write the comment on a line",
    ):
        read_names("names.txt", tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("Größe\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"names\.txt is not in UTF-8: save it as UTF-8"):
        read_names("names.txt", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_of_a_windows_editor_is_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "names.txt").write_bytes("Java\nGo\n".encode(encoding))
    with pytest.raises(ConfigError, match=r"names\.txt is not in UTF-8: save it as UTF-8"):
        read_names("names.txt", tmp_path)


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "names.txt").write_text("Java\n", encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(
        ConfigError, match=r"names\.txt cannot be read \(Permission denied\): make it readable"
    ):
        read_names("names.txt", tmp_path)
