"""Corpora in the formats of annotation tools, written independently of the package."""

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LABELS = ("OS", "SOFTWARE", "Data_Type", "a-b", "Größe", "版本")
WORDS = (
    *("we", "run", "the", "crash", "on", "after", "#", "-", "O", "B-OS", "null", "1", "7.1", "I"),
    *("nginx/1.25", "C++", "Node.js", "foo()", "<div>", "don't", "Redis,Nginx", '"quoted"', "a;b"),
    *("Größe", "版本", "🚀", "👩‍💻", "𝒳", "नमस्ते", "שלום", "e\u0301", "\u200bzero", "x\u00ady"),
)
GAPS = (" ", " ", " ", "  ", "\n", "\n\n", "\t")
SCHEMES = ("IOB1", "IOB2", "BIOES", "BILOU", "BMEWO")

Entity = tuple[int, int, str]


@dataclass(frozen=True)
class Document:
    """A text of words and gaps, with flat entities over the words; ``end`` is excluded."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    entities: tuple[Entity, ...]

    @property
    def text(self) -> str:
        return "".join(word + gap for word, gap in zip(self.words, self.gaps, strict=True))

    @property
    def spans(self) -> list[Entity]:
        starts, offset = [], 0
        for word, gap in zip(self.words, self.gaps, strict=True):
            starts.append(offset)
            offset += len(word) + len(gap)
        return [
            (starts[first], starts[end - 1] + len(self.words[end - 1]), label)
            for first, end, label in self.entities
        ]

    @property
    def surfaces(self) -> list[tuple[str, str]]:
        # Hidden characters at the ends of words belong to no entity.
        return [(self.text[start:end].strip("\u200b"), label) for start, end, label in self.spans]

    def tags(self, scheme: str) -> list[str]:
        tags = ["O"] * len(self.words)
        previous: Entity = (0, -1, "")
        for first, end, label in self.entities:
            for position in range(first, end):
                is_first, is_last = position == first, position == end - 1
                prefix = "B" if is_first else "I"
                if scheme == "IOB1" and is_first and previous[1:] != (first, label):
                    prefix = "I"
                elif scheme not in ("IOB1", "IOB2"):
                    begin, inside, last, single = {
                        "BIOES": "BIES",
                        "BILOU": "BILU",
                        "BMEWO": "BMEW",
                    }[scheme]
                    prefix = (
                        single
                        if is_first and is_last
                        else begin
                        if is_first
                        else last
                        if is_last
                        else inside
                    )
                tags[position] = f"{prefix}-{label}"
            previous = (first, end, label)
        return tags


def draw_document(draw: random.Random) -> Document:
    """Return a document of 3 to 12 words, with one entity or more."""
    words = tuple(draw.choice(WORDS) for _ in range(draw.randint(3, 12)))
    gaps = (*(draw.choice(GAPS) for _ in words[1:]), draw.choice(("", "", "\n", " ")))
    entities, first = [], draw.randint(0, 2)
    while first < len(words):
        end = min(len(words), first + draw.randint(1, 3))
        entities.append((first, end, draw.choice(LABELS)))
        first = end + draw.choice((0, 1, 1, 2, 5))
    return Document(words, gaps, tuple(entities))


def draw_documents(draw: random.Random) -> list[Document]:
    """Return one to four documents."""
    return [draw_document(draw) for _ in range(draw.randint(1, 4))]


Documents = Sequence[Document]
Encode = Callable[[Documents, random.Random], bytes]


def _lines(rows: Sequence[object]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _token_rows(documents: Documents, draw: random.Random) -> list[dict[str, object]]:
    scheme = draw.choice(SCHEMES)
    fields = draw.choice((("tokens", "ner_tags"), ("words", "tags"), ("tokens", "labels")))
    return [
        {"id": number, fields[0]: list(document.words), fields[1]: document.tags(scheme)}
        for number, document in enumerate(documents)
    ]


def conll(documents: Documents, draw: random.Random) -> bytes:
    """Two columns, or four as in CoNLL-2003, between tabs or blanks."""
    scheme, separator = draw.choice(SCHEMES), draw.choice("\t ")
    middle = draw.choice(((), ("NN", "I-NP"), ("_", "_")))
    return (
        "\n".join(
            "".join(
                separator.join((word, *middle, tag)) + "\n"
                for word, tag in zip(document.words, document.tags(scheme), strict=True)
            )
            for document in documents
        )
    ).encode()


def conllu(documents: Documents, draw: random.Random) -> bytes:
    """CoNLL-U with the tags in MISC."""
    scheme = draw.choice(SCHEMES)
    blocks = []
    for number, document in enumerate(documents):
        rows = [
            "\t".join((str(id_), word, *"_______", f"NER={tag}|SpaceAfter=No"))
            for id_, (word, tag) in enumerate(
                zip(document.words, document.tags(scheme), strict=True), start=1
            )
        ]
        blocks.append("\n".join([f"# sent_id = {number}", *rows]) + "\n\n")
    return "".join(blocks).encode()


def csv_table(documents: Documents, draw: random.Random) -> bytes:
    """A word a row, as pandas writes it: the sentence is named in its first row."""
    scheme, file = draw.choice(SCHEMES), io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("Sentence #", "Word", "POS", "Tag"))
    for number, document in enumerate(documents, start=1):
        for position, (word, tag) in enumerate(
            zip(document.words, document.tags(scheme), strict=True)
        ):
            writer.writerow(("" if position else f"Sentence: {number}", word, "NN", tag))
    return file.getvalue().encode()


def token_jsonl(documents: Documents, draw: random.Random) -> bytes:
    return _lines(_token_rows(documents, draw))


def token_array(documents: Documents, draw: random.Random) -> bytes:
    return json.dumps(_token_rows(documents, draw), indent=draw.choice((None, 1))).encode()


def token_parquet(documents: Documents, draw: random.Random) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_token_rows(documents, draw)), file)
    return file.getvalue()


def gliner(documents: Documents, draw: random.Random) -> bytes:
    rows = [
        {
            "tokenized_text": list(document.words),
            "ner": [[first, end - 1, label] for first, end, label in document.entities],
        }
        for document in documents
    ]
    return json.dumps(rows, ensure_ascii=draw.random() < 0.5).encode()


def label_studio(documents: Documents, draw: random.Random) -> bytes:
    tasks = [
        {
            "id": number,
            "data": {"text": document.text},
            "annotations": [
                {
                    "id": number,
                    "completed_by": 1,
                    "was_cancelled": False,
                    "result": [
                        {
                            "id": f"r{start}",
                            "from_name": "label",
                            "to_name": "text",
                            "type": "labels",
                            "value": {
                                "start": start,
                                "end": end,
                                "text": document.text[start:end],
                                "labels": [label],
                            },
                        }
                        for start, end, label in document.spans
                    ],
                }
            ],
        }
        for number, document in enumerate(documents)
    ]
    return json.dumps(tasks, indent=draw.choice((None, 2))).encode()


def label_studio_min(documents: Documents, draw: random.Random) -> bytes:
    rows = [
        {
            "text": document.text,
            "id": number,
            "label": [
                {"start": start, "end": end, "text": document.text[start:end], "labels": [label]}
                for start, end, label in document.spans
            ],
            "annotator": 1,
            "annotation_id": number,
        }
        for number, document in enumerate(documents)
    ]
    return json.dumps(rows).encode()


def doccano(documents: Documents, draw: random.Random) -> bytes:
    field = draw.choice(("label", "labels", "annotations"))
    return _lines(
        [
            {"id": number, "text": document.text, field: [list(span) for span in document.spans]}
            for number, document in enumerate(documents)
        ]
    )


def doccano_entities(documents: Documents, draw: random.Random) -> bytes:
    return _lines(
        [
            {
                "id": number,
                "text": document.text,
                "entities": [
                    {"id": start, "start_offset": start, "end_offset": end, "label": label}
                    for start, end, label in document.spans
                ],
                "relations": [],
            }
            for number, document in enumerate(documents)
        ]
    )


def prodigy(documents: Documents, draw: random.Random) -> bytes:
    return _lines(
        [
            {
                "text": document.text,
                "spans": [
                    {"start": start, "end": end, "label": label}
                    for start, end, label in document.spans
                ],
                "answer": "accept",
            }
            for document in documents
        ]
    )


def spacy_rows(documents: Documents, draw: random.Random) -> bytes:
    as_pair = draw.random() < 0.5
    rows: list[object] = []
    for document in documents:
        entities = {"entities": [list(span) for span in document.spans]}
        rows.append([document.text, entities] if as_pair else {"text": document.text, **entities})
    return _lines(rows)


def entity_rows(documents: Documents, draw: random.Random) -> bytes:
    return _lines(
        [
            {
                "text": document.text,
                "entities": [
                    {"start": start, "end": end, "label": label}
                    for start, end, label in document.spans
                ],
            }
            for document in documents
        ]
    )


TOKEN_FORMATS: dict[str, tuple[str, Encode]] = {
    "conll": ("conll", conll),
    "conllu": ("conllu", conllu),
    "csv": ("csv", csv_table),
    "token_rows, JSONL": ("jsonl", token_jsonl),
    "token_rows, array": ("json", token_array),
    "token_rows, Parquet": ("parquet", token_parquet),
    "gliner": ("json", gliner),
}
"""Formats of words: name -> suffix and encoder."""
TEXT_FORMATS: dict[str, tuple[str, Encode]] = {
    "label_studio": ("json", label_studio),
    "label_studio, JSON_MIN": ("json", label_studio_min),
    "doccano": ("jsonl", doccano),
    "doccano, entities": ("jsonl", doccano_entities),
    "prodigy": ("jsonl", prodigy),
    "spacy": ("jsonl", spacy_rows),
    "entity_rows": ("jsonl", entity_rows),
}
"""Formats of texts with spans."""


def write_brat(documents: Documents, folder: Path) -> None:
    """Write a brat folder."""
    for number, document in enumerate(documents):
        (folder / f"doc{number}.txt").write_text(document.text, encoding="utf-8", newline="")
        lines = [
            f"T{index}\t{label} {start} {end}\t{document.text[start:end]}\n".replace("\n", " ")[:-1]
            + "\n"
            for index, (start, end, label) in enumerate(document.spans, start=1)
        ]
        (folder / f"doc{number}.ann").write_text("".join(lines), encoding="utf-8")
