"""Define a sentence of words and IOB2 tags, and a corpus of such sentences."""

from dataclasses import dataclass

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with one IOB2 tag each.

    Attributes:
        tokens: the words.
        tags: the tag of each word.
        document: name of the post, ticket or file that holds the sentence, if the source gives it.
        origin: position in the source (``file:line`` or ``split, row n``), for messages.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None = None
    origin: str = ""


Corpus = dict[str, list[Sentence]]
"""Sentences by split name, in source order."""
