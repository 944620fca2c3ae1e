"""Stream documents without labels from files, folders and the hub.

A document is a text file, a row with a text, or one event of an issue, such as a comment. Nothing
that is wrong with a document stops the stream: a :class:`Notice` takes its place, with a kind of
``findings.yaml`` that begins with ``weak_``. A broken file costs what stands behind its break, but
a stream of the hub that breaks is an error, since the next one may go further. Memory is bounded by
the longest document that is read and, for Parquet, by a row group.
"""

import json
import os
import re
import reprlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import count, islice
from operator import ne
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard, cast

import yaml

from ..data.files import open_parquet, read_blocks, read_parquet_batches, suffix_of
from ..data.hub import explain_hub_error, is_hub_id
from ..data.sentences import TRAIN
from ..data.split_files import corpus_paths
from ..data.split_names import listed
from ..data.texts import TEXT_FIELDS
from ..errors import DataError
from ..redaction import one_line, shorten
from ..tagging.words import encodable
from .skipped import Notice, SkippedDocuments, beginning

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import IterableDataset

SETTING, SAMPLE_SETTING = "weak_source", "weak_sample"
LONGEST_BYTES = 8_388_608
"""Of a line of JSONL and of a text; a comment on GitHub has at most 65,536 characters."""
HIDDEN = "(its name or that of its folder begins with _ or .)"
"""Why a file of a folder is left out that may well hold documents."""
BATCH_ROWS = 256
SHUFFLED_ROWS = 1_000
"""Rows of a stream of the hub that are held to be read in a random order."""
ISSUE_FIELDS = ("repo", "issue_id", "issue_number", "events", "bot_issue")
"""Fields of a row of ``bigcode/the-stack-github-issues`` that are read."""
AUTHOR_FIELDS = ("author", "masked_author")
TITLE_FIELDS = ("title", "subject")
"""Names of the field that holds the title of a row's text; the first one with a text counts."""

SAMPLE_CHARS = 4_000
SAMPLE_WORDS = 400
FEWEST_WORDS = 4
FEWEST_TAGS = 6
MOST_IN_TAGS, MOST_IN_TAGS_OF_PROSE = 0.2, 0.5
"""Shares of characters in HTML tags beyond which a text is a page, if it has so many tags; the
first is for texts that begin with a tag, since prose may quote some HTML."""
FEWEST_ASCII = 0.75
"""The share of letters that are ASCII below which a text is not English."""
MANY_WORDS = 40
FEWEST_COMMON = 0.03
"""The share of common English words below which a text of many words is not English."""
FEWEST_OTHERS = 2
"""Words of other languages that make a text foreign, if they are more than the English ones."""

