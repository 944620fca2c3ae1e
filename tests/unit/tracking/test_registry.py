"""Versions are found, and an alias moves under a lock with a history of its holders."""

import mlflow
import pytest

from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.registry import (
    HISTORY_TAG,
    AliasMove,
    AliasMovedError,
    RegisteredVersion,
    alias_holder,
    check_not_promoted_alias,
    check_reason,
    find_version,
    move_alias,
    previous_holder,
    set_version_tags,
    settle,
    user_of,
)
from ner_mlflow.tracking.steps import Step

NAME = "model"


@pytest.fixture
def versions(store: str) -> list[RegisteredVersion]:
    """Three versions of a registered model; they have no files, since only aliases move here."""
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, (f"file://{store.removeprefix('sqlite:///')}"))
    return [find_version(NAME, str(number)) for number in (1, 2, 3)]


def move(
    to: RegisteredVersion,
    holder: RegisteredVersion | None,
    back: bool = False,
    timeout_s: float = 5,
) -> None:
    move_alias("champion", to, holder, {"reason": "better"}, "a note", timeout_s, back)


def test_a_version_is_found_by_number_alias_and_as_the_latest(
    versions: list[RegisteredVersion],
) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "candidate", "2")
    assert find_version(NAME, "1") == versions[0]
    assert find_version(NAME, "candidate").version == "2"
    assert find_version(NAME, "latest").version == "3"
    assert find_version(NAME, "latest").address == "models:/model/3"


def test_a_missing_version_alias_or_model_is_named(versions: list[RegisteredVersion]) -> None:
    for missing in ("99", "champion"):
        with pytest.raises(TrackingError, match=f"no version '{missing}' of registered model"):
            find_version(NAME, missing)
    with pytest.raises(TrackingError, match="registered model 'other' has no version: run main"):
        find_version("other", "latest")
    with pytest.raises(TrackingError, match="there is no registered model 'other'"):
        alias_holder("other", "champion")
    assert alias_holder(NAME, "champion") is None


def test_a_moved_alias_leaves_tags_a_note_and_a_history(versions: list[RegisteredVersion]) -> None:
    first, second, _ = versions
    move(first, None)
    move(second, first)
    assert alias_holder(NAME, "champion") == find_version(NAME, "2")
    assert find_version(NAME, "2").tags["reason"] == "better"
    assert mlflow.MlflowClient().get_model_version(NAME, "2").description == "a note"
    tags = mlflow.MlflowClient().get_registered_model(NAME).tags
    assert tags == {f"{HISTORY_TAG}champion": "1,2"}
    previous = previous_holder(NAME, "champion")
    assert previous is not None
    assert previous.version == "1"


def test_a_rollback_shortens_the_history(versions: list[RegisteredVersion]) -> None:
    first, second, third = versions
    move(first, None)
    move(second, first)
    move(third, second)
    move(first, third, back=True)
    tags = mlflow.MlflowClient().get_registered_model(NAME).tags
    assert tags[f"{HISTORY_TAG}champion"] == "1"
    assert previous_holder(NAME, "champion") is None


def test_a_deleted_version_is_not_the_previous_holder(versions: list[RegisteredVersion]) -> None:
    first, second, third = versions
    move(first, None)
    move(second, first)
    move(third, second)
    mlflow.MlflowClient().delete_model_version(NAME, "2")
    previous = previous_holder(NAME, "champion")
    assert previous is not None
    assert previous.version == "1"


def test_a_holder_without_history_counts_as_its_last_entry(
    versions: list[RegisteredVersion],
) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    assert previous_holder(NAME, "champion") is None
    move(versions[1], versions[0])
    previous = previous_holder(NAME, "champion")
    assert previous is not None
    assert previous.version == "1"


