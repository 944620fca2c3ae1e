"""Group neighbouring sentences of a document into the passages that a model reads at once."""

from collections.abc import Hashable, Iterator, Sequence


def passages(
    lengths: Sequence[int],
    documents: Sequence[Hashable] | None,
    most_sentences: int,
    most_pieces: int,
) -> Iterator[range]:
    """Yield the sentences of each passage, in order; every sentence is in one passage.

    Args:
        lengths: the pieces of each sentence.
        documents: the document of each sentence; None: all belong to one document.
        most_sentences: largest number of sentences in a passage.
        most_pieces: largest number of pieces, unless a single sentence has more.
    """
    first, pieces = 0, 0
    for index, length in enumerate(lengths):
        if index > first and (
            index - first >= most_sentences
            or pieces + length > most_pieces
            or (documents is not None and documents[index] != documents[first])
        ):
            yield range(first, index)
            first, pieces = index, 0
        pieces += length
    if first < len(lengths):
        yield range(first, len(lengths))


def passage_pieces(max_length: int) -> int:
    """Return the largest number of pieces of a passage for a window of so many subwords.

    A piece has about two subwords at most, so most passages fit one window.
    """
    return max_length // 2