_TAG = re.compile(
    r"</?(?:!doctype|a|abbr|article|b|big|blockquote|body|br|button|center|code|dd|div|dl|dt|em|font"
    r"|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|label|li|link|main|meta|nav|ol"
    r"|option|p|pre|script|section|select|small|span|strong|style|sub|sup|svg|table|tbody|td|th"
    r"|thead|title|tr|tt|u|ul)(?=[\s/>])[^<>]{0,500}>",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SCHEME = re.compile(r"file:|[A-Za-z][A-Za-z0-9+.-]+:/")


class Document(NamedTuple):
    """A text without labels.

    Attributes:
        id: where it comes from, such as ``apache/hadoop#12/0`` (repository, number of the issue,
            event) or ``file.jsonl:7``. What stands before the last ``/`` names the conversation.
        text: as written; only halves of surrogate pairs are replaced.
        origin: the place for messages, such as ``/data/file.jsonl:7``.
    """

    id: str
    text: str
    origin: str


Item = Document | Notice
"""A document, or what stands in its place."""


class _BrokenStreamError(Exception):
    """A stream of the hub broke before its end."""


class Row(NamedTuple):
    """A row as it was read, or the place of an event, with its name in ids."""

    name: str
    origin: str
    value: Any


def read_documents(
    source: str, skipped: SkippedDocuments, shuffle_seed: int | None = None
) -> Iterator[Document]:
    """Yield the documents of a source.

    Args:
        source: files and folders, separated by commas, or a hub id ``owner/name[:config]``, whose
            split ``train`` is streamed. Folders are read with their sub-folders, in the order of
            the names: ``.jsonl``, ``.parquet`` and ``.txt``, gzipped or not. A text file is one
            document. A row holds its text in ``text``, ``content`` or ``body``; a ``title`` or
            ``subject`` beside it is the first paragraph. A row with ``events``, an issue, gives a
            document for each event with a text. The title of an issue is the first paragraph of its
            first event.
        skipped: receives what is left out.
        shuffle_seed: a hub dataset is read in a shuffled order: that of its files is random, and so
            is that of :data:`SHUFFLED_ROWS` rows at a time. None: in its own order.

    Raises:
        DataError: there is no such source, the hub refuses it, its stream breaks, or it yields no
            document; the message says why.
    """
    before = skipped.reasons()
    number = 0
    rows = _hub_rows(source, shuffle_seed) if is_hub_id(source) else _file_rows(source)
    try:
        for row in rows:
            for item in (row,) if isinstance(row, Notice) else documents_of(row):
                if isinstance(item, Notice):
                    skipped.add(item)
                else:
                    number += 1
                    yield item
    except _BrokenStreamError as error:
        fewer = f"set {SAMPLE_SETTING}={number} to take those, " if number else ""
        raise DataError(
            f"{error}, after {number} documents: run again, {fewer}or download its files and give "
            "their folder"
        ) from error
    if not number:
        raise no_document(source, skipped, before)


def no_document(
    source: str, skipped: SkippedDocuments, before: Mapping[str, int] = MappingProxyType({})
) -> DataError:
    """Return the error of a source without a document.

    Args:
        source: the source.
        skipped: what was left out of it.
        before: what had been left out before it was read, by reason.
    """
    reasons = [
        str(finding)
        for finding in skipped.findings
        if skipped.reasons().get(finding.kind, 0) > before.get(finding.kind, 0)
    ]
    return DataError(
        f"{SETTING} {source!r}: holds no document: "
        f"{'; '.join(reasons) or 'there are no files, or they are empty'}: give texts, or "
        f"rows with a field {', '.join(TEXT_FIELDS)} or events"
    )


def is_bot(author: object) -> bool:
    """Return whether an account is a bot's by its name; a null is nobody's."""
    if not isinstance(author, str):
        return False
    name = author.strip().lower().removeprefix("app/")
    bots = _table()["bots"]
    return name in bots["names"] or name.endswith(tuple(bots["ends"]))


def unusable_reason(text: str, prose: str | None = None) -> str | None:
    """Return why a text is of no use for training, or None.

    Args:
        text: as written; its first :data:`SAMPLE_CHARS` characters tell whether it is HTML.
        prose: what cleaning left of it; its first :data:`SAMPLE_WORDS` words are counted. None
            takes the text itself.

    Returns:
        ``html``, ``too_short`` or ``not_english``: ``weak_`` and the reason is a kind of finding.
    """
    found = islice(_WORD.finditer(text if prose is None else prose), SAMPLE_WORDS)
    sample = _Sample(text[:SAMPLE_CHARS], [match[0].lower() for match in found])
    return next((name for name, applies in _REASONS if applies(sample)), None)


class _Sample(NamedTuple):
    text: str
    words: list[str]


def _is_html(sample: _Sample) -> bool:
    tags = _TAG.findall(sample.text)
    begins = _TAG.match(sample.text.lstrip()) is not None
    most = MOST_IN_TAGS if begins else MOST_IN_TAGS_OF_PROSE
    return len(tags) >= FEWEST_TAGS and sum(map(len, tags)) > most * len(sample.text)


def _is_short(sample: _Sample) -> bool:
    return len(sample.words) < FEWEST_WORDS


def _is_foreign(sample: _Sample) -> bool:
    letters = "".join(sample.words)
    if len(letters.encode("ascii", "ignore")) < FEWEST_ASCII * len(letters):
        return True
    english, others = (
        sum(map(language_words(language).__contains__, sample.words))
        for language in ("english", "others")
    )
    is_other = others > english and others >= FEWEST_OTHERS
    words = len(sample.words)
    return is_other or (words >= MANY_WORDS and english < FEWEST_COMMON * words)


_REASONS: Final[tuple[tuple[str, Callable[[_Sample], bool]], ...]] = (
    ("html", _is_html),
    ("too_short", _is_short),
    ("not_english", _is_foreign),
)
"""Reasons in the order in which they are looked for, and what tells them."""


def documents_of(row: Row) -> Iterator[Item]:
    """Yield the documents of a row, in their order."""
    texts: Iterable[tuple[Row, Any] | Notice]
    if not isinstance(row.value, Mapping):
        yield _not_object(row, row.value)
        return
    elif row.value.get("events"):
        texts = _events(row)
    else:
        texts = [(row, _titled_text(row.value))]
    for found in texts:
        if isinstance(found, Notice):
            yield found
            continue
        place, text = found
        if not _holds_text(text):
            shown = "" if text is None else reprlib.repr(text)
            yield Notice("weak_no_text", place.origin, "", place.name, shown)
        elif len(text) > LONGEST_BYTES:
            detail = f"({len(text):,} characters)"
            yield Notice("weak_too_long", place.origin, detail, place.name, beginning(text))
        else:
            written = encodable(text)
            if halves := sum(map(ne, text, written)) if written != text else 0:
                yield Notice("half_surrogate_replaced", place.origin, amount=halves)
            yield Document(place.name, written, place.origin)


def _titled_text(row: Mapping[str, Any]) -> Any:
    """Return the text of a row below its title; what is no text, or None, if it holds none."""
    fields = [row[field] for field in TEXT_FIELDS if field in row]
    if not fields:
        return None
    given = (value for value in fields if value is not None)
    text = next(filter(_holds_text, fields), next(given, None))
    title = next(filter(_holds_text, map(row.get, TITLE_FIELDS)), None)
    return _below_title(title, text)


def _below_title(title: Any, text: Any) -> Any:
    """Return a text with its title as the first paragraph, or what there is of both."""
    if not _holds_text(title):
        return text
    return f"{title.strip()}\n\n{text}" if _holds_text(text) else title


def _holds_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _not_object(row: Row, value: object, what: str = "") -> Notice:
    text = repr(value)
    detail = f"{what}{shorten(text)}"
    return Notice("weak_not_object", row.origin, detail, row.name, beginning(text))


def _events(row: Row) -> Iterator[tuple[Row, Any] | Notice]:
    """Yield the place and the text of each event that is not a bot's."""
    issue, events = row.value, row.value["events"]
    if isinstance(events, Mapping) and all(isinstance(field, list) for field in events.values()):
        # Arrow may hold a list of objects as lists by field.
        events = [
            dict(zip(events, values, strict=False))
            for values in zip(*events.values(), strict=False)
        ]
    if not isinstance(events, list):
        yield _not_object(row, events, "events ")
        return
    number = issue.get("issue_number") or issue.get("issue_id") or row.name
    repository = issue.get("repo")
    name = f"{repository}#{number}" if isinstance(repository, str) and repository else row.name
    for index, event in enumerate(events):
        place = Row(f"{name}/{index}", f"{row.origin}, event {index}", None)
        if not isinstance(event, Mapping):
            yield _not_object(place, event)
            continue
        text = event.get("text")
        if index == 0:
            text = _below_title(event.get("title"), text)
        if issue.get("bot_issue") is True or any(is_bot(event.get(key)) for key in AUTHOR_FIELDS):
            shown = beginning(text) if isinstance(text, str) else ""
            yield Notice("weak_bot", place.origin, "", place.name, shown)
        else:
            yield place, text


# Files


def _file_rows(source: str) -> Iterator[Row | Notice]:
    if has_scheme(source):
        raise DataError(
            f"{SETTING} {source!r}: is an address that Spark reads: set weak.engine=spark, or give "
            "a path"
        )
    for file in find_files(source):
        if isinstance(file, Notice):
            yield file
            continue
        try:
            yield from _READERS[file.suffix](file.path, file.name)
        except DataError as error:  # names the file and the line or row
            yield Notice("weak_broken_file", str(error), id=file.name)
        except OSError as error:
            yield Notice("weak_broken_file", str(file.path), one_line(error), file.name)


class SourceFile(NamedTuple):
    """A file of a source.

    Attributes:
        path: the file.
        name: its name in ids, relative to the folder of all files.
        suffix: a key of :data:`SUFFIXES`.
    """

    path: Path
    name: str
    suffix: str


def has_scheme(source: str) -> bool:
    """Return whether a source is an address for Spark, such as ``hdfs://...`` or ``file:/...``."""
    return any(_SCHEME.match(part.strip()) for part in source.split(","))


def find_files(source: str) -> Iterator[SourceFile | Notice]:
    """Yield the files of a source in their order, and which files of its folders are left out.

    Raises:
        DataError: there is no such path, or it is a file that cannot be read.
    """
    paths = corpus_paths(source, SETTING)
    folders = [path if path.is_dir() else path.parent for path in paths]
    root = Path(os.path.commonpath([folder.absolute() for folder in folders]))
    seen = set()
    for path in paths:
        for file, is_hidden in _files(path):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            suffix = suffix_of(file)
            if suffix not in SUFFIXES and not path.is_dir():
                raise unreadable_file(str(file))
            name = file.absolute().relative_to(root).as_posix()
            if is_hidden or suffix not in SUFFIXES:
                detail = HIDDEN if is_hidden else ""
                yield Notice("weak_file_left_out", str(file), detail, name)
            else:
                yield SourceFile(file, name, suffix)


def unreadable_file(name: str) -> DataError:
    """Return the error of a file that was asked for and has another suffix."""
    return DataError(f"{SETTING} {name}: neither .jsonl, .jsonl.gz, .parquet nor .txt: convert it")


def are_hidden(parts: Iterable[str]) -> bool:
    """Return whether one of the names below a folder begins as those of hidden files do."""
    return any(part.startswith(("_", ".")) for part in parts)


def _files(path: Path) -> list[tuple[Path, bool]]:
    """Return the file of a path or those of a folder, and whether each is hidden there."""
    if not path.is_dir():
        return [(path, False)]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return [(file, are_hidden(file.relative_to(path).parts)) for file in files]


def _read_json_lines(path: Path, name: str) -> Iterator[Row | Notice]:
    for number, line in _lines(path):
        if (row := json_row(name, str(path), number, line)) is not None:
            yield row


class LongLine(NamedTuple):
    """A line that is too long to be read.

    Attributes:
        size: its bytes.
        begin: its beginning.
    """

    size: int
    begin: bytes


def json_row(name: str, path: str, number: int, line: bytes | LongLine) -> Row | Notice | None:
    """Return a line of a JSONL file as a row, or what is wrong with it; None: it is blank.

    Args:
        name: the file's name in ids.
        path: the file.
        number: that of the line, from 1.
        line: its bytes.
    """
    place = Row(f"{name}:{number}", f"{path}:{number}", None)
    if isinstance(line, LongLine):
        begin = beginning(line.begin.decode("utf-8", "replace"))
        detail = f"({line.size:,} bytes)"
        return Notice("weak_too_long", place.origin, detail, place.name, begin)
    text = _decode(line, place)
    if isinstance(text, Notice):
        return text
    if not text.strip():
        return None
    try:
        return place._replace(value=json.loads(text))
    # ValueError: not JSON, or a number with too many digits.
    except (ValueError, RecursionError) as error:
        detail = f"({one_line(error, limit=80)})"
        return Notice("weak_not_json", place.origin, detail, place.name, beginning(text))


def _read_text(path: Path, name: str) -> Iterator[Row | Notice]:
    yield text_row(name, str(path), read_blocks(path))


def text_row(name: str, path: str, blocks: Iterable[bytes]) -> Row | Notice:
    """Return the bytes of a text file as a row, or what is wrong with it.

    Args:
        name: the file's name in ids.
        path: the file.
        blocks: its bytes, of which no more are read than a text may have.
    """
    held: list[bytes] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size > LONGEST_BYTES:
            begin = beginning(held[0].decode("utf-8", "replace"))
            return Notice("weak_too_long", path, "", name, begin)
    text = _decode(b"".join(held), Row(name, path, None))
    return text if isinstance(text, Notice) else Row(name, path, {TEXT_FIELDS[0]: text})


def _read_parquet(path: Path, name: str) -> Iterator[Row | Notice]:
    file = open_parquet(path)
    known = file.schema_arrow.names
    columns = wanted_columns(known)
    if not columns:
        yield no_columns(name, str(path), known, file.metadata.num_rows)
        return
    number = 0
    for batch in read_parquet_batches(path, file, columns=columns, batch_rows=BATCH_ROWS):
        for row in batch_rows(batch, name, str(path), count(number)):
            yield row
            number += 1


def wanted_columns(known: Collection[str]) -> list[str]:
    """Return the columns of a table of texts or issues that are read; none if it has neither."""
    columns = [field for field in ISSUE_FIELDS if field in known] if "events" in known else []
    texts = [field for field in TEXT_FIELDS if field in known]
    return columns + ([field for field in TITLE_FIELDS if field in known] + texts if texts else [])


def no_columns(name: str, path: str, known: Collection[str], rows: int) -> Notice:
    """Return what to tell of a table without texts, of so many rows."""
    detail = f"(no column {', '.join(TEXT_FIELDS)} or events among {listed(known)})"
    return Notice("weak_no_text", path, detail, name, amount=rows)


def batch_rows(
    batch: "pa.RecordBatch", name: str, path: str, numbers: Iterable[int]
) -> Iterator[Row | Notice]:
    """Yield the rows of a batch, or what is wrong with them.

    Args:
        batch: some rows of a table, in columns of :func:`wanted_columns`.
        name: the file's name in ids.
        path: the file.
        numbers: that of each row, from 0.
    """
    for value, number in zip(_values(batch), numbers, strict=False):
        row = Row(f"{name}:{number}", f"{path}, row {number}", value)
        yield row if value is not None else Notice("weak_invalid_utf8", row.origin, id=row.name)


_READERS: Final[Mapping[str, Callable[[Path, str], Iterator[Row | Notice]]]] = {
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}
"""Suffix of files, without ``.gz``, and how they are read."""
SUFFIXES: Final = frozenset(_READERS)


def _values(batch: "pa.RecordBatch") -> Iterator[Any]:
    """Yield the rows of a batch; None for one that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield None


def _lines(path: Path) -> Iterator[tuple[int, bytes | LongLine]]:
    """Yield the number, from 1, and the bytes of each line; of long ones only the beginning."""
    number = 1
    begun: list[bytes] = []
    size = 0
    for block in read_blocks(path):
        for index, piece in enumerate(block.split(b"\n")):
            if index:
                yield number, _line(begun, size)
                number, begun, size = number + 1, [], 0
            size += len(piece)
            if size <= LONGEST_BYTES:
                begun.append(piece)
            else:
                begun = [b"".join(begun)[:SAMPLE_CHARS] or piece[:SAMPLE_CHARS]]
    yield number, _line(begun, size)


def _line(pieces: list[bytes], size: int) -> bytes | LongLine:
    content = b"".join(pieces)
    return content if size <= LONGEST_BYTES else LongLine(size, content)


def _decode(content: bytes, place: Row) -> str | Notice:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"(byte {content[error.start]:#04x})"
        begin = beginning(content[:SAMPLE_CHARS].decode("utf-8", "replace"))
        return Notice("weak_invalid_utf8", place.origin, detail, place.name, begin)


# The hub


def _hub_rows(source: str, shuffle_seed: int | None) -> Iterator[Row | Notice]:
    """Yield the rows of a hub dataset's train split; only data files are read, no code is run.

    Raises:
        DataError: the hub gives no such dataset.
        _BrokenStreamError: a row after the first cannot be read. A connection that is lost was
            then tried again by ``datasets``, for more than a minute.
    """
    explain = partial(explain_hub_error, source, setting=SETTING)
    try:
        stream, notices = _open_hub(source, shuffle_seed)
        rows = iter(stream)
        first = next(rows, None)
    except DataError:
        raise
    except Exception as error:  # the hub's libraries raise many types
        raise DataError(explain(error)) from error
    yield from notices
    order = "row" if shuffle_seed is None else f"shuffled by seed {shuffle_seed}, row"
    number = 0
    row: Any = first
    while row is not None:
        yield Row(f"{source}:{number}", f"{source}, {TRAIN}, {order} {number}", row)
        number += 1
        try:
            row = next(rows, None)
        except Exception as error:
            cause = error.__cause__ or error
            raise _BrokenStreamError(
                f"{SETTING} {source!r}: the stream of the hub broke after row {number - 1} "
                f"({type(cause).__name__}: {one_line(cause)})"
            ) from error


def _open_hub(source: str, shuffle_seed: int | None) -> tuple["IterableDataset", list[Notice]]:
    from datasets import load_dataset  # here: files do not need it

    name, _, config = source.partition(":")
    splits = cast("dict[str, IterableDataset]", load_dataset(name, config or None, streaming=True))
    chosen = TRAIN if TRAIN in splits else next(iter(splits)) if len(splits) == 1 else None
    if chosen is None:
        raise DataError(
            f"{SETTING} {source!r}: none of its splits ({listed(splits)}) is {TRAIN}: download the "
            "files of one and give their folder"
        )
    notices = [
        Notice("split_left_out", f"{source}, {split}", f"(not {TRAIN})")
        for split in splits
        if split != chosen
    ]
    rows = splits[chosen]
    wanted = wanted_columns(rows.column_names or ())
    rows = rows.select_columns(sorted(wanted)) if wanted else rows
    if shuffle_seed is not None:
        rows = rows.shuffle(seed=shuffle_seed, buffer_size=SHUFFLED_ROWS)
    return rows, notices


# Tables


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).with_name("documents.yaml")
    return cast("Mapping[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def language_words(language: str) -> frozenset[str]:
    """Return the common words of ``english``, or those of ``others``, in lower case."""
    return frozenset(_table()[language])