def test_an_alias_that_moved_meanwhile_is_not_moved_again(
    versions: list[RegisteredVersion],
) -> None:
    first, second, third = versions
    move(first, None)
    move(second, first)
    with pytest.raises(AliasMovedError, match="version 1 had it when version 3 was compared"):
        move(third, first)
    holder = alias_holder(NAME, "champion")
    assert holder is not None
    assert holder.version == "2"
    assert "reason" not in find_version(NAME, "3").tags


def test_a_move_that_was_killed_after_the_alias_moved_is_finished(
    versions: list[RegisteredVersion],
) -> None:
    client = mlflow.MlflowClient()
    first, second, third = versions
    client.set_registered_model_alias(NAME, "champion", "1")  # by hand: no history yet
    moved = AliasMove("champion", "2", {"reason": "better"}, "a note", left="1")
    client.set_registered_model_tag(NAME, moved.tag, moved.to_json())
    client.set_registered_model_alias(NAME, "champion", "2")
    # Readers know the history before anybody finishes the move.
    previous = previous_holder(NAME, "champion")
    assert previous is not None
    assert previous.version == "1"
    for _ in range(2):
        settle(NAME, 5)
        assert client.get_registered_model(NAME).tags == {f"{HISTORY_TAG}champion": "1,2"}
        assert find_version(NAME, "2").tags == {"reason": "better"}
        assert client.get_model_version(NAME, "2").description == "a note"
    move(third, second)
    returned = AliasMove("champion", "1", {}, "again", "3", {"rolled_back": "yes"}, kept=1)
    client.set_registered_model_tag(NAME, returned.tag, returned.to_json())
    client.set_registered_model_alias(NAME, "champion", "1")
    assert previous_holder(NAME, "champion") is None
    move(second, first)
    assert client.get_registered_model(NAME).tags == {f"{HISTORY_TAG}champion": "1,2"}
    assert find_version(NAME, "3").tags["rolled_back"] == "yes"


def test_a_move_that_was_killed_before_the_alias_moved_is_dropped(
    versions: list[RegisteredVersion],
) -> None:
    client = mlflow.MlflowClient()
    move(versions[0], None)
    noted = AliasMove("champion", "2", {"reason": "better"}, "a note", left="1")
    client.set_registered_model_tag(NAME, noted.tag, noted.to_json())
    settle(NAME, 5)
    assert client.get_registered_model(NAME).tags == {f"{HISTORY_TAG}champion": "1"}
    assert find_version(NAME, "2").tags == {}
    assert previous_holder(NAME, "champion") is None


def test_an_alias_is_closed_to_other_commands_while_it_moves_for_the_first_time(
    versions: list[RegisteredVersion],
) -> None:
    noted = AliasMove("champion", "1", {}, "a note")
    mlflow.MlflowClient().set_registered_model_tag(NAME, noted.tag, noted.to_json())
    with pytest.raises(TrackingError, match="only promote moves model@champion"):
        check_not_promoted_alias(NAME, "champion")


def test_a_reason_that_no_registry_stores_is_refused() -> None:
    check_reason("force", "x" * 1000)
    with pytest.raises(TrackingError, match="force: the reason has 1001 characters: give at most"):
        check_reason("force", "x" * 1001)


def test_only_an_alias_with_a_history_is_closed_to_other_commands(
    versions: list[RegisteredVersion],
) -> None:
    check_not_promoted_alias(NAME, "champion")
    check_not_promoted_alias("other", "champion")
    move(versions[0], None)
    check_not_promoted_alias(NAME, "candidate")
    with pytest.raises(TrackingError, match="only promote moves model@champion: give another"):
        check_not_promoted_alias(NAME, "champion")


def test_tags_of_a_version_are_set(versions: list[RegisteredVersion]) -> None:
    set_version_tags(versions[0], {"a": "1", "b": "2"})
    assert find_version(NAME, "1").tags == {"a": "1", "b": "2"}


def test_the_user_of_a_run_is_known(store: str) -> None:
    with open_run(Step.PROMOTE, "promote") as run:
        pass
    assert user_of(run) == mlflow.get_run(run.id).data.tags["mlflow.user"]
