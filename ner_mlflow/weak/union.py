"""Combine the votes of several labelers into one labelling.

Both ways learn from gold sentences how far each labeler can be trusted: :class:`WeightedVote` by
the spans that labelers propose, :class:`TokenHmm` by the tag of each word. A labeler that says
nothing has a say too: how much, gold decides.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import exp, log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, Entity, repair, to_entities, to_tags
from .labelers import ANY_TYPE, VotedSpan, Votes

AGREES, DIFFERS, OPEN, SILENT = OPINIONS = ("agrees", "differs", "open", "silent")
"""What a labeler says of a span that another one proposes: the same; a span that overlaps it; that
it does not know; nothing."""
SMOOTHING = 1.0
"""Added to each count, so that what gold never shows is unlikely and not impossible."""
PRIOR_SPANS = 4
"""Spans that naive Bayes counts for, beside those of gold with the same opinions."""
KEEP = 0.5
"""Least probability of a span in the union."""


class Union(Protocol):
    """A way to combine the votes of labelers."""

    name: str

    def fit(self, votes: Sequence[Sequence[Votes]], gold: Sequence[Sentence]) -> None:
        """Learn from gold sentences how far each labeler can be trusted.

        Args:
            votes: for each labeler the votes for each sentence.
            gold: the sentences, with their gold tags.
        """

    def combine(self, votes: Sequence[Sequence[Votes]], lengths: Sequence[int]) -> list[Votes]:
        """Return the spans of each sentence, with the probability that each is right as its score.

        Spans that are less probable than :data:`KEEP` have the type :data:`ANY_TYPE`.

        Args:
            votes: as those of :meth:`fit`.
            lengths: the number of words of each sentence.
        """


class WeightedVote:
    """Each labeler's opinion of a span counts as much as gold says it should.

    Of each proposed span a labeler has an opinion: it agrees, differs, is open or silent. The
    probability of a span is the share of right ones among the spans of gold of its type with the
    same opinions. Where gold has few of them, naive Bayes decides: the share of right spans of the
    type, times how much more often each opinion was heard of right spans than of wrong ones. Of
    spans that overlap the most probable one stays. All words of the others stay open.
    """

    name = "vote"

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._right: Counter[str] = Counter()
        self._wrong: Counter[str] = Counter()
        self._opinions: Counter[tuple[int, str, bool]] = Counter()
        self._outcomes: Counter[bool] = Counter()
        self._alike: Counter[tuple[str, tuple[str, ...], bool]] = Counter()

    def fit(self, votes: Sequence[Sequence[Votes]], gold: Sequence[Sentence]) -> None:
        """Learn from gold sentences; see :meth:`Union.fit`."""
        self._forget()
        for row, sentence in enumerate(gold):
            entities = set(to_entities(sentence.tags))
            of_row = [of_labeler[row] for of_labeler in votes]
            for span in _proposed(of_row):
                right = span in entities
                (self._right if right else self._wrong)[span.type] += 1
                self._outcomes[right] += 1
                opinions = _opinions(span, of_row)
                self._alike[span.type, opinions, right] += 1
                for labeler, opinion in enumerate(opinions):
                    self._opinions[labeler, opinion, right] += 1

    def combine(self, votes: Sequence[Sequence[Votes]], lengths: Sequence[int]) -> list[Votes]:
        """Return the spans of each sentence; see :meth:`Union.combine`."""
        return [
            self._combine([of_labeler[row] for of_labeler in votes]) for row in range(len(lengths))
        ]

    def _combine(self, votes: Sequence[Votes]) -> Votes:
        scored = sorted(
            ((self.probability(span, votes), span) for span in _proposed(votes)),
            key=lambda pair: (-pair[0], pair[1]),
        )
        spans: Votes = []
        for probability, span in scored:
            if all(span.end <= other.start or other.end <= span.start for other in spans):
                type_ = span.type if probability >= KEEP else ANY_TYPE
                spans.append(VotedSpan(span.start, span.end, type_, probability, self.name))
        return sorted(spans + _open_words(votes, spans))

    def probability(self, span: Entity, votes: Sequence[Votes]) -> float:
        """Return the probability that a proposed span is right.

        Args:
            span: a span that one of the labelers votes for.
            votes: each labeler's votes for the sentence.
        """
        opinions = _opinions(span, votes)
        right, wrong = self._right[span.type], self._wrong[span.type]
        odds = log((right + SMOOTHING) / (wrong + SMOOTHING))
        for labeler, opinion in enumerate(opinions):
            odds += log(self._share(labeler, opinion, True) / self._share(labeler, opinion, False))
        prior = 1 / (1 + exp(-odds))
        right, wrong = (self._alike[span.type, opinions, outcome] for outcome in (True, False))
        return (right + PRIOR_SPANS * prior) / (right + wrong + PRIOR_SPANS)

    def _share(self, labeler: int, opinion: str, outcome: bool) -> float:
        """Return the share of right spans, or of wrong ones, about which a labeler had an opinion.

        It is smoothed towards the opinion's share of all spans, with pseudo-counts in proportion to
        the spans of the outcome. So an opinion that never occurs on gold changes no odds.
        """
        spans = self._outcomes[True] + self._outcomes[False] + 2
        heard = self._opinions[labeler, opinion, True] + self._opinions[labeler, opinion, False]
        of_all = (heard + SMOOTHING) / (spans + len(OPINIONS) * SMOOTHING)
        weight = len(OPINIONS) * SMOOTHING * (self._outcomes[outcome] + 1) / spans
        count = self._opinions[labeler, opinion, outcome]
        return (count + weight * of_all) / (self._outcomes[outcome] + weight)


class TokenHmm:
    """A hidden Markov model: the true tags are hidden, and each labeler's tag of a word is seen.

    Given the true tag of a word the labelers are independent, and what a labeler says (a tag, that
    it is open, nothing) is counted on gold, as are the steps from tag to tag. Words where all
    labelers say nothing belong to no entity. A span's probability is the least of its words'
    (Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE 1989, forward-backward
    and Viterbi).
    """

    name = "hmm"

    def __init__(self, types: Sequence[str]) -> None:
        """
        Args:
            types: the entity types.
        """
        self._tags = [OUTSIDE, *(f"{prefix}-{type_}" for type_ in types for prefix in "BI")]
        self._ids = {tag: number for number, tag in enumerate(self._tags)}
        self._said = {**self._ids, ANY_TYPE: len(self._tags)}

    def fit(self, votes: Sequence[Sequence[Votes]], gold: Sequence[Sentence]) -> None:
        """Learn from gold sentences; see :meth:`Union.fit`."""
        size = len(self._tags)
        starts, steps = np.full(size, SMOOTHING), np.full((size, size), SMOOTHING)
        # A labeler that gold says little about is taken to be right more often than not.
        seen = np.full((len(votes), size, len(self._said)), SMOOTHING / len(self._said))
        seen[:, np.arange(size), np.arange(size)] += SMOOTHING
        for row, sentence in enumerate(gold):
            tags = [self._ids[tag] for tag in sentence.tags]
            starts[tags[0]] += 1
            for pair in pairwise(tags):
                steps[pair] += 1
            for labeler, of_labeler in enumerate(votes):
                np.add.at(seen[labeler], (tags, self._said_of(of_labeler[row], len(tags))), 1)
        for number, tag in enumerate(self._tags):
            if tag.startswith("I-"):
                before = [self._ids[f"B-{tag[2:]}"], number]
                starts[number] = 0
                steps[np.setdiff1d(np.arange(size), before), number] = 0
        with np.errstate(divide="ignore"):
            self._starts = np.log(starts / starts.sum())
            self._steps = np.log(steps / steps.sum(axis=1, keepdims=True))
        self._seen = np.log(seen / seen.sum(axis=2, keepdims=True))

    def combine(self, votes: Sequence[Sequence[Votes]], lengths: Sequence[int]) -> list[Votes]:
        """Return the spans of each sentence; see :meth:`Union.combine`."""
        combined = []
        for row, length in enumerate(lengths):
            of_row = [of_labeler[row] for of_labeler in votes]
            combined.append(self._combine(of_row, length) if any(of_row) else [])
        return combined

    def _combine(self, votes: Sequence[Votes], length: int) -> Votes:
        said = np.array([self._said_of(of_labeler, length) for of_labeler in votes])
        emissions = np.zeros((length, len(self._tags)))
        for labeler, of_labeler in enumerate(said):
            emissions += self._seen[labeler][:, of_labeler].T
        # What nobody votes for is no entity, even if an entity there would make the next one, such
        # as a version right behind its software, more likely.
        is_silent = (said == self._ids[OUTSIDE]).all(axis=0)
        emissions[is_silent, 1:] = -np.inf
        tags = [self._tags[id_] for id_ in self._viterbi(emissions)]
        posteriors = self._posteriors(emissions)
        spans = []
        for entity in to_entities(repair(tags)):
            score = min(
                float(posteriors[word, self._ids[tags[word]]])
                for word in range(entity.start, entity.end)
            )
            type_ = entity.type if score >= KEEP else ANY_TYPE
            spans.append(VotedSpan(entity.start, entity.end, type_, score, self.name))
        return sorted(spans + _open_words(votes, spans))

    def _said_of(self, votes: Votes, length: int) -> list[int]:
        """Return the number of what a labeler says of each word."""
        known = to_tags((vote.entity for vote in votes if vote.type != ANY_TYPE), length)
        said = [self._said[tag] for tag in known]
        for vote in votes:
            if vote.type == ANY_TYPE:
                said[vote.start : vote.end] = [self._said[ANY_TYPE]] * (vote.end - vote.start)
        return said

    def _viterbi(self, emissions: NDArray[np.float64]) -> list[int]:
        scores = self._starts + emissions[0]
        origins = []
        for row in emissions[1:]:
            paths = scores[:, None] + self._steps
            origins.append(paths.argmax(axis=0))
            scores = paths.max(axis=0) + row
        path = [int(scores.argmax())]
        for origin in reversed(origins):
            path.append(int(origin[path[-1]]))
        return path[::-1]

    def _posteriors(self, emissions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each tag of each word, shape (words, tags)."""
        forward = np.empty_like(emissions)
        backward = np.zeros_like(emissions)
        forward[0] = self._starts + emissions[0]
        for word in range(1, len(emissions)):
            paths = forward[word - 1][:, None] + self._steps
            forward[word] = np.logaddexp.reduce(paths, axis=0) + emissions[word]
        for word in range(len(emissions) - 2, -1, -1):
            paths = self._steps + emissions[word + 1] + backward[word + 1]
            backward[word] = np.logaddexp.reduce(paths, axis=1)
        logits = forward + backward
        probabilities: NDArray[np.float64] = np.exp(
            logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        )
        return probabilities


