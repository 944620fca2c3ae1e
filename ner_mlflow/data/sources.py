"""Read corpora with their source types: files, folders, hub datasets, the bundled sample."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from ..config.schema import DataConfig
from ..errors import DataError
from ..paths import find_path
from ..provenance import file_sha256
from ..tagging.iob2 import split_tag
from .findings import Findings, finding_kinds
from .formats.base import FileReader, Record, RowReader, TaggedWords, TextWithSpans, source_of
from .formats.rows import open_rows
from .hub import is_hub_id, read_hub
from .sample import generate_sample
from .schemes import to_iob2
from .sentences import Sentences, SentencesBuilder
from .spans import cut_text, tag_words
from .split_files import SplitFile, corpus_paths, files_read, find_split_files

SAMPLE = "sample"
LONG_SENTENCE_WORDS = 500
"""A sentence of more words may be several, between which a blank line is missing."""


@dataclass(frozen=True)
class Reading:
    """A corpus as it was read.

    Attributes:
        corpus: its splits, in valid IOB2, with the types of the source.
        findings: what was left out, changed or noted, and the facts of each split.
        files: the files, for corpora of files.
    """

    corpus: Mapping[str, Sentences]
    findings: Findings
    files: tuple[SplitFile, ...] = ()


def dataset_name(dataset: str) -> str:
    """Return the short name of a dataset: of its first file or folder, or its hub id.

    Raises:
        DataError: there is no such file or folder.
    """
    if dataset == SAMPLE or is_hub_id(dataset):
        return dataset
    return corpus_paths(dataset)[0].name


def corpus_hashes(config: DataConfig) -> list[str]:
    """Return the split, relative name and hash of each file that is read, and what is left out.

    A hub dataset and the sample have no files.
    """
    if config.dataset == SAMPLE or is_hub_id(config.dataset):
        return []
    findings = Findings()
    try:
        files = find_split_files(config, findings)
        folder = corpus_paths(config.dataset)[0]
        hashes = [
            f"{file.split} {os.path.relpath(path, folder)} {file_sha256(path)}"
            for file in files
            for path in files_read(file.path)
        ]
        beside = {file.path.parent / config.tag_names for file in files if config.tag_names}
        names = [file_sha256(path) for path in sorted(beside) if find_path(str(path))]
        return [*hashes, *names, *findings.facts.values()]
    except (DataError, OSError):  # the step itself reports it
        return []


def read_corpus(config: DataConfig) -> Reading:
    """Read the corpus ``config.dataset``.

    Raises:
        DataError: there is no such dataset, or it cannot be read; the message names the place.
    """
    findings = Findings()
    if config.dataset == SAMPLE:
        sample = generate_sample(config.seed)
        return Reading({name: Sentences.of(rows) for name, rows in sample.items()}, findings)
    files: tuple[SplitFile, ...] = ()
    builders: dict[str, _SplitBuilder] = {}
    if is_hub_id(config.dataset):
        for split, place, records in read_hub(config, findings):
            _append(builders, split, place, records, config, findings)
    else:
        files = tuple(find_split_files(config, findings))
        for file in files:
            place, records = _read_file(file, config, findings)
            _append(builders, file.split, place, records, config, findings)
    corpus = {
        split: _finish_split(builder, config, findings, split)
        for split, builder in builders.items()
    }
    return Reading(corpus, findings, files)


@dataclass(frozen=True)
class FileCheck:
    """The result of reading one file on its own.

    Attributes:
        file: the file.
        sentences: how many were read, up to the error if there is one.
        error: why the file cannot be read, in one line; empty if it can.
    """

    file: SplitFile
    sentences: int
    error: str = ""


def check_files(config: DataConfig, findings: Findings) -> list[FileCheck]:
    """Read the files of a corpus one by one, for a report on a corpus that is refused.

    Raises:
        DataError: the files cannot be found.
    """
    files = find_split_files(config, findings)
    splits = [file.split for file in files]
    checks = []
    for file in files:
        builders: dict[str, _SplitBuilder] = {}
        error = ""
        try:
            place, records = _read_file(file, config, findings)
            _append(builders, file.split, place, records, config, findings)
            # The tags of one of several files may not tell the scheme of their split.
            if splits.count(file.split) == 1:
                _finish_split(builders[file.split], config, findings, file.split)
        except DataError as caught:
            error = str(caught)
        read = len(builders[file.split].finish()) if builders else 0
        checks.append(FileCheck(file, read, error))
    return checks


class _SplitBuilder(SentencesBuilder):
    """The sentences of a split.

    ``has_tags`` is true once a record has tags, not spans. ``place`` is that of the last file.
    """

    has_tags = False
    place = ""


def _finish_split(
    builder: _SplitBuilder, config: DataConfig, findings: Findings, split: str
) -> Sentences:
    sentences = builder.finish()
    if not sentences:
        left_out = [
            f"{finding_kinds()[finding.kind].title}: {finding.count:,}"
            for finding in findings
            if finding.split == split and finding_kinds()[finding.kind].unit == "rows"
        ]
        why = f" ({'; '.join(left_out)})" if left_out else ""
        raise DataError(
            f"{source_of(builder.place)}: the {split} split is empty{why}: give a file with at "
            "least one sentence"
        )
    for row in np.flatnonzero(sentences.lengths() > LONG_SENTENCE_WORDS).tolist():
        words = len(sentences[row].tokens)
        findings.add("sentence_long", split, sentences[row].origin, f"{words:,} words")
    if builder.has_tags:  # tags made from spans are IOB2 by construction
        sentences = to_iob2(sentences, config, findings, split)
    types = {split_tag(tag)[1] for tag in sentences.count_tags()}
    _note_types(sorted(types), source_of(builder.place), findings, split)
    if types <= {""}:
        findings.add("split_without_entities", split, source_of(builder.place))
    return sentences


def _note_types(types: Sequence[str], place: str, findings: Findings, split: str) -> None:
    """Note types that look like mistakes."""
    alike: dict[str, list[str]] = {}
    for type_ in types:
        prefix, _, rest = type_.partition("-")
        if prefix == "B" and f"I-{rest}" in types:
            findings.add("types_like_tags", split, place, f"{type_} and I-{rest}")
        alike.setdefault("".join(type_.split()).casefold(), []).append(type_)
    for same in alike.values():
        if len(same) > 1:
            detail = " and ".join(map(repr, same))
            findings.add("types_alike", split, place, detail, len(same))


def _read_file(
    file: SplitFile, config: DataConfig, findings: Findings
) -> tuple[str, Iterator[Record]]:
    if file.format.is_rows:
        rows = open_rows(file.path, findings, file.split)
        read_rows = cast("RowReader", file.format.read)
        return rows.place, read_rows(rows, config, findings, file.split)
    read = cast("FileReader", file.format.read)
    return f"{file.path}:", read(file.path, config, findings, file.split)


def _append(
    builders: dict[str, _SplitBuilder],
    split: str,
    place: str,
    records: Iterable[Record],
    config: DataConfig,
    findings: Findings,
) -> None:
    builder = builders.setdefault(split, _SplitBuilder())
    builder.place = place
    is_empty = True
    for record in records:
        is_empty = False
        if isinstance(record, TaggedWords):
            builder.has_tags = True
            tokens = _trim(record.tokens, findings, split, place, record.position)
            builder.append(tokens, record.tags, place, record.position, record.document)
            continue
        here = f"{place}{record.position}"
        if isinstance(record, TextWithSpans):
            document = record.document or here
            for cut in cut_text(record, config, findings, split, here):
                builder.append(
                    cut.tokens, cut.tags, place, record.position, document, cut.text, cut.starts
                )
        else:
            tags = tag_words(record, config, findings, split, here)
            if tags:
                tokens = _trim(record.tokens, findings, split, place, record.position)
                builder.append(tokens, tags, place, record.position, record.document)
            else:
                findings.add("row_without_words", split, here)
    if is_empty:
        findings.add("file_empty", split, source_of(place))


def _trim(
    tokens: Sequence[str], findings: Findings, split: str, place: str, position: int
) -> Sequence[str]:
    """Return words without white space at their ends, as padded columns leave it there."""
    trimmed = [token.strip() for token in tokens]
    changed = [token for token, word in zip(tokens, trimmed, strict=True) if token != word]
    if not changed:
        return tokens
    findings.add("word_trimmed", split, f"{place}{position}", repr(changed[0]), len(changed))
    return trimmed
