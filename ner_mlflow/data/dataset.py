"""Save and load prepared datasets; loading verifies the content against its fingerprint."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic import atomic_folder
from ..errors import DataError
from ..redaction import one_line
from ..tagging.label_schema import LabelSchema
from .sentences import BATCH_SENTENCES, SPLITS, TRAIN, Corpus, Sentence, Sentences, SentencesBuilder

FORMAT = 2
"""Version of the layout; raise it with every change, so that old datasets are refused."""
SCHEMA_FILE = "schema.json"
COLUMNS = pa.schema(
    [
        pa.field("tokens", pa.list_(pa.string()), nullable=False),
        pa.field("tags", pa.list_(pa.string()), nullable=False),
        pa.field("document", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("text", pa.string()),
        pa.field("starts", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True)
class PreparedDataset:
    """A corpus in three splits, with its label schema.

    Attributes:
        name: its name.
        corpus: the splits.
        schema: the labels.
        fingerprint: the SHA-256 (hex) of labels, splits, tokens, tags and documents, in order.
        weak_sentences: how many of the last sentences of train were labelled weakly.
    """

    name: str
    corpus: Corpus
    schema: LabelSchema
    fingerprint: str
    weak_sentences: int = 0

    @property
    def gold_train(self) -> Sequence[Sentence]:
        """The sentences of train that people labelled."""
        return self._train_parts[0]

    @property
    def weak_train(self) -> Sequence[Sentence]:
        """The sentences of train that were labelled weakly."""
        return self._train_parts[1]

    @property
    def _train_parts(self) -> tuple[Sequence[Sentence], Sequence[Sentence]]:
        train = self.corpus[TRAIN]
        gold = len(train) - self.weak_sentences
        return train[:gold], train[gold:]


def fingerprint(corpus: Corpus, schema: LabelSchema) -> str:
    """Return the SHA-256 (hex) of the content that a model can learn from; origins do not count."""
    digest = hashlib.sha256(json.dumps([FORMAT, schema.labels]).encode())
    for split in SPLITS:
        digest.update(f"\n{split}\n".encode())
        for sentence in corpus[split]:
            content: list[object] = [sentence.tokens, sentence.tags, sentence.document]
            if sentence.text is not None:
                content += [sentence.text, sentence.starts]
            digest.update(json.dumps(content).encode())
    return digest.hexdigest()


def save_dataset(dataset: PreparedDataset, folder: Path) -> None:
    """Write a Parquet file for each split and the schema file; an error leaves no folder."""
    schema = {
        "format": FORMAT,
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "types": dataset.schema.types,
    }
    if dataset.weak_sentences:
        schema["weak_sentences"] = dataset.weak_sentences
    with atomic_folder(folder) as part:
        for split in SPLITS:
            rows = map(_row, dataset.corpus[split])
            with pq.ParquetWriter(part / f"{split}.parquet", COLUMNS) as writer:
                while batch := list(islice(rows, BATCH_SENTENCES)):
                    writer.write_table(pa.Table.from_pylist(batch, schema=COLUMNS))
        (part / SCHEMA_FILE).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


def load_dataset(folder: Path) -> PreparedDataset:
    """Read a prepared dataset and verify it against its fingerprint.

    Raises:
        DataError: files are missing, broken, of another format, or changed since they were written.
    """
    path = folder / SCHEMA_FILE
    if not path.is_file():
        raise DataError(f"{folder}: no {SCHEMA_FILE}, so not a prepared dataset: run the data step")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if (version := values.get("format")) != FORMAT:
            raise DataError(
                f"{path}: format {version!r}, this version reads {FORMAT}: run the data step again"
            )
        name, expected, schema, weak = (
            values["name"],
            values["fingerprint"],
            LabelSchema(tuple(values["types"])),
            int(values.get("weak_sentences", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: broken ({type(error).__name__}): run the data step again"
        ) from error
    corpus: dict[str, Sentences] = {}
    for split in SPLITS:
        try:
            corpus[split] = _load_split(folder / f"{split}.parquet")
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(
                f"{folder / f'{split}.parquet'}: cannot be read ({one_line(error, limit=200)}): "
                "run the data step again"
            ) from error
    actual = fingerprint(corpus, schema)
    if actual != expected:
        raise DataError(
            f"{folder}: fingerprint {actual[:12]} of the content is not that in {SCHEMA_FILE} "
            f"({expected[:12]}): run the data step again"
        )
    return PreparedDataset(name, corpus, schema, actual, weak)


def _load_split(path: Path) -> Sentences:
    builder = SentencesBuilder()
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if names != COLUMNS.names:
            raise pa.ArrowInvalid(
                f"columns {', '.join(names)} instead of {', '.join(COLUMNS.names)}"
            )
        for batch in file.iter_batches(BATCH_SENTENCES):
            for row in batch.cast(COLUMNS).to_pylist():
                builder.append(
                    row["tokens"],
                    row["tags"],
                    row["origin"] or "",
                    document=row["document"],
                    text=row["text"],
                    starts=row["starts"],
                )
    return builder.finish()


def _row(sentence: Sentence) -> dict[str, object]:
    return {
        "tokens": sentence.tokens,
        "tags": sentence.tags,
        "document": sentence.document,
        "origin": sentence.origin,
        "text": sentence.text,
        "starts": sentence.starts,
    }
