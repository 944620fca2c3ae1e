"""Tokenise and align: words to windows of subwords, windows to batches, window scores to words.

Training, evaluation, export and the served model all use this module and no other, so a model sees
the same inputs everywhere. It needs only `tokenizers` and numpy.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, filterfalse

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .casing import KNOWN_WORD_CHARACTERS, casing
from .cutting import ALPHANUMERIC
from .invisible import visible

Inputs = dict[str, NDArray[np.int64]]
"""Inputs of an encoder by name, each of shape (batch, length)."""
Subwords = tuple[tuple[int, ...], tuple[int, ...]]
"""Ids of a word's subwords, and the word's casing for each; empty without casing embeddings."""
IGNORED = -100
"""Label id of positions that have no label, as PyTorch's cross entropy expects it."""
KNOWN_WORDS = 65_536
"""Largest number of words whose subwords an encoder remembers."""
KNOWN_WORD_SUBWORDS = 16
"""Words of more subwords are not remembered either, so what is remembered takes 70 MB at most."""
WORDS_AT_ONCE = 256
"""New words that the tokenizer gets in one sequence."""
CHARACTERS_AT_ONCE = 16_384
"""Characters that the tokenizer gets in one call; it takes some 500 bytes for each of them."""
LONGEST_ENCODED = 1024
"""Characters of a piece that a tokenizer gets; the rest of a longer one is not looked at."""
MOST_MARK_SUBWORDS = 16
"""Subwords that a piece without letters and digits (a ruled line) keeps, lest it fill a window."""
OVERLAP = 0.25
"""Share of a window that the next window repeats, so that every word has context on both sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive words of one sentence as subwords.

    Attributes:
        sentence: index of the sentence.
        first_word: index of the window's first word in the sentence.
        input_ids: shape (length,), special tokens included.
        word_positions: shape (words,); ``word_positions[i]`` is the index in ``input_ids`` of the
            first subword of word ``first_word + i``.
        casings: the casing of each subword's word, shape (length,); None for models without casing
            embeddings.
    """

    sentence: int
    first_word: int
    input_ids: NDArray[np.int64]
    word_positions: NDArray[np.int64]
    casings: NDArray[np.int64] | None = None

    @property
    def content(self) -> tuple[bytes, ...]:
        """Return all that the scores of the window's words depend on."""
        casings = b"" if self.casings is None else self.casings.tobytes()
        return self.input_ids.tobytes(), self.word_positions.tobytes(), casings


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Words as subwords.

    ``sizes`` counts the subwords of each word, ``ids`` holds all of them in a row, and ``casings``
    the casing of each subword's word (empty for models without casing embeddings).
    """

    sizes: list[int]
    ids: list[int]
    casings: list[int]

    def words(self, first: int, last: int) -> "_Pieces":
        """Return the subwords of the words from ``first`` up to ``last``, which is excluded."""
        start, end = sum(self.sizes[:first]), sum(self.sizes[:last])
        return _Pieces(self.sizes[first:last], self.ids[start:end], self.casings[start:end])


NOTHING = _Pieces([], [], [])


class WordEncoder:
    """An encoder of sentences into windows of at most ``max_length`` subwords."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int,
        casing_embeddings: bool = False,
        context_subwords: int = 0,
    ) -> None:
        """
        Args:
            tokenizer: copied; the copy neither pads nor truncates.
            max_length: largest number of subwords in a window.
            casing_embeddings: whether to fill ``Window.casings``.
            context_subwords: largest number of subwords of the sentences before, and of those
                after, that a window shows where it has room.

        Raises:
            ValueError: the window has no room for a word.
        """
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Encoders put one special token before a sequence and the rest after it: [CLS] x [SEP].
        wrapping = self._tokenizer.encode("").ids
        self._before, self._after = wrapping[:1], wrapping[1:]
        self._budget = max_length - len(wrapping)
        if self._budget < 1:
            raise ValueError(
                f"max_length={max_length} leaves no room beside {len(wrapping)} special tokens"
            )
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        unknown_id = self._tokenizer.token_to_id(unknown) if unknown else None
        self._unknown_id = next(iter(wrapping), 0) if unknown_id is None else unknown_id
        self._casing_embeddings = casing_embeddings
        self._context_subwords = context_subwords
        self._known: dict[str, Subwords] = {}
        self.max_length = max_length

    def windows(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Window]:
        """Return the windows of the sentences, in order; a sentence without words has none.

        Every word has a position. A word that the tokenizer drops, such as a control character,
        becomes the unknown token. A word that does not fit a window is cut after the subwords that
        fit.

        Args:
            sentences: their words.
            documents: the document of each sentence; neighbours within a document are each other's
                context. None: all belong to one document.
        """
        encoded = self._encode(sentences)
        if len(encoded) == 1 and 0 < len(encoded[0].ids) <= self._budget:
            return [self._window(0, 0, encoded[0], NOTHING, NOTHING)]
        windows: list[Window] = []
        for index, pieces in enumerate(encoded):
            for first, last in self._cuts(pieces):
                is_sentence = last - first == len(pieces.sizes)
                before, after = (
                    self._context(encoded, index, documents)
                    if self._context_subwords and is_sentence
                    else (NOTHING, NOTHING)
                )
                shown = pieces if is_sentence else pieces.words(first, last)
                windows.append(self._window(index, first, shown, before, after))
        return windows

    def _encode(self, sentences: Sequence[Sequence[str]]) -> list[_Pieces]:
        subwords = self._subwords(sentences)
        encoded = []
        for words in sentences:
            ids, casings = (
                zip(*map(subwords.__getitem__, words), strict=True) if words else ((), ())
            )
            encoded.append(
                _Pieces(
                    list(map(len, ids)),
                    list(chain.from_iterable(ids)),
                    list(chain.from_iterable(casings)),
                )
            )
        return encoded

    def _subwords(self, sentences: Sequence[Sequence[str]]) -> Mapping[str, Subwords]:
        """Return the subwords of these words, and possibly of others.

        A tokenizer splits pretokenised words one by one, so a word has the same subwords in any
        sentence and can be remembered.
        """
        known = self._known
        missing = set(filterfalse(known.__contains__, chain.from_iterable(sentences)))
        if not missing:
            return known
        fresh = self._tokenize(list(missing))
        words = set(chain.from_iterable(sentences))
        remembered = {word: known[word] for word in words - missing}
        short = {
            word: subwords
            for word, subwords in fresh.items()
            if len(word) <= KNOWN_WORD_CHARACTERS and len(subwords[0]) <= KNOWN_WORD_SUBWORDS
        }
        if len(known) + len(short) > KNOWN_WORDS:
            known = {}
            self._known = known  # a new dict: other threads may still read the old one
        if len(short) <= KNOWN_WORDS:
            known.update(short)
        return remembered | fresh

    def _tokenize(self, words: Sequence[str]) -> dict[str, Subwords]:
        pieces: list[list[int]] = []
        most_of_marks = min(self._budget, MOST_MARK_SUBWORDS)
        for sequences in _calls([visible(word[:LONGEST_ENCODED]) for word in words]):
            if len(sequences) == 1:  # encode_batch would wake the tokenizer's threads
                encodings = [
                    self._tokenizer.encode(
                        sequences[0], is_pretokenized=True, add_special_tokens=False
                    )
                ]
            else:
                encodings = self._tokenizer.encode_batch(
                    sequences, is_pretokenized=True, add_special_tokens=False
                )
            for sequence, encoding in zip(sequences, encodings, strict=True):
                of_sequence: list[list[int]] = [[] for _ in sequence]
                for id_, position in zip(encoding.ids, encoding.word_ids, strict=True):
                    assert position is not None  # only special tokens belong to no word
                    of_sequence[position].append(id_)
                pieces += [
                    of_text[: self._budget if ALPHANUMERIC.search(text) else most_of_marks]
                    for text, of_text in zip(sequence, of_sequence, strict=True)
                ]
        return {
            word: self._with_casing(word, tuple(piece or [self._unknown_id]))
            for word, piece in zip(words, pieces, strict=True)
        }

    def _with_casing(self, word: str, ids: tuple[int, ...]) -> Subwords:
        if not self._casing_embeddings:
            return ids, ()
        return ids, _repeated(casing(word[:LONGEST_ENCODED]), len(ids))

    def _context(
        self, encoded: Sequence[_Pieces], index: int, documents: Sequence[Hashable] | None
    ) -> tuple[_Pieces, _Pieces]:
        """Return the last subwords before a sentence and the first after it, as far as they fit."""
        room = self._budget - len(encoded[index].ids)
        before, after = (self._neighbours(encoded, index, step, documents) for step in (-1, 1))
        wanted_before, wanted_after = (
            min(self._context_subwords, len(side.ids)) for side in (before, after)
        )
        # Room that one side does not need goes to the other.
        left = min(wanted_before, max(room // 2, room - wanted_after))
        right = min(wanted_after, room - left)
        start = len(before.ids) - left
        return _Pieces([], before.ids[start:], before.casings[start:]), _Pieces(
            [], after.ids[:right], after.casings[:right]
        )

    def _neighbours(
        self,
        encoded: Sequence[_Pieces],
        index: int,
        step: int,
        documents: Sequence[Hashable] | None,
    ) -> _Pieces:
        """Return the sentences on one side until they fill the context or the document ends."""
        neighbours: list[_Pieces] = []
        missing, position = self._context_subwords, index + step
        while (
            missing > 0
            and 0 <= position < len(encoded)
            and (documents is None or documents[position] == documents[index])
        ):
            neighbours.append(encoded[position])
            missing -= len(encoded[position].ids)
            position += step
        in_order = neighbours[::step]
        return _Pieces(
            [],
            [id_ for pieces in in_order for id_ in pieces.ids],
            [word_casing for pieces in in_order for word_casing in pieces.casings],
        )

    def _cuts(self, pieces: _Pieces) -> Iterator[tuple[int, int]]:
        sizes = pieces.sizes
        if sizes and len(pieces.ids) <= self._budget:  # nearly always
            yield 0, len(sizes)
            return
        first = 0
        while first < len(sizes):
            last, used = first, 0
            while last < len(sizes) and used + sizes[last] <= self._budget:
                used += sizes[last]
                last += 1
            yield first, last
            if last == len(sizes):
                return
            # Repeat as many words as the overlap allows, and leave room for the next word.
            limit = min(OVERLAP * self._budget, self._budget - sizes[last])
            overlap, next_first = 0, last
            while next_first - 1 > first and overlap + sizes[next_first - 1] <= limit:
                next_first -= 1
                overlap += sizes[next_first]
            first = next_first

    def _window(
        self, sentence: int, first_word: int, pieces: _Pieces, before: _Pieces, after: _Pieces
    ) -> Window:
        starts = list(accumulate(pieces.sizes[:-1], initial=len(self._before) + len(before.ids)))
        ids = [*self._before, *before.ids, *pieces.ids, *after.ids, *self._after]
        casings = None
        if self._casing_embeddings:
            casings = np.array(
                [
                    *[0] * len(self._before),
                    *before.casings,
                    *pieces.casings,
                    *after.casings,
                    *[0] * len(self._after),
                ],
                dtype=np.int64,
            )
        return Window(
            sentence,
            first_word,
            np.array(ids, dtype=np.int64),
            np.array(starts, dtype=np.int64),
            casings,
        )


@lru_cache
def _repeated(value: int, count: int) -> tuple[int, ...]:
    """Return the same tuple each time, so that words share it."""
    return (value,) * count


def _calls(texts: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield the sequences of each call of a tokenizer."""
    first, characters = 0, 0
    for index, text in enumerate([*texts, ""]):
        characters += len(text)
        if first < index and (characters > CHARACTERS_AT_ONCE or index == len(texts)):
            yield [
                list(texts[start : min(start + WORDS_AT_ONCE, index)])
                for start in range(first, index, WORDS_AT_ONCE)
            ]
            first, characters = index, len(text)


def label_window(window: Window, tag_ids: Sequence[int]) -> NDArray[np.int64]:
    """Return the label ids of a window's subwords, shape (length,).

    The first subword of a word has the word's tag id, all other positions are IGNORED.

    Args:
        window: the window.
        tag_ids: tag ids of all words of the window's sentence.
    """
    labels = np.full(len(window.input_ids), IGNORED, dtype=np.int64)
    labels[window.word_positions] = tag_ids[
        window.first_word : window.first_word + len(window.word_positions)
    ]
    return labels


def distinct_batches(
    batches_of_windows: Sequence[list[Window]],
) -> tuple[list[list[Window]], list[int]]:
    """Return each batch once, and for each given batch the index of its equal among these.

    Code, tables and ruled lines repeat windows within long sentences, and batches of the same
    windows need one computation. Batches stay as they are, because the scores of a quantised model
    depend on the whole batch.
    """
    if len(batches_of_windows) == 1:
        return list(batches_of_windows), [0]
    distinct: dict[tuple[bytes, ...], int] = {}
    kept: list[list[Window]] = []
    indices: list[int] = []
    for batch in batches_of_windows:
        index = distinct.setdefault(
            tuple(part for window in batch for part in window.content), len(kept)
        )
        if index == len(kept):
            kept.append(batch)
        indices.append(index)
    return kept, indices


def batches(windows: Sequence[Window], batch_subwords: int) -> Iterator[list[int]]:
    """Yield batches of window indices, the longest windows first.

    A batch has at most ``batch_subwords`` padded subwords, unless a single window exceeds them.
    """
    order = sorted(range(len(windows)), key=lambda index: (-len(windows[index].input_ids), index))
    start = 0
    while start < len(order):
        size = max(1, batch_subwords // len(windows[order[start]].input_ids))
        yield order[start : start + size]
        start += size


def pad(sequences: Sequence[NDArray[np.int64]], value: int) -> NDArray[np.int64]:
    """Pad sequences on the right with ``value``; returns shape (sequences, longest length)."""
    if len(sequences) == 1:
        return sequences[0][None]
    padded = np.full(
        (len(sequences), max(len(sequence) for sequence in sequences)), value, dtype=np.int64
    )
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return padded


def attention_mask(sequences: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return 1 for each subword and 0 for padding, in the shape that :func:`pad` returns."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask: NDArray[np.int64] = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    return mask


def collate(windows: Sequence[Window], pad_id: int) -> Inputs:
    """Return the encoder's inputs for a batch of windows, padded on the right.

    These are ``input_ids``, ``attention_mask`` and, for windows with casings, ``token_type_ids``.
    """
    if len(windows) == 1:
        (window,) = windows
        one = {
            "input_ids": window.input_ids[None],
            "attention_mask": np.ones((1, len(window.input_ids)), dtype=np.int64),
        }
        return one if window.casings is None else {**one, "token_type_ids": window.casings[None]}
    ids = [window.input_ids for window in windows]
    inputs = {"input_ids": pad(ids, pad_id), "attention_mask": attention_mask(ids)}
    casings = [window.casings for window in windows if window.casings is not None]
    return {**inputs, "token_type_ids": pad(casings, 0)} if casings else inputs


def merge(
    windows: Sequence[Window],
    scores: Sequence[NDArray[np.float32]],
    lengths: Sequence[int],
    labels: int,
) -> list[NDArray[np.float32]]:
    """Merge scores of windows into scores of sentences.

    A word that two windows share takes the scores of the window in which it is farther from an
    edge.

    Args:
        windows: windows in any order.
        scores: for each window, shape (its words, labels).
        lengths: number of words of each sentence.
        labels: number of columns of the scores.

    Returns:
        For each sentence, shape (its words, labels).
    """
    merged = [np.empty((0, labels), dtype=np.float32)] * len(lengths)
    margins: dict[int, NDArray[np.int64]] = {}
    for window, values in zip(windows, scores, strict=True):
        sentence, count = window.sentence, len(values)
        if count == lengths[sentence]:  # the sentence's only window
            merged[sentence] = values
            continue
        if sentence not in margins:
            merged[sentence] = np.zeros((lengths[sentence], labels), dtype=np.float32)
            margins[sentence] = np.full(lengths[sentence], -1)
        margin = np.minimum(np.arange(count), np.arange(count)[::-1])
        words = slice(window.first_word, window.first_word + count)
        better = margin > margins[sentence][words]
        merged[sentence][words][better] = values[better]
        margins[sentence][words][better] = margin[better]
    return merged