def _proposed(votes: Sequence[Votes]) -> list[Entity]:
    """Return the different spans of a known type that labelers vote for, sorted."""
    return sorted({vote.entity for of_one in votes for vote in of_one if vote.type != ANY_TYPE})


def _opinions(span: Entity, votes: Sequence[Votes]) -> tuple[str, ...]:
    """Return what each labeler says of a proposed span."""
    opinions = []
    for of_one in votes:
        near = [vote for vote in of_one if vote.start < span.end and span.start < vote.end]
        if any(vote.entity == span for vote in near):
            opinions.append(AGREES)
        elif any(vote.type != ANY_TYPE for vote in near):
            opinions.append(DIFFERS)
        else:
            opinions.append(OPEN if near else SILENT)
    return tuple(opinions)


def _open_words(votes: Sequence[Votes], spans: Votes) -> Votes:
    """Return the words outside of the spans that a labeler votes for or leaves open.

    Each is a span of :data:`ANY_TYPE`.
    """
    taken = {word for span in spans for word in range(span.start, span.end)}
    words = {
        word: vote for of_one in votes for vote in of_one for word in range(vote.start, vote.end)
    }
    return [
        VotedSpan(word, word + 1, ANY_TYPE, vote.score, vote.rule)
        for word, vote in words.items()
        if word not in taken
    ]


def conflicts(votes: Sequence[Sequence[Votes]]) -> Mapping[str, int]:
    """Return for each type how many proposed spans overlap another labeler's different span.

    Args:
        votes: for each labeler the votes for each sentence.
    """
    counts: Counter[str] = Counter()
    for row in range(len(votes[0]) if votes else 0):
        of_row = [of_labeler[row] for of_labeler in votes]
        for span in _proposed(of_row):
            counts[span.type] += DIFFERS in _opinions(span, of_row)
    return counts
