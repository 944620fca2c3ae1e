"""The only tokenise-and-align: words to windows of sub-tokens, batches of windows to arrays, window scores back to words.

Training, evaluation, export and the served model all pass here, so a model sees the same input everywhere. Needs only
`tokenizers` and numpy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .casing import casing

Inputs = dict[str, NDArray[np.int64]]
"""What an encoder takes, by name; each of shape (batch, length)."""
IGNORED = -100
"""Label of positions without one, as PyTorch's cross entropy expects."""
OVERLAP = 0.25
"""Share of a window that the next one repeats, so that every word is seen with context on both sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive words of one sentence as sub-tokens.

    ``input_ids`` has shape (length,), special tokens included; ``word_positions[i]`` is where the first sub-token of word
    ``first_word + i`` of sentence ``sentence`` stands in it. ``casings``, of the same shape as ``input_ids``, says how each
    sub-token's word is written; None for models that do not look.
    """

    sentence: int
    first_word: int
    input_ids: NDArray[np.int64]
    word_positions: NDArray[np.int64]
    casings: NDArray[np.int64] | None = None


class WordEncoder:
    """Turns sentences of words into windows of at most ``max_length`` sub-tokens."""

    def __init__(self, tokenizer: Tokenizer, max_length: int, casing_embeddings: bool = False) -> None:
        """``tokenizer`` is used as it is, less its own padding and truncation; ``casing_embeddings`` fills ``Window.casings``.

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
            raise ValueError(f"max_length={max_length} leaves no room beside {len(wrapping)} special tokens")
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        unknown_id = self._tokenizer.token_to_id(unknown) if unknown else None
        self._unknown_id = wrapping[0] if unknown_id is None else unknown_id
        self._casing_embeddings = casing_embeddings
        self.max_length = max_length

    def windows(self, sentences: Sequence[Sequence[str]]) -> list[Window]:
        """The windows of the sentences, in order; a sentence without words has none.

        A word that the tokenizer drops (a control character, say) stands as the unknown token; of a word longer than a whole
        window only the beginning is kept. So every word has a position.
        """
        windows: list[Window] = []
        encodings = self._tokenizer.encode_batch(list(sentences), is_pretokenized=True, add_special_tokens=False)
        for index, (words, encoding) in enumerate(zip(sentences, encodings, strict=True)):
            pieces: list[list[int]] = [[] for _ in words]
            for id_, word in zip(encoding.ids, encoding.word_ids, strict=True):
                assert word is not None  # only special tokens belong to no word, and none were asked for
                pieces[word].append(id_)
            bounded = [(piece or [self._unknown_id])[: self._budget] for piece in pieces]
            casings = [casing(word) for word in words] if self._casing_embeddings else None
            for first, last in self._cuts([len(piece) for piece in bounded]):
                windows.append(self._window(index, first, bounded[first:last], casings and casings[first:last]))
        return windows

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

    def _window(self, sentence: int, first_word: int, pieces: list[list[int]], casings: list[int] | None) -> Window:
        sizes = [len(piece) for piece in pieces]
        starts = np.cumsum([len(self._before), *sizes[:-1]])
        ids = [*self._before, *(id_ for piece in pieces for id_ in piece), *self._after]
        spread = None
        if casings is not None:
            spread = np.zeros(len(ids), dtype=np.int64)
            spread[len(self._before) : len(self._before) + sum(sizes)] = np.repeat(casings, sizes)
        return Window(sentence, first_word, np.array(ids, dtype=np.int64), starts.astype(np.int64), spread)


def label_window(window: Window, tag_ids: Sequence[int]) -> NDArray[np.int64]:
    """Labels of a window's sub-tokens: a word's tag id on its first, IGNORED elsewhere; shape (length,)."""
    labels = np.full(len(window.input_ids), IGNORED, dtype=np.int64)
    labels[window.word_positions] = tag_ids[window.first_word : window.first_word + len(window.word_positions)]
    return labels


def batches(windows: Sequence[Window], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of windows, longest first, in batches of at most ``batch_tokens`` padded sub-tokens (one window at least)."""
    order = sorted(range(len(windows)), key=lambda index: (-len(windows[index].input_ids), index))
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // len(windows[order[start]].input_ids))
        yield order[start : start + size]
        start += size


def pad(sequences: Sequence[NDArray[np.int64]], value: int) -> NDArray[np.int64]:
    """Sequences padded on the right to the longest; shape (len(sequences), longest)."""
    padded = np.full((len(sequences), max(len(sequence) for sequence in sequences)), value, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return padded


def attention_mask(sequences: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """1 where :func:`pad` keeps a sub-token, 0 where it pads; same shape."""
    return pad([np.ones_like(sequence) for sequence in sequences], 0)


def collate(windows: Sequence[Window], pad_id: int) -> Inputs:
    """What an encoder takes for a batch of windows: ``input_ids``, ``attention_mask`` and, where windows have casings,
    ``token_type_ids``; padded on the right."""
    ids = [window.input_ids for window in windows]
    inputs = {"input_ids": pad(ids, pad_id), "attention_mask": attention_mask(ids)}
    casings = [window.casings for window in windows if window.casings is not None]
    return {**inputs, "token_type_ids": pad(casings, 0)} if casings else inputs


def merge(windows: Sequence[Window], scores: Sequence[NDArray[np.float32]], lengths: Sequence[int], labels: int) -> list[NDArray[np.float32]]:
    """Scores by sentence from scores by window; a word in two windows takes them where it stands farther from an edge.

    Args:
        windows: windows in any order.
        scores: for each window, shape (its words, labels).
        lengths: words of each sentence.
        labels: columns of the scores.

    Returns:
        For each sentence, shape (its words, labels).
    """
    merged = [np.zeros((length, labels), dtype=np.float32) for length in lengths]
    margins = [np.full(length, -1) for length in lengths]
    for window, values in zip(windows, scores, strict=True):
        count = len(values)
        margin = np.minimum(np.arange(count), np.arange(count)[::-1])
        place = slice(window.first_word, window.first_word + count)
        better = margin > margins[window.sentence][place]
        merged[window.sentence][place][better] = values[better]
        margins[window.sentence][place][better] = margin[better]
    return merged
