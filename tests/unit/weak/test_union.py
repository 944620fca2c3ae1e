"""Votes of several labelers are combined as gold says that they deserve."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.tagging.iob2 import Entity, to_tags
from ner_mlflow.weak.labelers import ANY_TYPE, VotedSpan, Votes
from ner_mlflow.weak.union import TokenHmm, Union, WeightedVote, conflicts

TYPES = ("A", "B")
UNIONS = pytest.mark.parametrize(
    "make", [WeightedVote, lambda: TokenHmm(TYPES)], ids=["vote", "hmm"]
)


def sentence_of(length: int, *entities: Entity) -> Sentence:
    words = tuple(f"w{number}" for number in range(length))
    return Sentence(words, tuple(to_tags(entities, length)), "post", "f:1")


def votes_of(*entities: Entity) -> Votes:
    return sorted(VotedSpan(entity.start, entity.end, entity.type) for entity in entities)


def gold_and_votes(seed: int = 1) -> tuple[list[Sentence], list[list[Votes]]]:
    """Return gold sentences, and the votes of a labeler that is right and of one that guesses."""
    random = Random(seed)
    gold, right, guesses = [], [], []
    for _ in range(300):
        entity = Entity(1, 1 + random.randint(1, 2), random.choice(TYPES))
        gold.append(sentence_of(6, entity))
        right.append(votes_of(entity) if random.random() < 0.9 else [])
        guesses.append(votes_of(Entity(4, 5, "A")) if random.random() < 0.5 else [])
    return gold, [right, guesses]


@UNIONS
def test_a_labeler_that_gold_trusts_outvotes_one_that_it_does_not(make: type[Union]) -> None:
    gold, votes = gold_and_votes()
    union = make()
    union.fit(votes, gold)
    trusted, guessed = Entity(2, 4, "B"), Entity(3, 5, "A")
    (spans,) = union.combine([[votes_of(trusted)], [votes_of(guessed)]], [6])
    assert [span.entity for span in spans if span.type] == [trusted]
    assert all(0.5 <= span.score <= 1 for span in spans if span.type)


@UNIONS
def test_a_span_that_is_more_likely_wrong_is_left_open(make: type[Union]) -> None:
    gold, votes = gold_and_votes()
    union = make()
    union.fit(votes, gold)
    (spans,) = union.combine([[[]], [votes_of(Entity(4, 5, "A"))]], [6])
    assert all(span.type == ANY_TYPE for span in spans)


@UNIONS
def test_sentences_without_votes_have_no_spans(make: type[Union]) -> None:
    gold, votes = gold_and_votes()
    union = make()
    union.fit(votes, gold)
    assert union.combine([[[], []], [[], []]], [1, 40]) == [[], []]


@UNIONS
def test_words_that_a_labeler_leaves_open_stay_open(make: type[Union]) -> None:
    gold, votes = gold_and_votes()
    union = make()
    union.fit(votes, gold)
    unknown = [VotedSpan(5, 6, ANY_TYPE, 0.4, "teacher")]
    (spans,) = union.combine([[votes_of(Entity(1, 2, "A")) + unknown], [[]]], [6])
    assert [span.entity for span in spans if span.type] == [Entity(1, 2, "A")]
    assert [(span.start, span.end) for span in spans if not span.type] == [(5, 6)]


def test_words_of_a_span_that_lost_stay_open() -> None:
    gold, votes = gold_and_votes()
    union = WeightedVote()
    union.fit(votes, gold)
    (spans,) = union.combine([[votes_of(Entity(1, 2, "A"))], [votes_of(Entity(1, 4, "B"))]], [6])
    assert [(span.start, span.end) for span in spans if not span.type] == [(2, 3), (3, 4)]


def test_what_gold_says_of_the_same_opinions_counts_more_than_each_opinion_alone() -> None:
    """Both labelers are right together and wrong alone, which their opinions alone do not say."""
    gold, first, second = [], [], []
    for number in range(200):
        entity = Entity(1, 2, "A")
        together, alone = number % 2 == 0, number % 4 == 1
        gold.append(sentence_of(4, *([entity] if together else [])))
        first.append(votes_of(entity) if together or alone else [])
        second.append(votes_of(entity) if together or not alone else [])
    union = WeightedVote()
    union.fit([first, second], gold)
    assert union.probability(entity, [votes_of(entity), votes_of(entity)]) > 0.95
    assert union.probability(entity, [votes_of(entity), []]) < 0.05


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Sentence], list[list[Votes]]]:
    """Sentences with gold tags, and votes of two labelers that do not overlap within one."""
    sentences, votes = [], [[], []]
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.integers(1, 8))
        rows = []
        for types in (TYPES, (*TYPES, ANY_TYPE), (*TYPES, ANY_TYPE)):
            spans, position = [], 0
            while position < length and draw(st.booleans()):
                start = draw(st.integers(position, length - 1))
                end = draw(st.integers(start + 1, length))
                spans.append(VotedSpan(start, end, draw(st.sampled_from(types))))
                position = end
            rows.append(spans)
        sentences.append(sentence_of(length, *(span.entity for span in rows[0])))
        votes[0].append(rows[1])
        votes[1].append(rows[2])
    return sentences, votes


@UNIONS
@settings(deadline=None, max_examples=60)
@given(case=cases())
def test_spans_are_sorted_apart_and_within_their_sentence(
    make: type[Union], case: tuple[list[Sentence], list[list[Votes]]]
) -> None:
    gold, votes = case
    union = make()
    union.fit(votes, gold)
    for sentence, spans in zip(
        gold, union.combine(votes, [len(each.tokens) for each in gold]), strict=True
    ):
        position = 0
        for span in spans:
            assert position <= span.start < span.end <= len(sentence.tokens)
            assert 0 <= span.score <= 1
            assert span.type in (*TYPES, ANY_TYPE)
            position = span.end


def test_conflicts_are_spans_that_another_labeler_sees_otherwise() -> None:
    votes = [
        [votes_of(Entity(0, 2, "A"), Entity(4, 5, "B"))],
        [votes_of(Entity(1, 2, "A"), Entity(4, 5, "B"))],
    ]
    assert conflicts(votes) == {"A": 2, "B": 0}


def test_a_labeler_that_was_silent_on_gold_tells_nothing_either_way() -> None:
    right, wrong = Entity(0, 1, "A"), Entity(1, 2, "A")
    gold = [sentence_of(3, right) for _ in range(80)] + [sentence_of(3) for _ in range(20)]
    speaks = [votes_of(right)] * 80 + [votes_of(wrong)] * 20
    vote = WeightedVote()
    vote.fit([speaks, [[]] * 100], gold)
    alone, both = (
        vote.probability(right, [votes_of(right), other]) for other in ([], votes_of(right))
    )
    assert alone == pytest.approx(0.8, abs=0.01)
    assert both == pytest.approx(alone, abs=0.03)


@UNIONS
def test_a_word_without_votes_belongs_to_no_span(make: type[Union]) -> None:
    # In gold a B stands right behind each A; in nginx/1.25 a slash stands between.
    entities = Entity(0, 2, "A"), Entity(2, 3, "B")
    gold = [sentence_of(4, *entities) for _ in range(50)]
    votes = [[votes_of(Entity(0, 1, "A"), entities[1])] * 50] * 2
    union = make()
    union.fit(votes, gold)
    first, second = Entity(0, 1, "A"), Entity(2, 3, "B")
    (spans,) = union.combine([[votes_of(first, second)]] * 2, [4])
    assert all(1 not in range(span.start, span.end) for span in spans)
