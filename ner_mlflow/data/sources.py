"""Read corpora with their source tags: CoNLL, JSONL, Parquet, hub datasets, the bundled sample."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import DataError
from ..paths import find_path
from ..redaction import one_line
from ..tagging.iob2 import split_tag
from .files import open_parquet, read_json_lines, read_lines, read_parquet_batches
from .sample import generate_sample
from .sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence

SAMPLE = "sample"
HUB_TIMEOUT_S = 20
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
TOKEN_FIELDS = ("tokens", "words")
TAG_FIELDS = ("ner_tags", "tags", "labels")
DOCUMENT_FIELDS = ("document", "document_id", "doc_id")
SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""Split by the first word of the name of a file or of a hub split."""


def read_corpus(dataset: str, revision: str = "main", sample_seed: int = 13) -> Corpus:
    """Read a corpus with its source tags.

    Args:
        dataset: ``sample``, a folder whose files are named after their splits, files separated by
            commas, or a hub id.
        revision: git revision of a hub dataset.
        sample_seed: seed of the generated sample.

    Raises:
        DataError: there is no such dataset, or a file, line or row does not hold a sentence.
    """
    if dataset == SAMPLE:
        return generate_sample(sample_seed)
    parts = [part.strip() for part in dataset.split(",")]
    paths = [path for part in parts if (path := find_path(part))]
    if len(parts) == 1 and paths and paths[0].is_dir():
        return _read_files(_split_files(paths[0]))
    if len(paths) == len(parts) and all(path.is_file() for path in paths):
        return _read_files(paths)
    if _is_hub_id(dataset):
        return _read_hub(dataset, revision)
    missing = next(
        (part for part in parts if find_path(part) is None or not Path(part).is_file()), dataset
    )
    raise DataError(
        f"dataset {dataset!r}: no such file or folder: {missing} (nor is it a hub id, owner/name): "
        "give a path that exists"
    )


def hub_commit(dataset: str, revision: str) -> str | None:
    """Return the commit that a revision of a hub dataset points to now.

    Returns None if ``dataset`` is not a hub id, or if the hub cannot be reached.
    """
    if find_path(dataset) or not _is_hub_id(dataset):
        return None
    from huggingface_hub import HfApi  # here: files do not need it

    try:
        commit: str | None = (
            HfApi().dataset_info(dataset, revision=revision, timeout=HUB_TIMEOUT_S).sha
        )
    except Exception:  # of many types; the dataset may still be in the local cache
        return None
    return commit


def _is_hub_id(dataset: str) -> bool:
    return (
        re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", dataset) is not None
        and Path(dataset).suffix not in READERS
    )


def read_conll(path: Path) -> list[Sentence]:
    """Read a file of one token and its tag a line, with a blank line between sentences.

    Tabs or blanks separate the columns; the first is the token, the last the tag. A line
    ``-DOCSTART-`` begins a new document.

    Raises:
        DataError: a line has one column, a tag is not IOB2, or the text is not UTF-8.
    """
    sentences: list[Sentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    document = 0
    first_line = 1

    def close() -> None:
        if tokens:
            name = f"{path.name}#{document}" if document else None
            sentences.append(Sentence(tuple(tokens), tuple(tags), name, f"{path}:{first_line}"))
            tokens.clear()
            tags.clear()

    for number, line in read_lines(path):
        if not line.strip():
            close()
            continue
        if line.startswith("-DOCSTART-"):
            close()
            document += 1
            continue
        columns = line.split("\t") if "\t" in line else line.strip(" ").split(" ")
        if len(columns) < 2 or not columns[0].strip():
            raise DataError(
                f"{path}:{number}: {line!r} has {len(columns)} column, "
                "a token and a tag are needed: add the missing one"
            )
        if not tokens:
            first_line = number
        tokens.append(columns[0])
        tags.append(_check_tag(columns[-1].strip(), f"{path}:{number}"))
    close()
    return sentences


def read_jsonl(path: Path) -> list[Sentence]:
    """Read one JSON object a line, with lists ``tokens`` and ``ner_tags`` (or ``tags``).

    Raises:
        DataError: a line is not such an object, or its lists differ in length.
    """
    sentences = []
    for origin, row in read_json_lines(path):
        if not isinstance(row, dict):
            raise DataError(
                f"{origin}: a {type(row).__name__}, "
                f"not an object with {TOKEN_FIELDS[0]!r} and {TAG_FIELDS[0]!r}"
            )
        sentences.append(_sentence_of_row(row, origin, names=None))
    return sentences


def read_parquet(path: Path) -> list[Sentence]:
    """Read the same fields from the columns of a Parquet file.

    Integer tags need the ClassLabel names that `datasets` writes into the file.

    Raises:
        DataError: it is not a Parquet file, it is broken, or a row does not hold a sentence.
    """
    file = open_parquet(path)
    names = _class_names_of_schema(file.schema_arrow)
    rows = (row for batch in read_parquet_batches(path, file) for row in batch.to_pylist())
    return [_sentence_of_row(row, f"{path}, row {index}", names) for index, row in enumerate(rows)]


READERS: dict[str, Callable[[Path], list[Sentence]]] = {
    ".conll": read_conll,
    ".iob2": read_conll,
    ".bio": read_conll,
    ".txt": read_conll,
    ".tsv": read_conll,
    ".jsonl": read_jsonl,
    ".json": read_jsonl,
    ".parquet": read_parquet,
}
"""Reader of each file suffix."""


def _split_files(folder: Path) -> list[Path]:
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix in READERS and _split_of(path.stem)
    ]
    if not files:
        names = ", ".join(f"{split}.conll" for split in SPLITS)
        raise DataError(
            f"dataset {str(folder)!r}: no file named after a split: "
            f"expected e.g. {names} (or .jsonl, .parquet)"
        )
    return files


