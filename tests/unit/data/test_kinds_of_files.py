"""Files as tools and public corpora write them: read right, or refused with a way out."""

import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import to_entities

Tagged = tuple[list[str], list[str]]
FILLERS = ("we", "run", "after", "please", "install", "the", "on", "again", "crashes", "box")
NAMES = ["O", "B-OS", "I-OS", "B-SW"]


def draw_sentence(draw: random.Random) -> Tagged:
    words = [draw.choice(FILLERS) for _ in range(draw.randint(4, 9))]
    tags = ["O"] * len(words)
    at = draw.randrange(len(words))
    if draw.random() < 0.5:
        words[at : at + 1], tags[at : at + 1] = ["Ubuntu", "Server"], ["B-OS", "I-OS"]
    else:
        words[at], tags[at] = "Redis", "B-SW"
    return words, tags


DRAW = random.Random(13)
SENTENCES = [draw_sentence(DRAW) for _ in range(60)]
ENTITIES = [
    (" ".join(words[entity.start : entity.end]), entity.type)
    for words, tags in SENTENCES
    for entity in to_entities(tags)
]


def columns(
    line: Callable[[int, str, str], str],
    sentences: Sequence[Tagged] = SENTENCES,
    gap: str = "\n",
) -> str:
    """Return a file of columns; ``line`` gets the position, the word and the tag."""
    return gap.join(
        "".join(
            line(at, word, tag) + "\n" for at, (word, tag) in enumerate(zip(*sentence, strict=True))
        )
        for sentence in sentences
    )


def in_scheme(tags: Sequence[str], begin: str, inside: str, end: str, single: str) -> list[str]:
    converted = []
    for at, tag in enumerate(tags):
        is_last = at + 1 == len(tags) or not tags[at + 1].startswith("I-")
        prefix = (single if is_last else begin) if tag[0] == "B" else end if is_last else inside
        converted.append(tag if tag == "O" else prefix + tag[1:])
    return converted


def recode(scheme: str) -> list[Tagged]:
    """Return the sentences in a scheme of the letters begin, inside, end and single."""
    return [(words, in_scheme(tags, *scheme)) for words, tags in SENTENCES]


def with_spans(sentence: Tagged) -> tuple[str, list[list[Any]]]:
    words, tags = sentence
    starts = [len(" ".join([*words[:at], ""])) for at in range(len(words))]
    return " ".join(words), [
        [starts[entity.start], starts[entity.end - 1] + len(words[entity.end - 1]), entity.type]
        for entity in to_entities(tags)
    ]


TEXTS = [with_spans(sentence) for sentence in SENTENCES]
ROWS = [{"tokens": words, "ner_tags": tags} for words, tags in SENTENCES]
NUMBERED = [
    {"tokens": words, "ner_tags": [NAMES.index(tag) for tag in tags]} for words, tags in SENTENCES
]


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def kaggle(first: Callable[[int, int], str], header: str) -> str:
    """Return CSV with a word a row; ``first`` gives the columns before the word."""
    return header + "".join(
        f"{first(number, at)},{word},NN,{tag}\n"
        for number, sentence in enumerate(SENTENCES)
        for at, (word, tag) in enumerate(zip(*sentence, strict=True))
    )


