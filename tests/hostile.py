"""Hostile and broken input: what the package reads, as functions of bytes, and samples to break.

A target takes the bytes of a file or a request. It may refuse them with an error for users, which
is one line; any other exception is a fault. Property tests and the fuzzer share the targets.
"""

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from corpora import TEXT_FORMATS, TOKEN_FORMATS, draw_documents

from ner_mlflow.config.loading import PRESETS, load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.config.settings import SETTINGS, parse_assignments
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.inspection import inspect_corpus
from ner_mlflow.data.label_map import load_label_map
from ner_mlflow.data.rows import read_rows
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.errors import NerError
from ner_mlflow.paths import find_path
from ner_mlflow.prompting.answers import locate_mentions, parse_answer
from ner_mlflow.sweeping.space import SPACES, read_space
from ner_mlflow.weak.documents import read_documents
from ner_mlflow.weak.rules import load_rules
from ner_mlflow.weak.skipped import SkippedDocuments

MESSAGE_LIMIT = 20_000
"""Most characters of a message: none repeats a whole file."""
_TEXTS = """
{ } [ ] [[[[ " ' , : - ? # | > \\ \\u null true NaN Infinity -1 0 1e999 1.5 0x10 013 &a *a
!!python/object:os.system !!binary --- %YAML <script>alert(1)</script> $(id) `id` %s%n {0}
../../etc/passwd /etc/passwd C:\\ file:///etc/passwd ~root B- I- O B-B- -DOCSTART- B-../../x T1
"""
FRAGMENTS = (
    *(text.encode() for text in _TEXTS.split()),
    *(b"", b"\0", b"\r", b"\n", b"\n\n", b"\t", b"\t\t\t", b" ", b"- ", b"<<: ", b"# text = "),
    *("\ufeff\u2028\x85\x1b[2J\U0001f680\u202e".encode(), b"9" * 400, b"x" * 5000),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1f\x8b", b"PAR1", b"\xff\xfe"),
)
"""What is put into valid input."""


class FaultError(AssertionError):
    """A target did what it must not do."""


@dataclass(frozen=True)
class Target:
    """Something that reads input, and valid input for it."""

    read: Callable[[bytes], object]
    samples: tuple[bytes, ...]

    def check(self, content: bytes) -> bool:
        """Return whether the input is read; a refusal is one line for users.

        Raises:
            FaultError: the message is no line for users.
        """
        try:
            self.read(content)
        except NerError as error:
            message = str(error)
            if not message or "\n" in message or len(message) > MESSAGE_LIMIT:
                raise FaultError(f"no line for users: {message[:500]!r}") from error
            return False
        return True


