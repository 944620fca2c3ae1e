"""Names and aliases that the registry cannot take are refused before any work."""

import pytest

from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.registration import check_registered_name


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "100%", 'a"b', "a.b"])
def test_a_name_that_addresses_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(TrackingError, match="must be a name without"):
        check_registered_name(name, None)


@pytest.mark.parametrize("alias", ["latest", "v1", "a b", "a@b"])
def test_an_alias_that_the_registry_refuses_is_refused_before(alias: str) -> None:
    with pytest.raises(TrackingError, match="must be letters, digits, - and _"):
        check_registered_name("it-ner", alias)


def test_usual_names_and_aliases_are_taken() -> None:
    check_registered_name("it-ner", "champion")
    check_registered_name("it_ner 2", None)
