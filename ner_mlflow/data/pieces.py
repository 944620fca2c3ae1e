"""Cut the words of labelled sentences into the pieces that a model reads."""

from ..tagging.cutting import to_pieces
from ..tagging.iob2 import OUTSIDE, UNSURE
from .sentences import Sentence


def cut_sentence(sentence: Sentence) -> Sentence:
    """Return a sentence whose words are cut into pieces; the first of an entity keeps its `B-`."""
    pieces, owners = to_pieces(sentence.tokens)
    tags = [
        _inside(sentence.tags[owner])
        if number and owners[number - 1] == owner
        else sentence.tags[owner]
        for number, owner in enumerate(owners)
    ]
    return Sentence(tuple(pieces), tuple(tags), sentence.document, sentence.origin)


def _inside(tag: str) -> str:
    return tag if tag in (OUTSIDE, UNSURE) else f"I{tag[1:]}"