@contextmanager
def _file(content: bytes, name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        (folder / name).write_bytes(content)
        yield folder / name
    finally:
        shutil.rmtree(folder)


def _corpus(name: str, source_format: str, content: bytes) -> None:
    config = DataConfig(source_format=source_format)
    with _file(content, name) as path:
        read_corpus(config.model_copy(update={"dataset": str(path)}))


def _inspection(name: str, content: bytes) -> None:
    with _file(content, name) as path:
        inspect_corpus(DataConfig(dataset=str(path)))


def _preset(content: bytes) -> None:
    with _file(content, "preset.yaml") as path:
        load_config(str(path))


def _label_map(content: bytes) -> None:
    with _file(content, "map.yaml") as path:
        load_label_map(str(path))


def _space(content: bytes) -> None:
    with _file(content, "space.yaml") as path:
        read_space(str(path), _config())


def _rules(content: bytes) -> None:
    with _file(content, "rules.yaml") as path:
        load_rules(str(path))


def _rows(content: bytes) -> None:
    with _file(content, "rows.jsonl") as path:
        for _ in read_rows(path, 3, "text"):
            pass


def _documents(content: bytes) -> None:
    with _file(content, "texts.jsonl") as path:
        for _ in read_documents(str(path), SkippedDocuments(Findings())):
            pass


def _answer(content: bytes) -> None:
    # An answer that is not as asked is counted, so that its error is no error for users.
    try:
        answer = parse_answer(content.decode("utf-8", "replace"))
    except ValueError:
        return
    locate_mentions(answer, ("Ubuntu", "22.04", "crashes"), ("OS", "VERSION"))


def _assignment(content: bytes) -> None:
    load_config(None, parse_assignments([content.decode("utf-8", "replace")]))


def _path(content: bytes) -> None:
    find_path(content.decode("utf-8", "surrogateescape"))


@cache
def _config() -> Any:
    return load_config("minilm_lora")


def _documents_of(encode: Callable[..., bytes], count: int = 6) -> tuple[bytes, ...]:
    draws = [random.Random(seed) for seed in range(count)]
    return tuple(encode(draw_documents(draw), draw) for draw in draws)


def _files(folder: Path, limit: int = 3000) -> tuple[bytes, ...]:
    contents = [path.read_bytes() for path in sorted(folder.glob("*.yaml"))]
    return tuple(content for content in contents if len(content) < limit)


def _lines(rows: Sequence[object]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


CORPORA = {
    f"corpus, {name}": Target(partial(_corpus, f"train.{suffix}", "auto"), _documents_of(encode))
    for name, (suffix, encode) in {**TOKEN_FORMATS, **TEXT_FORMATS}.items()
}
NAMED_CORPORA = {
    f"corpus as {name.partition(',')[0]}": Target(
        partial(_corpus, f"train.{suffix}", name.partition(",")[0]), _documents_of(encode)
    )
    for name, (suffix, encode) in {**TOKEN_FORMATS, **TEXT_FORMATS}.items()
}
ANSWER = json.dumps({"entities": [{"text": "Ubuntu", "type": "OS"}]}).encode()
SMALL_RULES = b"""gazetteers:
  systems: {type: OS, names: signals, case: exact, score: 0.9, witness: near}
witnesses:
  near: {words: [version, release], within: 3}
patterns:
  number: {type: VERSION, word: '\\d+(\\.\\d+)+', score: 0.8}
"""
SETTINGS_FILES = {
    "preset": Target(_preset, _files(PRESETS)),
    "label table": Target(_label_map, _files(PRESETS.parent / "label_maps")),
    "space": Target(_space, _files(SPACES)),
    "weak rules": Target(_rules, (SMALL_RULES,)),
    "assignment": Target(
        _assignment, tuple(f"{key}={one.default_text()}".encode() for key, one in SETTINGS.items())
    ),
}
OTHERS = {
    "rows": Target(_rows, (_lines([{"id": n, "text": "I use Ubuntu"} for n in range(5)]),)),
    "documents": Target(_documents, (_lines([{"text": "I use Ubuntu " * 9}] * 3),)),
    "answer": Target(_answer, (ANSWER, b"```json\n" + ANSWER + b"\n```", b"[]")),
    "inspection": Target(
        partial(_inspection, "train.conll"), _documents_of(TOKEN_FORMATS["conll"][1])
    ),
    "path": Target(_path, (b"a/b.conll", b"~/x", b"owner/name", b"-")),
}
TARGETS = {**CORPORA, **NAMED_CORPORA, **SETTINGS_FILES, **OTHERS}
"""Name -> target, of those that need no model."""


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**30, 1.5, float("nan"), float("inf"), "", "O", "B-OS", "\ud800"),
    *([], {}, [[]], [None], ["a"], {"a": 1}, [[0, 1, "OS"]], "<script>", "a" * 5000, [0] * 999),
)
"""What takes the place of a value of JSON."""
KINDS = ("put in", "replace", "double", "flip", "cut", "end", "value", "key")
"""Kinds of changes; the last two change JSON, line by line or as a whole."""
Change = tuple[str, int, int]
"""A kind of change, a place and a choice, both any number."""


def change(content: bytes, changes: Sequence[Change]) -> bytes:
    """Return content with changes: parts put in, replaced, doubled, flipped or cut."""
    changed = bytearray(content)
    for kind, place, choice in changes:
        start = place % (len(changed) + 1)
        end = min(len(changed), start + (1, 2, 8, 64)[choice % 4])
        fragment = FRAGMENTS[choice % len(FRAGMENTS)]
        if kind in ("value", "key"):
            changed = bytearray(_change_json(bytes(changed), kind, place, choice))
        elif kind == "put in":
            changed[start:start] = fragment
        elif kind == "replace":
            changed[start:end] = fragment
        elif kind == "double":
            changed[start:end] = changed[start:end] * 3
        elif kind == "flip" and start < len(changed):
            changed[start] ^= 1 << choice % 8
        elif kind == "cut":
            del changed[start:end]
        elif kind == "end":
            del changed[start:]
    return bytes(changed)


def _change_json(content: bytes, kind: str, place: int, choice: int) -> bytes:
    """Return JSON, or a line of JSON lines, with another value or key at a place."""
    parts = [content]
    try:
        value = json.loads(content)
        index = 0
    except (ValueError, RecursionError):
        parts = content.split(b"\n")
        index = place % len(parts)
        try:
            value = json.loads(parts[index])
        except (ValueError, RecursionError):
            return content
    places = list(_places(value))
    if not places:
        return content
    holder, key = places[place % len(places)]
    if kind == "value":
        holder[key] = VALUES[choice % len(VALUES)]
    elif isinstance(holder, dict):
        holder[FRAGMENTS[choice % len(FRAGMENTS)].decode("utf-8", "replace")] = holder.pop(key)
    else:
        del holder[key]
    parts[index] = json.dumps(value).encode()
    return b"\n".join(parts)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or dict within a value of JSON with each of its indices or keys."""
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(pairs):
            yield value, key
            if isinstance(inner, (dict, list)):
                yield from _places(inner)
