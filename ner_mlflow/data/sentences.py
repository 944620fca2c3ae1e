"""The value that flows through data preparation: a sentence of words and IOB2 tags."""

from dataclasses import dataclass

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with one IOB2 tag each.

    ``document`` names the post, ticket or file the sentence was cut from, where the source says so.
    ``origin`` is where it stands in the source (``file:line`` or ``split, row n``), for messages.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None = None
    origin: str = ""


Corpus = dict[str, list[Sentence]]
"""Sentences by split name, in source order."""