def _read_files(paths: Sequence[Path]) -> Corpus:
    corpus: Corpus = {}
    for path in paths:
        reader = READERS.get(path.suffix)
        if reader is None:
            raise DataError(
                f"{path}: suffix {path.suffix!r} is none of {', '.join(READERS)}: "
                "rename or convert the file"
            )
        split = _split_of(path.stem) or (TRAIN if len(paths) == 1 else None)
        if split is None:
            raise DataError(
                f"{path}: its name begins with no split ({', '.join(SPLIT_NAMES)}): rename it"
            )
        sentences = reader(path)
        if not sentences:
            raise DataError(
                f"{path}: the {split} split is empty: give a file with at least one sentence"
            )
        corpus.setdefault(split, []).extend(sentences)
    return corpus


def _split_of(name: str) -> str | None:
    return SPLIT_NAMES.get(re.split(r"[-_.]", name.lower(), maxsplit=1)[0])


def _check_tag(tag: str, origin: str) -> str:
    try:
        split_tag(tag)
    except DataError as error:
        raise DataError(f"{origin}: {error}") from error
    return tag


def _field(row: Mapping[str, Any], names: Sequence[str], origin: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise DataError(
        f"{origin}: no field {' or '.join(map(repr, names))} "
        f"among {', '.join(map(repr, row)) or 'none'}: rename the field"
    )


def _sentence_of_row(row: Mapping[str, Any], origin: str, names: Sequence[str] | None) -> Sentence:
    tokens, tags = _field(row, TOKEN_FIELDS, origin), _field(row, TAG_FIELDS, origin)
    if not isinstance(tokens, list) or not isinstance(tags, list):
        raise DataError(f"{origin}: tokens and tags must be lists")
    if len(tokens) != len(tags):
        raise DataError(
            f"{origin}: {len(tokens)} tokens but {len(tags)} tags: give one tag for each token"
        )
    if not tokens:
        raise DataError(f"{origin}: a sentence without tokens: remove it")
    for token in tokens:
        if not isinstance(token, str) or not token.strip():
            raise DataError(
                f"{origin}: token {token!r} is not text: every token must be a non-empty string"
            )
    document = next((str(row[name]) for name in DOCUMENT_FIELDS if row.get(name) is not None), None)
    sentence = Sentence(
        tuple(tokens), tuple(_tag(tag, names, origin) for tag in tags), document, origin
    )
    for text in (*sentence.tokens, *sentence.tags, document or ""):
        if _LONE_SURROGATE.search(text):
            raise DataError(
                f"{origin}: {text!r} is not text: it holds half of a surrogate pair, "
                "write the whole character"
            )
    return sentence


def _tag(tag: Any, names: Sequence[str] | None, origin: str) -> str:
    if isinstance(tag, int) and not isinstance(tag, bool):
        if names is None:
            raise DataError(
                f"{origin}: tag {tag} is a number and nothing names it: "
                "give tags as strings, or Parquet with ClassLabel names"
            )
        if not 0 <= tag < len(names):
            raise DataError(f"{origin}: tag {tag} is outside the {len(names)} class names")
        return _check_tag(names[tag], origin)
    if not isinstance(tag, str):
        raise DataError(f"{origin}: tag {tag!r} is neither a string nor a class number")
    return _check_tag(tag, origin)


def _class_names_of_schema(schema: pa.Schema) -> list[str] | None:
    if b"huggingface" not in (schema.metadata or {}):
        return None
    from datasets import Features  # here: importing it takes two seconds

    return _class_names(Features.from_arrow_schema(schema))


def _class_names(features: Mapping[str, Any]) -> list[str] | None:
    from datasets import ClassLabel

    for name in TAG_FIELDS:
        inner = getattr(features.get(name), "feature", None)
        if isinstance(inner, ClassLabel):
            return list(inner.names)
    return None


def _read_hub(dataset: str, revision: str) -> Corpus:
    from datasets import load_dataset

    try:
        loaded = load_dataset(dataset, revision=revision)
    except Exception as error:  # the hub's libraries raise many types
        raise DataError(
            f"dataset {dataset!r}: the hub gave no such dataset "
            f"({type(error).__name__}: {one_line(error.__cause__ or error)}): "
            "check id, revision and HF_ENDPOINT"
        ) from error
    corpus: Corpus = {}
    for name, rows in loaded.items():
        split = _split_of(str(name))
        if split is None:
            continue
        names = _class_names(rows.features)
        if not len(rows):
            raise DataError(
                f"dataset {dataset!r}: its split {name} is empty: "
                "give a dataset with at least one sentence in it"
            )
        corpus.setdefault(split, []).extend(
            _sentence_of_row(row, f"{dataset}, {name}, row {index}", names)
            for index, row in enumerate(rows)
        )
    if not corpus:
        raise DataError(
            f"dataset {dataset!r}: none of its splits ({', '.join(map(str, loaded))}) "
            "is train, validation or test"
        )
    return corpus
