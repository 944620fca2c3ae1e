"""The only tokenise-and-align: words to windows of subwords, batches of windows to arrays, window scores back to words.

Training, evaluation, export and the served model all pass here, so a model sees the same input everywhere. Needs only
`tokenizers` and numpy.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .casing import casing

Inputs = dict[str, NDArray[np.int64]]
"""What an encoder takes, by name; each of shape (batch, length)."""
IGNORED = -100
"""Label of positions without one, as PyTorch's cross entropy expects."""
KNOWN_WORDS = 65_536
"""Words whose subwords an encoder remembers, at most."""
KNOWN_WORD_CHARACTERS = 64
"""Longer words (encoded data, minified code) do not come again and are not remembered."""
WORDS_AT_ONCE = 256
"""Unknown words that the tokenizer gets in one sequence."""
OVERLAP = 0.25
"""Share of a window that the next one repeats, so that every word is seen with context on both sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive words of one sentence as subwords.

    ``input_ids`` has shape (length,), special tokens included; ``word_positions[i]`` is where the first subword of word
    ``first_word + i`` of sentence ``sentence`` stands in it. ``casings``, of the same shape as ``input_ids``, says how each
    subword's word is written; None for models that do not look.
    """

    sentence: int
    first_word: int
    input_ids: NDArray[np.int64]
    word_positions: NDArray[np.int64]
    casings: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Words as subwords: how many each word has, all of them in a row, and the casing of each one's word (empty where none looks)."""

    sizes: list[int]
    ids: list[int]
    casings: list[int]

    def words(self, first: int, last: int) -> "_Pieces":
        """Those of some of the words."""
        start, end = sum(self.sizes[:first]), sum(self.sizes[:last])
        return _Pieces(self.sizes[first:last], self.ids[start:end], self.casings[start:end])


NOTHING = _Pieces([], [], [])


class WordEncoder:
    """Turns sentences of words into windows of at most ``max_length`` subwords."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int,
        casing_embeddings: bool = False,
        context_subwords: int = 0,
    ) -> None:
        """
        Args:
            tokenizer: used as it is, less its own padding and truncation.
            max_length: subwords of a window at most.
            casing_embeddings: fill ``Window.casings``.
            context_subwords: subwords of the sentences before, and of those after, that a window shows where it has room.

        Raises:
            ValueError: the window has no room for a word.
        """
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Encoders wrap a sequence as one token before and the rest after ([CLS] x [SEP], <s> x </s>).
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
        self._known: dict[str, tuple[int, ...]] = {}
        self.max_length = max_length

    def windows(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[Window]:
        """The windows of the sentences, in order; a sentence without words has none.

        A word that the tokenizer drops (a control character, say) stands as the unknown token; of a word longer than a whole
        window only the beginning is kept. So every word has a position.

        Args:
            sentences: their words.
            documents: what each sentence was cut from; neighbours of the same document are each other's context. None: one document.
        """
        encoded = self._encode(sentences)
        windows: list[Window] = []
        for index, pieces in enumerate(encoded):
            for first, last in self._cuts(pieces.sizes):
                whole = last - first == len(pieces.sizes)
                before, after = (
                    self._context(encoded, index, documents)
                    if self._context_subwords and whole
                    else (NOTHING, NOTHING)
                )
                windows.append(
                    self._window(
                        index, first, pieces if whole else pieces.words(first, last), before, after
                    )
                )
        return windows

    def _encode(self, sentences: Sequence[Sequence[str]]) -> list[_Pieces]:
        known = self._words(set(chain.from_iterable(sentences)))
        encoded = []
        for words in sentences:
            pieces = [known[word] for word in words]
            sizes = [len(piece) for piece in pieces]
            casings = (
                [
                    kind
                    for word, size in zip(words, sizes, strict=True)
                    for kind in (casing(word),) * size
                ]
                if self._casing_embeddings
                else []
            )
            encoded.append(_Pieces(sizes, list(chain.from_iterable(pieces)), casings))
        return encoded

    def _words(self, words: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
        """Each word's subwords. A tokenizer cuts words that are given apart one by one, so a word is the same in any sentence."""
        known = self._known
        found: dict[str, tuple[int, ...]] = {}
        missing: list[str] = []
        for word in words:
            if (of_word := known.get(word)) is None:
                missing.append(word)
            else:
                found[word] = of_word
        if not missing:
            return found
        fresh = self._tokenized(missing)
        kept = {
            word: of_word for word, of_word in fresh.items() if len(word) <= KNOWN_WORD_CHARACTERS
        }
        if len(known) + len(kept) > KNOWN_WORDS:
            known = (
                self._known
            ) = {}  # another one: threads that still read the old one lose nothing
        if len(kept) <= KNOWN_WORDS:
            known.update(kept)
        return found | fresh

    def _tokenized(self, words: Sequence[str]) -> dict[str, tuple[int, ...]]:
        parts = [
            words[first : first + WORDS_AT_ONCE] for first in range(0, len(words), WORDS_AT_ONCE)
        ]
        if len(parts) == 1:  # a batch of one would wake the tokenizer's threads
            encodings = [
                self._tokenizer.encode(parts[0], is_pretokenized=True, add_special_tokens=False)
            ]
        else:
            encodings = self._tokenizer.encode_batch(
                parts, is_pretokenized=True, add_special_tokens=False
            )
        tokenized = {}
        for part, encoding in zip(parts, encodings, strict=True):
            pieces: list[list[int]] = [[] for _ in part]
            for id_, place in zip(encoding.ids, encoding.word_ids, strict=True):
                assert (
                    place is not None
                )  # only special tokens belong to no word, and none were asked for
                pieces[place].append(id_)
            for word, piece in zip(part, pieces, strict=True):
                tokenized[word] = tuple((piece or [self._unknown_id])[: self._budget])
        return tokenized

    def _context(
        self, encoded: Sequence[_Pieces], index: int, documents: Sequence[Hashable] | None
    ) -> tuple[_Pieces, _Pieces]:
        """The last subwords before a sentence and the first after it, as many as the window has room for."""
        room = self._budget - len(encoded[index].ids)
        before, after = (self._neighbours(encoded, index, step, documents) for step in (-1, 1))
        wanted_before, wanted_after = (
            min(self._context_subwords, len(side.ids)) for side in (before, after)
        )
        # What one side does not need, the other may have.
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
        """Whole sentences on one side, until they hold the context or the document ends, in a row."""
        found: list[_Pieces] = []
        missing, place = self._context_subwords, index + step
        while (
            missing > 0
            and 0 <= place < len(encoded)
            and (documents is None or documents[place] == documents[index])
        ):
            found.append(encoded[place])
            missing -= len(encoded[place].ids)
            place += step
        in_order = found[::step]
        return _Pieces(
            [],
            [id_ for pieces in in_order for id_ in pieces.ids],
            [kind for pieces in in_order for kind in pieces.casings],
        )

    def _cuts(self, sizes: list[int]) -> Iterator[tuple[int, int]]:
        first = 0
        while first < len(sizes):
            last, used = first, 0
            while last < len(sizes) and used + sizes[last] <= self._budget:
                used += sizes[last]
                last += 1
            yield first, last
            if last == len(sizes):
                return
            # As many words again as the overlap allows and still leave room for the next one.
            most = min(OVERLAP * self._budget, self._budget - sizes[last])
            overlap, next_first = 0, last
            while next_first - 1 > first and overlap + sizes[next_first - 1] <= most:
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


