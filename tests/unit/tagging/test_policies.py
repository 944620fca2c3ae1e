"""Policies: which entities of code, URLs and paths are answers."""

import pytest

from ner_mlflow.tagging.policies import RegionPolicies, TextRegions

TEXT = "Redis fails.\n\n```\nRedis raised KeyError\n```\nSee https://redis.io/404, /lib/x/redis."


def allowed(policies: dict[str, str], surface: str, label: str) -> list[bool]:
    """Return for each occurrence of a surface whether it is an answer."""
    rules = RegionPolicies(policies, ["ERROR"])  # type: ignore[arg-type]
    regions = TextRegions(TEXT)
    answers, start = [], TEXT.find(surface)
    while start >= 0:
        answers.append(rules.allow(regions, start, start + len(surface), label))
        start = TEXT.find(surface, start + 1)
    return answers


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ({}, [True, True]),
        ({"code_block": "tag"}, [True, True]),
        ({"code_block": "errors_only"}, [True, False]),
        ({"code_block": "skip"}, [True, False]),
    ],
)
def test_prose_is_always_answered_and_code_by_its_policy(
    policies: dict[str, str], expected: list[bool]
) -> None:
    assert allowed(policies, "Redis", "SOFTWARE") == expected


def test_errors_pass_errors_only_and_nothing_passes_skip() -> None:
    assert allowed({"code_block": "errors_only"}, "KeyError", "ERROR") == [True]
    assert allowed({"code_block": "skip"}, "KeyError", "ERROR") == [False]
    assert allowed({"url": "errors_only"}, "404", "ERROR") == [True]


def test_each_kind_has_its_own_policy() -> None:
    assert allowed({"url": "skip"}, "redis", "SOFTWARE") == [False, True]
    assert allowed({"path": "skip"}, "redis", "SOFTWARE") == [True, False]
