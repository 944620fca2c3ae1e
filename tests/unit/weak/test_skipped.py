"""Documents that are left out are counted by reason, and the first of each are listed."""

from ner_mlflow.data.findings import Findings
from ner_mlflow.weak import skipped
from ner_mlflow.weak.skipped import EXCERPT_CHARACTERS, LISTED, Notice, SkippedDocuments, beginning


def test_the_first_of_each_reason_are_listed_and_all_are_counted() -> None:
    findings = Findings()
    documents = SkippedDocuments(findings)
    for number in range(LISTED + 20):
        documents.add(Notice("weak_bot", f"a.jsonl:{number}", "", f"a/b#{number}/0", "Built."))
    documents.add(Notice("weak_no_text", "t.parquet", "(no column text)", "t.parquet", amount=7))
    table = documents.table()
    assert list(table.columns) == list(skipped.COLUMNS)
    bots = table[table["reason"] == "bot"]
    assert len(bots) == LISTED
    assert set(bots["of"]) == {LISTED + 20} == {findings.count("weak_bot")}
    assert bots.iloc[1].to_dict() == {
        "reason": "bot",
        "number": 2,
        "of": LISTED + 20,
        "place": "a.jsonl:1",
        "document": "a/b#1/0",
        "detail": "",
        "excerpt": "Built.",
    }
    assert documents.reasons() == {"weak_bot": LISTED + 20, "weak_no_text": 7}


def test_an_excerpt_is_one_short_line_without_secrets() -> None:
    documents = SkippedDocuments(Findings())
    text = f"password: hunter2\ntoken={'x7Gq' * 40}\n{'log ' * 100}"
    documents.add(Notice("weak_html", "a.txt", "", "a.txt", beginning(text)))
    (excerpt,) = documents.table()["excerpt"]
    assert excerpt.startswith("password: *** token=***")
    assert len(excerpt) <= EXCERPT_CHARACTERS
    assert "\n" not in excerpt


def test_what_leaves_no_document_out_is_counted_and_not_listed() -> None:
    findings = Findings()
    documents = SkippedDocuments(findings)
    documents.add(Notice("half_surrogate_replaced", "a.jsonl:1", amount=2))
    assert findings.count("half_surrogate_replaced") == 2
    assert documents.table().empty
    assert documents.reasons() == {}