@dataclass(frozen=True)
class Kind:
    """Files of a folder, the settings that read them right, and the refusal without these."""

    files: Mapping[str, str | bytes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""


KINDS = {
    "CoNLL-2003, IOB1, documents": Kind(
        {
            "eng.train": "-DOCSTART- -X- -X- O\n\n"
            + columns(lambda _, word, tag: f"{word} NN I-NP {tag}", recode("IIII"))
        }
    ),
    "StackOverflow's own four columns": Kind(
        {
            "train.txt": columns(
                lambda at, word, tag: f"{word} {tag} {word} {'OB'[at == 1]}-Code"
            ).replace("O-Code", "O")
        },
        {"tag_column": "2"},
        "columns 2, 4 hold entity tags",
    ),
    "GermEval": Kind(
        {"NER-de-train.tsv": columns(lambda at, word, tag: f"{at + 1}\t{word}\t{tag}\tO")},
        {"token_column": "2", "tag_column": "3"},
        "column 1 holds running numbers, not words",
    ),
    "WikiNEuRal": Kind(
        {"train.conllu": columns(lambda at, word, tag: f"{at}\t{word}\t{tag}")},
        {"token_column": "2", "tag_column": "3"},
        "give token_column=2 and tag_column=3",
    ),
    "a sentence id before each word": Kind(
        {
            "train.tsv": "\n".join(
                "".join(f"s{number}\t{word}\t{tag}\n" for word, tag in zip(*pair, strict=True))
                for number, pair in enumerate(SENTENCES)
            )
        },
        {"token_column": "2", "tag_column": "3"},
        "give token_column=2 and tag_column=3",
    ),
    "tags before words": Kind(
        {"train.conll": columns(lambda _, word, tag: f"{tag}\t{word}")},
        {"token_column": "2", "tag_column": "1"},
        "give token_column=2 and tag_column=1",
    ),
    "HIPE, a header and seven columns of tags": Kind(
        {
            "HIPE-train.tsv": "TOKEN\tNE-COARSE-LIT\tNE-FINE-LIT\tNEL-LIT\tMISC\n# language = en\n"
            + columns(lambda _, word, tag: f"{word}\t{tag}\t{tag}\t_\tNoSpaceAfter")
        },
        {"token_column": "TOKEN", "tag_column": "NE-COARSE-LIT"},
        "give token_column=1 and tag_column=2",
    ),
    "WNUT 2017": Kind({"wnut17train.conll": columns(lambda _, word, tag: f"{word}\t{tag}")}),
    "MultiCoNER": Kind(
        {
            "en-train.conll": "\n".join(
                f"# id {number}\tdomain=train\n"
                + columns(lambda _, word, tag: f"{word} _ _ {tag}", [sentence])
                for number, sentence in enumerate(SENTENCES)
            )
        }
    ),
    "BMES of Chinese corpora": Kind(
        {"train.char.bmes": columns(lambda _, word, tag: f"{word} {tag}", recode("BMES"))}
    ),
    "BILOU": Kind({"train.bilou": columns(lambda _, word, tag: f"{word} {tag}", recode("BILU"))}),
    "Few-NERD, types alone": Kind(
        {"train.txt": columns(lambda _, word, tag: f"{word}\t{tag[2:] or tag}")}
    ),
    "BioBERT, tags without types": Kind(
        {"train.tsv": columns(lambda _, word, tag: f"{word}\t{tag[0]}")},
        {"untyped_type": "Disease"},
        "give one by untyped_type=TYPE",
    ),
    "lower-case tags": Kind(
        {"train.conll": columns(lambda _, word, tag: f"{word}\t{tag.lower()}")},
        refusal="column 2 holds no entity tags",
    ),
    "part-of-speech tags only": Kind(
        {"train.conll": columns(lambda _, word, __: f"{word}\tNN")},
        refusal="column 2 holds no entity tags",
    ),
    "Kaggle": Kind(
        {
            "ner_dataset.csv": kaggle(
                lambda number, at: "" if at else f"Sentence: {number}", "Sentence #,Word,POS,Tag\n"
            )
        }
    ),
    "Kaggle in Latin-1": Kind(
        {"ner_dataset.csv": b"Sentence #,Word,POS,Tag\nSentence: 1,caf\xe9,NN,O\n"},
        refusal="byte 0xe9 is not UTF-8: convert the file to UTF-8",
    ),
    "pandas with its index": Kind(
        {
            "train.csv": kaggle(
                lambda number, at: f"{10 * number + at},{number}", ",sid,token,pos,label\n"
            )
        }
    ),
    "an object with rows in a field": Kind(
        {"train.json": json.dumps({"version": "1.0", "data": ROWS})}
    ),
    "an object with a list for each split": Kind(
        {"data.json": json.dumps({"train": ROWS, "test": ROWS})},
        refusal="write each to a file of its own",
    ),
    "numbers named in label.json": Kind(
        {
            "train.jsonl": lines(NUMBERED),
            "label.json": json.dumps({name: number for number, name in enumerate(NAMES)}),
        },
        {"tag_names": "label.json"},
        "give tag_names=label.json",
    ),
    "fields of other names": Kind(
        {"train.jsonl": lines([{"sentence": words, "iob": tags} for words, tags in SENTENCES])},
        {"token_column": "sentence", "tag_column": "iob"},
        "give its name as token_column",
    ),
    "spaCy 2": Kind(
        {"train.json": json.dumps([[text, {"entities": spans}] for text, spans in TEXTS])}
    ),
    "the annotator of tecoholic": Kind(
        {
            "annotations.json": json.dumps(
                {
                    "classes": ["OS", "SW"],
                    "annotations": [[f"{text}\r", {"entities": spans}] for text, spans in TEXTS],
                }
            )
        }
    ),
    "doccano with comments": Kind(
        {
            "admin.jsonl": lines(
                [
                    {"id": number, "text": text, "label": spans, "Comments": []}
                    for number, (text, spans) in enumerate(TEXTS)
                ]
            )
        }
    ),
    "GLiNER": Kind(
        {
            "train.json": json.dumps(
                [
                    {
                        "tokenized_text": words,
                        "ner": [[e.start, e.end - 1, e.type] for e in to_entities(tags)],
                    }
                    for words, tags in SENTENCES
                ]
            )
        }
    ),
    "UTF-16": Kind(
        {"train.conll": columns(lambda _, word, tag: f"{word}\t{tag}").encode("utf-16")},
        refusal="is UTF-16: convert the file to UTF-8",
    ),
    "gzip in a sub-folder": Kind(
        {
            "README.md": "A corpus.",
            "data/TRAIN.CONLL.gz": gzip.compress(
                columns(lambda _, word, tag: f"{word}\t{tag}").encode()
            ),
        }
    ),
    "predictions beside gold": Kind(
        {
            "train.txt": columns(lambda _, word, tag: f"{word} {tag}"),
            "train_predictions.txt": columns(lambda _, word, __: f"{word} O"),
        },
        {"splits": ("train.txt=train",)},
        "keep one of them, or assign files by splits=train.txt=train",
    ),
}


def write(folder: Path, kind: Kind) -> None:
    for name, content in kind.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def read(folder: Path, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = DataConfig(dataset=str(folder), label_map="keep", **settings)
    return [
        (" ".join(sentence.tokens[entity.start : entity.end]), entity.type)
        for sentence in read_corpus(config).corpus["train"]
        for entity in to_entities(sentence.tags)
    ]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.refusal])
def test_a_file_that_is_not_clear_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, KINDS[name])
    with pytest.raises(DataError) as caught:
        read(tmp_path, {})
    assert KINDS[name].refusal in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if kind.settings or not kind.refusal]
)
def test_a_file_is_read_right(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    write(tmp_path, kind)
    type_ = kind.settings.get("untyped_type")
    expected = [(surface, type_ or label) for surface, label in ENTITIES]
    assert read(tmp_path, kind.settings) == expected
