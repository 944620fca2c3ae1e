"""Labels and their ids follow from the set of entity types alone."""

from ner_mlflow.tagging.label_schema import LabelSchema


def test_types_are_sorted_and_without_repetition() -> None:
    schema = LabelSchema(("SOFTWARE", "OS", "SOFTWARE"))
    assert schema.types == ("OS", "SOFTWARE")
    assert schema == LabelSchema(("OS", "SOFTWARE"))


def test_each_type_has_two_tags_after_outside() -> None:
    schema = LabelSchema(("OS", "ERROR"))
    assert schema.labels == ("O", "B-ERROR", "I-ERROR", "B-OS", "I-OS")
    assert [schema.ids[label] for label in schema.labels] == list(range(5))


def test_a_schema_without_types_has_one_label() -> None:
    assert LabelSchema(()).labels == ("O",)