def label_window(window: Window, tag_ids: Sequence[int]) -> NDArray[np.int64]:
    """Labels of a window's subwords: a word's tag id on its first, IGNORED elsewhere; shape (length,)."""
    labels = np.full(len(window.input_ids), IGNORED, dtype=np.int64)
    labels[window.word_positions] = tag_ids[
        window.first_word : window.first_word + len(window.word_positions)
    ]
    return labels


def batches(windows: Sequence[Window], batch_subwords: int) -> Iterator[list[int]]:
    """Indices of windows, longest first, in batches of at most ``batch_subwords`` padded subwords (one window at least)."""
    order = sorted(range(len(windows)), key=lambda index: (-len(windows[index].input_ids), index))
    start = 0
    while start < len(order):
        size = max(1, batch_subwords // len(windows[order[start]].input_ids))
        yield order[start : start + size]
        start += size


def pad(sequences: Sequence[NDArray[np.int64]], value: int) -> NDArray[np.int64]:
    """Sequences padded on the right to the longest; shape (len(sequences), longest)."""
    padded = np.full(
        (len(sequences), max(len(sequence) for sequence in sequences)), value, dtype=np.int64
    )
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return padded


def attention_mask(sequences: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """1 where :func:`pad` keeps a subword, 0 where it pads; same shape."""
    lengths = np.array([len(sequence) for sequence in sequences])
    mask: NDArray[np.int64] = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    return mask


def collate(windows: Sequence[Window], pad_id: int) -> Inputs:
    """What an encoder takes for a batch of windows: ``input_ids``, ``attention_mask`` and, where windows have casings,
    ``token_type_ids``; padded on the right."""
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
    """Scores by sentence from scores by window; a word in two windows takes them where it stands farther from an edge.

    Args:
        windows: windows in any order.
        scores: for each window, shape (its words, labels).
        lengths: words of each sentence.
        labels: columns of the scores.

    Returns:
        For each sentence, shape (its words, labels).
    """
    merged = [np.empty((0, labels), dtype=np.float32)] * len(lengths)
    margins: dict[int, NDArray[np.int64]] = {}
    for window, values in zip(windows, scores, strict=True):
        sentence, count = window.sentence, len(values)
        if count == lengths[sentence]:  # a whole sentence has one window
            merged[sentence] = values
            continue
        if sentence not in margins:
            merged[sentence] = np.zeros((lengths[sentence], labels), dtype=np.float32)
            margins[sentence] = np.full(lengths[sentence], -1)
        margin = np.minimum(np.arange(count), np.arange(count)[::-1])
        place = slice(window.first_word, window.first_word + count)
        better = margin > margins[sentence][place]
        merged[sentence][place][better] = values[better]
        margins[sentence][place][better] = margin[better]
    return merged
