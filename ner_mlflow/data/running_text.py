"""Put the sentences of a split together to running texts, as users send them to a model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..tagging.iob2 import Entity, to_entities
from ..tagging.joining import join_words
from ..tagging.words import ends_closely
from .sentences import Sentence

RAW, STANDIN = "raw", "standin"
"""Kinds of running text: as the source gives it; made of the words of a source without text."""
KINDS = (RAW, STANDIN)
KIND_NAMES = {RAW: "raw texts", STANDIN: "texts joined from words"}
"""Kind of running text -> what readers call it."""


@dataclass(frozen=True, slots=True)
class RunningText:
    """A text with its words and its entities; all offsets count code points.

    Attributes:
        name: the document, or where the text stands in the source.
        text: the text.
        document: the document, if the source gives it.
        words: the start and end of each word.
        entities: the entities, in order.
        sentence_lengths: the number of words of each sentence.
    """

    name: str
    text: str
    document: str | None
    words: tuple[tuple[int, int], ...]
    entities: tuple[Entity, ...]
    sentence_lengths: tuple[int, ...]


@dataclass(frozen=True)
class RunningTexts:
    """The texts of a split, all of one kind of :data:`KINDS`."""

    kind: str
    texts: tuple[RunningText, ...]


def text_kind(sentences: Iterable[Sentence]) -> str:
    """Return ``raw`` if all sentences were given with their text, else ``standin``."""
    return RAW if all(sentence.text is not None for sentence in sentences) else STANDIN


def running_texts(sentences: Sequence[Sentence]) -> RunningTexts:
    """Return the texts of sentences: raw where all are known, else a stand-in."""
    kind = text_kind(sentences)
    join = joined_texts if kind == RAW else standin_texts
    return RunningTexts(kind, tuple(join(sentences)))


def joined_texts(sentences: Iterable[Sentence]) -> Iterator[RunningText]:
    """Yield the texts that sentences were cut from.

    Consecutive sentences from one text are joined again, even if some between them are missing. A
    sentence without a text becomes a text of its own, its words joined as its language writes them.

    Args:
        sentences: sentences in valid IOB2.
    """
    return (_join(group) for group in _groups(sentences, _continues))


def standin_texts(sentences: Sequence[Sentence]) -> Iterator[RunningText]:
    """Yield texts that stand for those of a source that gives words.

    The words of a sentence are joined as its language writes them. Each sentence of a document is
    a line of the document's text. A sentence without a document is a text of its own, as are all
    sentences where the split is one document, because intervals and tests draw whole texts.

    Args:
        sentences: sentences in valid IOB2. Those that have a text keep it.
    """
    is_one = len({sentence.document for sentence in sentences}) == 1

    def in_document(previous: Sentence, sentence: Sentence) -> bool:
        return not is_one and previous.document == sentence.document is not None

    return (_join(group, line_break=True) for group in _groups(sentences, in_document))


def _continues(previous: Sentence, sentence: Sentence) -> bool:
    """Return whether a sentence comes from the same text as the one before it.

    Every sentence of a text but the last ends in white space, or in a mark such as ``。``, after
    which there is none.
    """
    return (
        previous.text is not None
        and sentence.text is not None
        and (previous.document, previous.origin) == (sentence.document, sentence.origin)
        and (previous.text[-1:].isspace() or ends_closely(previous.tokens))
    )


def _groups(
    sentences: Iterable[Sentence], belongs: Callable[[Sentence, Sentence], bool]
) -> Iterator[list[Sentence]]:
    """Yield consecutive sentences of which each belongs to the one before it."""
    held: list[Sentence] = []
    for sentence in sentences:
        if held and not belongs(held[-1], sentence):
            yield held
            held = []
        held.append(sentence)
    if held:
        yield held


def _join(sentences: list[Sentence], line_break: bool = False) -> RunningText:
    """Join sentences to one text, if wanted with a line break where no white space is between."""
    text = ""
    words: list[tuple[int, int]] = []
    entities: list[Entity] = []
    for sentence in sentences:
        if line_break and text and not text[-1].isspace():
            text += "\n"
        piece, starts = _text_and_starts(sentence)
        bounds = [
            (len(text) + start, len(text) + start + len(token))
            for start, token in zip(starts, sentence.tokens, strict=True)
        ]
        entities += [
            Entity(bounds[entity.start][0], bounds[entity.end - 1][1], entity.type)
            for entity in to_entities(sentence.tags)
        ]
        words += bounds
        text += piece
    first = sentences[0]
    lengths = tuple(len(sentence.tokens) for sentence in sentences)
    name = first.document or first.origin
    return RunningText(name, text, first.document, tuple(words), tuple(entities), lengths)


def _text_and_starts(sentence: Sentence) -> tuple[str, Sequence[int]]:
    if sentence.text is not None and sentence.starts is not None:
        return sentence.text, sentence.starts
    return join_words(sentence.tokens)
