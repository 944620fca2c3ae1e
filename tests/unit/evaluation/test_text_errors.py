"""Kinds of errors on running text: how a span is wrong, and where it stands."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.evaluation.error_analysis import CATEGORIES
from ner_mlflow.evaluation.text_answers import TextAnswer
from ner_mlflow.evaluation.text_errors import KINDS, find_text_errors, text_error_table
from ner_mlflow.tagging.iob2 import Entity

TYPES = ["OS", "SOFTWARE"]


def entities(text: str, surfaces: dict[str, str]) -> tuple[Entity, ...]:
    """Return the first place of each surface in a text, with its type."""
    return tuple(
        Entity(text.index(surface), text.index(surface) + len(surface), type_)
        for surface, type_ in surfaces.items()
    )


def answer(text: str, gold: dict[str, str], predicted: dict[str, str]) -> TextAnswer:
    return TextAnswer(
        "a", text, entities(text, gold), entities(text, predicted), (0.5,) * len(predicted)
    )


def kinds(text: str, gold: dict[str, str], predicted: dict[str, str]) -> list[str]:
    (errors,) = find_text_errors([answer(text, gold, predicted)])
    return [error.kind for error in errors]


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        ({"Redis": "SOFTWARE"}, {"on Redis": "SOFTWARE"}, "cut too long"),
        ({"Redis": "SOFTWARE"}, {"Redis 7.2": "SOFTWARE"}, "cut too long"),
        ({"Redis": "SOFTWARE"}, {"on Redis 7.2": "SOFTWARE"}, "cut too long"),
        ({"Redis 7.2": "SOFTWARE"}, {"Redis": "SOFTWARE"}, "cut too short"),
        ({"Redis 7.2": "SOFTWARE"}, {"7.2": "SOFTWARE"}, "cut too short"),
        ({"Redis 7.2": "SOFTWARE"}, {"edis": "SOFTWARE"}, "cut too short"),
        ({"Redis 7.2": "SOFTWARE"}, {"on Redis": "SOFTWARE"}, "cut elsewhere"),
        ({"Redis": "SOFTWARE"}, {"Redis": "OS"}, "wrong type"),
        ({"Redis": "SOFTWARE"}, {"Redis 7.2": "OS"}, "wrong type and cut"),
        ({"Redis": "SOFTWARE"}, {}, "missed"),
        ({}, {"Redis": "SOFTWARE"}, "spurious"),
    ],
)
def test_spans_and_types_that_differ_give_the_kind(
    gold: dict[str, str], predicted: dict[str, str], kind: str
) -> None:
    assert kinds("It runs on Redis 7.2 here", gold, predicted) == [kind]


def test_an_equal_answer_is_no_error() -> None:
    assert kinds("on Redis", {"Redis": "SOFTWARE"}, {"Redis": "SOFTWARE"}) == []


@pytest.mark.parametrize(
    "text",
    [
        "use **Redis** now",
        "**always use Redis here** now",
        "use **Redis\nfor all** of it",
        "use _Redis_ now",
        "use *Redis* now",
        "use ~~Redis~~ now",
        "use `Redis` now",
        "use `the Redis client` now",
        "use {{Redis}} now",
        "use <code>Redis</code> now",
        "use <b class='x'>the Redis client</b> now",
        "use<br>Redis now",
        '<img alt="Redis"> now',
        "use [Redis](https://example.org) now",
        "use [the Redis client](docs) now",
        "use [Redis|https://example.org] now",
        "use &lt;Redis&gt; now",
        "use &#39;Redis now",
        "| Redis | 7.2 |",
        "above\n| store | the Redis client |\r\nbelow",
    ],
)
def test_gold_that_markup_wraps_or_touches_is_missed_in_markup(text: str) -> None:
    assert kinds(text, {"Redis": "SOFTWARE"}, {}) == ["missed in markup"]
    assert kinds(text, {}, {"Redis": "SOFTWARE"}) == ["spurious"]


@pytest.mark.parametrize(
    "text",
    [
        "see\n```\nimport Redis\n```\nthere",
        "see\n```python\n# **Redis**\n```\nthere",
        "see {code}import Redis{code} there",
        "see\n{code:java}\nimport Redis;\n{code}\nthere",
        "see\n{noformat}\nimport Redis\n{noformat}\nthere",
        "see this:\n\n    import Redis\n    run()\n\nthere",
        "it fails:\nException in thread main\n\tat org.Redis.get(Get.java:7)\n\tat A.b(A.java:9)\n",
        "see https://example.org/Redis/docs there",
        "see /usr/lib/Redis/bin there",
    ],
)
def test_errors_in_code_traces_urls_and_paths_are_told_from_those_in_prose(text: str) -> None:
    assert kinds(text, {"Redis": "SOFTWARE"}, {}) == ["missed in code"]
    assert kinds(text, {}, {"Redis": "SOFTWARE"}) == ["spurious in code"]


@pytest.mark.parametrize(
    "text",
    [
        "use Redis now",
        "use (Redis), now",
        "a * Redis * b",
        "* Redis is a bullet",
        "2 < 3, Redis > 4",
        "`a` then Redis then `b`",
        "see\n```\ncode\n```\nand Redis there",
        "a | Redis | b",
        "the name my_table and Redis",
    ],
)
def test_gold_beside_other_characters_is_missed_in_prose(text: str) -> None:
    assert kinds(text, {"Redis": "SOFTWARE"}, {}) == ["missed"]


def test_errors_come_in_the_order_of_the_text() -> None:
    text = "Redis 7 on Debian 12 and Windows"
    gold = {"Windows": "OS", "Debian": "OS"}
    assert kinds(text, gold, {"Redis": "SOFTWARE", "Debian 12": "OS"}) == [
        "spurious",
        "cut too long",
        "missed",
    ]


def test_the_table_counts_errors_by_kind_and_by_the_type_of_the_gold() -> None:
    errors = find_text_errors(
        [
            answer("Redis on Debian", {"Redis": "SOFTWARE", "Debian": "OS"}, {"Redis": "OS"}),
            answer("Debian", {}, {"Debian": "OS"}),
            answer("Debian", {"Debian": "OS"}, {"Debian": "OS"}),
            answer("`Redis`", {"Redis": "SOFTWARE"}, {}),
        ]
    )
    table = text_error_table(errors, TYPES)
    assert list(table.columns) == ["kind", "count", "share", "OS_count", "SOFTWARE_count"]
    assert table["kind"].tolist() == [*(kind.name for kind in KINDS), "all"]
    assert table[table["count"] > 0].to_numpy().tolist() == [
        ["wrong type", 1, 0.25, 0, 1],
        ["missed in markup", 1, 0.25, 0, 1],
        ["missed", 1, 0.25, 1, 0],
        ["spurious", 1, 0.25, 1, 0],
        ["all", 4, 1.0, 2, 2],
    ]


def test_the_table_of_no_errors_is_zero() -> None:
    table = text_error_table([[], []], TYPES)
    assert len(table) == len(KINDS) + 1
    assert table.drop(columns="kind").to_numpy().sum() == 0


def test_every_error_of_a_category_has_a_kind() -> None:
    assert {kind.category for kind in KINDS} == set(CATEGORIES) - {"correct"}
    last = {kind.category: kind.detail for kind in KINDS}
    assert last == {"boundary": "across", "type": "", "both": "", "missed": "", "spurious": ""}


@st.composite
def flat_entities(draw: st.DrawFn, length: int) -> tuple[Entity, ...]:
    """Draw entities that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=12)))
    return tuple(
        Entity(start, end, draw(st.sampled_from(TYPES)))
        for start, end in pairwise(cuts)
        if draw(st.booleans())
    )


@st.composite
def text_answers(draw: st.DrawFn) -> TextAnswer:
    pieces = st.sampled_from([*"ab .\n|*_`<>&;[](){}/\\:", "```\n", "{code}", "http://", "    "])
    text = "".join(draw(st.lists(pieces, min_size=1, max_size=40)))
    gold, predicted = draw(flat_entities(len(text))), draw(flat_entities(len(text)))
    return TextAnswer("a", text, gold, predicted, (0.5,) * len(predicted))


@settings(deadline=None, max_examples=150)
@given(text_answers())
def test_every_gold_entity_and_every_answer_is_counted_exactly_once(case: TextAnswer) -> None:
    (errors,) = find_text_errors([case])
    correct = set(case.gold) & set(case.predicted)
    gold = [error.gold for error in errors if error.gold]
    predicted = [error.predicted for error in errors if error.predicted]
    assert sorted([*gold, *correct]) == sorted(case.gold)
    assert sorted([*predicted, *correct]) == sorted(case.predicted)
    table = text_error_table([errors], TYPES)
    assert table["count"].iloc[-1] == len(errors) == table["count"].iloc[:-1].sum()
    assert table.iloc[:, 3:].to_numpy().sum() == 2 * len(errors)
