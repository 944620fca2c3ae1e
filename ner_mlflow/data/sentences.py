"""Define a sentence of words and IOB2 tags, and a corpus of such sentences in Arrow tables."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Self, cast, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import DataError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
BATCH_SENTENCES = 16_384
"""Sentences of one Arrow batch."""
MOST_TAGS = 10_000
"""A column with more different values does not hold tags."""
CACHED_SENTENCES = 65_536
"""A table with no more sentences keeps them as objects once they were read."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with one IOB2 tag each.

    Attributes:
        tokens: the words.
        tags: the tag of each word.
        document: name of the post, ticket or file that holds the sentence, if the source gives it.
        origin: position in the source (``file:line`` or ``split, row n``), for messages.
        text: the piece of running text that the sentence was cut from, up to where the next
            sentence begins, so that the texts of a document's sentences join to its text. None if
            the source gives words only.
        starts: offset of each word in ``text``, in code points; None without a text.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None = None
    origin: str = ""
    text: str | None = None
    starts: tuple[int, ...] | None = None


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BATCH = pa.schema(
    [
        pa.field("tokens", pa.list_(pa.string()), nullable=False),
        pa.field("tags", pa.list_(pa.int16()), nullable=False),
        pa.field("document", pa.string()),
        pa.field("place", pa.int32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("starts", pa.list_(pa.int32())),
    ]
)
"""Columns of a batch: ``tags`` are numbers of tag names, and an origin is the text number ``place``
followed by ``position``, unless that is negative."""

TagIds = NDArray[np.int16]


class Sentences(Sequence[Sentence]):
    """Sentences in Arrow batches, so that a large corpus fits memory.

    It behaves like a tuple of :class:`Sentence`. A selection shares the batches of its source.
    """

    def __init__(
        self,
        batches: Sequence[pa.RecordBatch],
        tag_names: Sequence[str],
        places: Sequence[str],
        order: NDArray[np.int64] | None = None,
    ) -> None:
        """
        Args:
            batches: sentences, in the columns of this module.
            tag_names: the tag of each number.
            places: the first part of the origins, by number.
            order: the numbers of the sentences to hold; None: all, in their order.
        """
        self.tag_names = tuple(tag_names)
        self._batches = tuple(batches)
        self._places = tuple(places)
        self._ends = np.cumsum([0, *(batch.num_rows for batch in batches)])
        self._order = order
        self._cache: list[Sentence] | None = None

    @classmethod
    def of(cls, sentences: Iterable[Sentence]) -> "Sentences":
        """Return the sentences as a table; a table is returned as it is."""
        if isinstance(sentences, Sentences):
            return sentences
        builder = SentencesBuilder()
        for sentence in sentences:
            builder.append_sentence(sentence)
        return builder.finish()

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._order is None else len(self._order)

    def __iter__(self) -> Iterator[Sentence]:
        cached = self._cached()
        return self._decode_all() if cached is None else iter(cached)

    @overload
    def __getitem__(self, index: int) -> Sentence: ...

    @overload
    def __getitem__(self, index: slice) -> "Sentences": ...

    def __getitem__(self, index: int | slice) -> "Sentence | Sentences":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        if (cached := self._cached()) is not None:
            return cached[index]
        number = index % len(self)
        row = number if self._order is None else int(self._order[number])
        batch = int(np.searchsorted(self._ends, row, side="right")) - 1
        part = self._batches[batch].slice(row - int(self._ends[batch]), 1)
        return next(self._sentences(part))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Sentences, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(map(Sentence.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]  # it equals lists

    def __repr__(self) -> str:
        return f"Sentences({list(self[:3])}{', ...' if len(self) > 3 else ''})"

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Self:
        """Return the sentences of these numbers, in this order; no text is copied."""
        numbers = np.asarray(rows, dtype=np.int64)
        order = numbers if self._order is None else self._order[numbers]
        return type(self)(self._batches, self.tag_names, self._places, order)

    def rename_tags(self, rename: Callable[[str], str]) -> Self:
        """Return the sentences with each tag name replaced; equal results become one tag."""
        renamed = [rename(name) for name in self.tag_names]
        if renamed == list(self.tag_names):
            return self
        names = tuple(dict.fromkeys(renamed))
        ids = np.array([names.index(name) for name in renamed], dtype=np.int16)
        return self.map_tags(lambda tags, _: ids[tags], names)

    def map_tags(
        self, change: Callable[[TagIds, NDArray[np.int64]], TagIds], tag_names: Sequence[str]
    ) -> Self:
        """Return the sentences with other tags.

        Args:
            change: gets the tag numbers of a batch in a row, and the position where each sentence
                of it begins; returns as many numbers of the new names.
            tag_names: the new tag of each number.
        """
        batches = []
        for batch in self._batches:
            tags = batch.column("tags")
            changed = pa.ListArray.from_arrays(
                tags.offsets, pa.array(change(*_flat(batch)), pa.int16())
            )
            index = batch.schema.get_field_index("tags")
            batches.append(batch.set_column(index, _BATCH.field("tags"), changed))
        return type(self)(batches, tag_names, self._places, self._order)

    def flat_tags(self) -> Iterator[tuple[int, TagIds, NDArray[np.int64]]]:
        """Yield for each batch its first sentence's number, all tag numbers, and the position where
        each sentence begins; for a table that holds all sentences of its batches."""
        assert self._order is None
        yield from self._flat_tags()

    def _flat_tags(self) -> Iterator[tuple[int, TagIds, NDArray[np.int64]]]:
        for first, batch in zip(self._ends[:-1], self._batches, strict=True):
            yield int(first), *_flat(batch)

    def count_tags(self) -> dict[str, int]:
        """Return how often each tag occurs; tags that do not occur are left out."""
        counts = np.zeros(len(self.tag_names), dtype=np.int64)
        uses = None if self._order is None else np.bincount(self._order, minlength=self._ends[-1])
        for first, tags, starts in self._flat_tags():
            weights = None
            if uses is not None:
                lengths = np.diff(starts, append=len(tags))
                weights = np.repeat(uses[first : first + len(starts)], lengths)
            counts += np.bincount(tags, weights, len(counts)).astype(np.int64)
        named = zip(self.tag_names, counts.tolist(), strict=True)
        return {name: count for name, count in named if count}

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of words of each sentence."""
        columns = [batch.column("tokens").value_lengths().to_numpy() for batch in self._batches]
        lengths = np.concatenate([np.zeros(0, dtype=np.int32), *columns])
        return (lengths if self._order is None else lengths[self._order]).astype(np.int64)

    def find_tags(self, names: Collection[str]) -> Iterator[tuple[Sentence, int]]:
        """Yield the sentence and the position in it of each tag with one of these names."""
        wanted = np.array([name in names for name in self.tag_names], dtype=bool)
        if not wanted.any():
            return
        for sentence in self:
            for position, tag in enumerate(sentence.tags):
                if tag in names:
                    yield sentence, position

    def document_ids(self) -> NDArray[np.int64]:
        """Return the number of the document of each sentence, from 0 without gaps.

        A sentence without a document is one of its own.
        """
        columns = [batch.column("document") for batch in self._batches]
        names = pa.chunked_array(columns, pa.string())
        if names.null_count == len(names):
            return np.arange(len(self))
        ids = names.combine_chunks().dictionary_encode().indices.fill_null(-1)
        numbers = ids.to_numpy().astype(np.int64)
        numbers = numbers if self._order is None else numbers[self._order]
        alone = np.flatnonzero(numbers < 0)
        numbers[alone] = np.arange(len(alone)) + len(names)
        return np.unique(numbers, return_inverse=True)[1]

    @property
    def arrow_bytes(self) -> int:
        """The size of the batches in memory."""
        return sum(batch.nbytes for batch in self._batches)

    def _cached(self) -> list[Sentence] | None:
        """Return the sentences as objects if they are few, else None."""
        if self._cache is None and len(self) <= CACHED_SENTENCES:
            self._cache = list(self._decode_all())
        return self._cache

    def _decode_all(self) -> Iterator[Sentence]:
        for batch in self._slices():
            yield from self._sentences(batch)

    def _slices(self) -> Iterator[pa.RecordBatch]:
        """Yield the sentences as parts of batches, in order."""
        if self._order is None:
            yield from self._batches
            return
        numbers = np.searchsorted(self._ends, self._order, side="right") - 1
        changes = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
        for begin, end in pairwise([0, *changes, len(numbers)]):
            if begin < end:
                number = int(numbers[begin])
                rows = self._order[begin:end] - self._ends[number]
                yield _take(self._batches[number], rows)

    def _sentences(self, batch: pa.RecordBatch) -> Iterator[Sentence]:
        names, places = self.tag_names, self._places
        tokens, tags, documents, place, position, texts, starts = (
            column.to_pylist() for column in batch.columns
        )
        for row in range(batch.num_rows):
            number = position[row]
            yield Sentence(
                tuple(tokens[row]),
                tuple([names[tag] for tag in tags[row]]),
                documents[row],
                places[place[row]] + (str(number) if number >= 0 else ""),
                texts[row],
                None if starts[row] is None else tuple(starts[row]),
            )


class SentencesBuilder:
    """Collects sentences and builds their table."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._tag_ids: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._clear()

    def append(
        self,
        tokens: Sequence[str],
        tags: Sequence[str],
        place: str,
        position: int = -1,
        document: str | None = None,
        text: str | None = None,
        starts: Sequence[int] | None = None,
    ) -> None:
        """Append a sentence, of which the arguments are as those of :class:`Sentence`.

        Args:
            tokens: the words.
            tags: their tags.
            place: the first part of the origin, such as ``train.conll:``.
            position: the number that ends the origin, such as a line; negative: none.
            document: the document.
            text: the text.
            starts: the offsets of the words.

        Raises:
            DataError: there are too many different tags.
        """
        ids = self._tag_ids
        if len(ids) > MOST_TAGS:
            raise DataError(
                f"{place}{position}: more than {MOST_TAGS:,} different tags, so not a column of "
                "tags: choose another as tag_column"
            )
        self._tokens.extend(tokens)
        self._ends.append(len(self._tokens))
        self._tags.extend([ids.setdefault(tag, len(ids)) for tag in tags])
        rows = self._rows
        rows[0].append(document)
        rows[1].append(self._places.setdefault(place, len(self._places)))
        rows[2].append(position)
        rows[3].append(text)
        rows[4].append(starts)
        if len(self._ends) > BATCH_SENTENCES:
            self._flush()

    def append_sentence(self, sentence: Sentence) -> None:
        """Append a sentence."""
        self.append(
            sentence.tokens,
            sentence.tags,
            sentence.origin,
            -1,
            sentence.document,
            sentence.text,
            sentence.starts,
        )

    def finish(self) -> Sentences:
        """Return the table."""
        self._flush()
        return Sentences(self._batches, list(self._tag_ids), list(self._places))

    def _clear(self) -> None:
        self._tokens: list[str] = []
        self._tags: list[int] = []
        self._ends = [0]
        self._rows: tuple[list[object], ...] = ([], [], [], [], [])

    def _flush(self) -> None:
        if len(self._ends) == 1:
            return
        self._check_text()
        offsets = pa.array(self._ends, pa.int32())
        tokens = pa.ListArray.from_arrays(offsets, pa.array(self._tokens, pa.string()))
        tags = pa.ListArray.from_arrays(
            offsets, pa.array(np.array(self._tags, dtype=np.int16), pa.int16())
        )
        rest = [
            pa.array(values, _BATCH.field(number).type)
            for number, values in enumerate(self._rows, start=2)
        ]
        self._batches.append(pa.RecordBatch.from_arrays([tokens, tags, *rest], schema=_BATCH))
        self._clear()

    def _check_text(self) -> None:
        """Refuse halves of surrogate pairs, which JSON can carry and UTF-8 cannot."""
        documents, places, positions, *_ = self._rows
        names = [name for name in documents if isinstance(name, str)]
        if not _LONE_SURROGATE.search("\0".join(chain(self._tokens, self._tag_ids, names))):
            return
        tags = list(self._tag_ids)
        for row, (start, end) in enumerate(pairwise(self._ends)):
            of_row = (
                *self._tokens[start:end],
                *(tags[tag] for tag in self._tags[start:end]),
                str(documents[row]),
            )
            if broken := next(filter(_LONE_SURROGATE.search, of_row), None):
                place = list(self._places)[cast("int", places[row])]
                position = cast("int", positions[row])
                raise DataError(
                    f"{place}{position if position >= 0 else ''}: {broken!r} is not text: it holds "
                    "half of a surrogate pair, write the whole character"
                )


Corpus = Mapping[str, Sequence[Sentence]]
"""Sentences by split name, in source order."""


def _take(batch: pa.RecordBatch, rows: NDArray[np.int64]) -> pa.RecordBatch:
    """Return rows of a batch; rows beside each other are not copied."""
    is_run = len(rows) == 1 or bool((np.diff(rows) == 1).all())
    return batch.slice(int(rows[0]), len(rows)) if is_run else batch.take(pa.array(rows))


def _flat(batch: pa.RecordBatch) -> tuple[TagIds, NDArray[np.int64]]:
    tags = batch.column("tags")
    starts = tags.offsets.to_numpy()[:-1].astype(np.int64)
    return tags.values.to_numpy(), starts
