"""Every table that a run logs has a title and, where it needs one, a note."""

import re

import page_kinds

from ner_mlflow.source_code import PACKAGE
from ner_mlflow.tracking.tables import table_text, table_texts


def test_every_table_that_a_step_logs_has_a_title() -> None:
    logged = {
        name
        for path in (PACKAGE / "workflows").glob("*.py")
        for name in re.findall(r'log_table\("(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert logged >= {"robustness", "trials"}
    assert logged <= table_texts().keys()


def test_every_table_of_an_evaluation_has_a_title() -> None:
    _, report = page_kinds.evaluated()
    pages = report.pages
    logged = {f"{name}_table" if name in pages else name for name in report.tables}
    assert logged <= table_texts().keys()


def test_the_title_of_another_table_is_its_name() -> None:
    assert table_text("mine").title == "mine"
    assert table_text("mine").note == ""
