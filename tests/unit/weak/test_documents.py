"""Documents without labels: every kind of source, and bad documents that stop nothing."""

import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import HubServer
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.files import read_blocks
from ner_mlflow.data.findings import Findings, finding_kinds
from ner_mlflow.errors import DataError
from ner_mlflow.weak import documents
from ner_mlflow.weak.documents import Document, is_bot, read_documents, unusable_reason
from ner_mlflow.weak.skipped import SkippedDocuments

TEXTS = ["Java 17 crashes.", "Zeile\nzwei", "naïve 日本 \U0001f600"]


def json_lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def event(text: str | None, **fields: object) -> dict[str, object]:
    return {"action": "created", "author": "ann", "text": text, "title": "", **fields}


def read(source: object) -> tuple[list[Document], dict[str, int]]:
    """Return the documents of a source and the counts of findings."""
    findings = Findings()
    found = list(read_documents(str(source), SkippedDocuments(findings)))
    return found, {finding.kind: finding.count for finding in findings}


def texts(source: object) -> list[str]:
    return [document.text for document in read(source)[0]]


# Files


@pytest.mark.parametrize("field", ["text", "content", "body"])
def test_every_format_gives_the_texts_in_order(tmp_path: Path, field: str) -> None:
    lines = json_lines(*({"id": 1, field: text} for text in TEXTS))
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "a.JSONL.gz").write_bytes(gzip.compress(lines))
    pq.write_table(pa.table({"id": [1, 2, 3], field: TEXTS}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.JSONL.gz", "a.parquet"):
        assert texts(tmp_path / name) == TEXTS


def test_a_text_file_is_one_document_with_its_paragraphs(tmp_path: Path) -> None:
    text = "One\nline.\r\n\r\nAnother paragraph.\n"
    (tmp_path / "a.txt").write_bytes(text.encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert texts(tmp_path) == [text, text]


def test_folders_are_read_with_their_sub_folders_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "a.jsonl", "c/d/e.txt", "b/notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(
            json.dumps({"text": name}) if name == "a.jsonl" else name, encoding="utf-8"
        )
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["a.jsonl", "b/1.txt", "b/2.txt", "c/d/e.txt"]
    assert [document.id for document in found] == ["a.jsonl:1", "b/1.txt", "b/2.txt", "c/d/e.txt"]
    assert counts == {"weak_file_left_out": 1}


def test_hidden_files_are_left_out_as_on_spark(tmp_path: Path) -> None:
    for name in (".trash.txt", ".cache/a.txt", "_temporary/part.txt", "_SUCCESS", "a_b/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["a_b/c.txt"]
    assert counts == {"weak_file_left_out": 4}


def test_the_text_is_in_the_first_field_that_holds_some(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(json_lines({"text": "", "body": "It fails."}))
    assert [document.text for document in read(tmp_path)[0]] == ["It fails."]


@pytest.mark.parametrize("field", ["title", "subject"])
def test_a_title_beside_the_text_is_its_first_paragraph(tmp_path: Path, field: str) -> None:
    rows: list[dict[str, Any]] = [
        {field: " Redis 7 crashes ", "body": "It fails."},
        {field: "No description", "body": None},
        {field: " ", "body": "No title"},
        {field: None, "body": "None"},
        {field: 7, "body": "A number"},
    ]
    expected = ["Redis 7 crashes\n\nIt fails.", "No description", "No title", "None", "A number"]
    (tmp_path / "a.jsonl").write_bytes(json_lines(*rows))
    assert texts(tmp_path / "a.jsonl") == expected
    pq.write_table(pa.Table.from_pylist(rows[:4]), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == expected[:4]


def test_several_paths_are_read_and_no_file_twice_with_ids_that_differ(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder, encoding="utf-8")
    found, _ = read(f"{tmp_path}/y,{tmp_path}/x/a.txt, {tmp_path}/x")
    assert [(document.id, document.text) for document in found] == [
        ("y/a.txt", "y"),
        ("x/a.txt", "x"),
    ]


def test_a_path_that_does_not_exist_and_a_file_of_another_kind_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^weak_source '.*no/where': no such file or folder"):
        read(tmp_path / "no" / "where")
    (tmp_path / "a.docx").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.docx: neither \.jsonl, .*: convert it"):
        read(tmp_path / "a.docx")


# Issues

ISSUE: Mapping[str, Any] = {
    "repo": "apache/hadoop",
    "issue_id": 99,
    "issue_number": 12,
    "pull_request": None,
    "events": [
        event("It fails.", action="opened", title="Redis 7 crashes"),
        event("Same here.", title="Redis 7 crashes"),
        event("Stale.", author="stale[bot]"),
        event("Built.", author=None, masked_author="acme-ci-bot"),
        event(None),
        event("Fixed.", masked_author="username_0"),
    ],
    "content": "<issue_start>all of it",
    "bot_issue": False,
}
ISSUE_DOCUMENTS = [
    ("apache/hadoop#12/0", "Redis 7 crashes\n\nIt fails."),
    ("apache/hadoop#12/1", "Same here."),
    ("apache/hadoop#12/5", "Fixed."),
]


def test_each_event_of_an_issue_is_a_document_and_bots_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(json_lines(ISSUE))
    pq.write_table(pa.Table.from_pylist([dict(ISSUE)]), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        found, counts = read(tmp_path / name)
        assert [(document.id, document.text) for document in found] == ISSUE_DOCUMENTS
        assert counts == {"weak_bot": 2, "weak_no_text": 1}
    assert read(tmp_path / "a.jsonl")[0][1].origin == f"{tmp_path}/a.jsonl:1, event 1"


def test_events_as_lists_by_field_are_the_same_events(tmp_path: Path) -> None:
    fields = {name for event in ISSUE["events"] for name in event}
    by_field = {name: [event.get(name) for event in ISSUE["events"]] for name in fields}
    (tmp_path / "a.jsonl").write_bytes(json_lines({**ISSUE, "events": by_field}))
    assert [(document.id, document.text) for document in read(tmp_path)[0]] == ISSUE_DOCUMENTS


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"issue_number": None}, [("apache/hadoop#99/0", "t\n\nx")]),
        ({"issue_number": None, "issue_id": None}, [("apache/hadoop#a.jsonl:1/0", "t\n\nx")]),
        ({"repo": None}, [("a.jsonl:1/0", "t\n\nx")]),
        ({"events": [event(None, title="Only a title")]}, [("apache/hadoop#12/0", "Only a title")]),
        ({"events": [], "content": "all"}, [("a.jsonl:1", "all")]),
        ({"events": None, "content": "all"}, [("a.jsonl:1", "all")]),
    ],
)
def test_an_issue_may_lack_its_number_its_repository_or_its_events(
    tmp_path: Path, changes: dict[str, object], found: list[tuple[str, str]]
) -> None:
    row = {**ISSUE, "events": [event("x", title=" t ")], **changes}
    (tmp_path / "a.jsonl").write_bytes(json_lines(row))
    assert [(document.id, document.text) for document in read(tmp_path)[0]] == found


def test_all_events_of_an_issue_that_a_bot_opened_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(json_lines({**ISSUE, "bot_issue": True}, {"text": "x"}))
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["x"]
    assert counts["weak_bot"] == len(ISSUE["events"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("dependabot[bot]", "Codecov-IO", "facebook-github-bot")),
        *((name, True) for name in ("app/renovate", "k8s-ci-robot", "STALE")),
        *((name, False) for name in ("talbot", "abbot", "docker", "username_0", "", None, 7)),
    ],
)
def test_bots_are_known_by_their_names(name: object, expected: bool) -> None:
    assert is_bot(name) == expected


# Bad documents


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"text": "caf\xe9"}', "weak_invalid_utf8"),
        (b'{"text": "cut', "weak_not_json"),
        (b"[" * 100_000, "weak_not_json"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "weak_not_json"),
        (b'["text"]', "weak_not_object"),
        (b'"text"', "weak_not_object"),
        (b"null", "weak_not_object"),
        (b'{"text": null}', "weak_no_text"),
        (b'{"text": " \\n"}', "weak_no_text"),
        (b'{"text": 3}', "weak_no_text"),
        (b'{"title": "x"}', "weak_no_text"),
        (b'{"events": "x"}', "weak_not_object"),
        (b'{"events": {"text": "x"}}', "weak_not_object"),
        (b'{"events": [null]}', "weak_not_object"),
        (b'{"events": [{"text": 7, "author": 7}], "repo": 7}', "weak_no_text"),
    ],
)
def test_a_bad_line_is_left_out_and_counted_and_the_others_are_read(
    tmp_path: Path, line: bytes, kind: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' + line + b'\r\n\n{"text": "b"}')
    findings = Findings()
    found = list(read_documents(str(tmp_path / "a.jsonl"), SkippedDocuments(findings)))
    assert [document.text for document in found] == ["a", "b"]
    assert [document.id for document in found] == ["a.jsonl:1", "a.jsonl:4"]
    (finding,) = findings
    assert (finding.kind, finding.count) == (kind, 1)
    assert finding.places[0].startswith(f"{tmp_path}/a.jsonl:2")


@pytest.mark.parametrize("start", range(-2, 3))
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\n1\n"])
def test_lines_are_told_apart_wherever_a_block_of_bytes_begins(
    tmp_path: Path, start: int, end: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 1_000_000)
    size = len(next(read_blocks(path)))
    first = json.dumps({"text": "a" * (size + start - len(b'{"text": ""}'))}).encode()
    path.write_bytes(first + end + json_lines({"text": "b"}, {"text": "c"}))
    found, _ = read(tmp_path)
    second = 1 + end.count(b"\n")
    assert [document.text[-1] for document in found] == ["a", "b", "c"]
    assert [document.id for document in found] == [
        f"a.jsonl:{number}" for number in (1, second, second + 1)
    ]


def test_a_long_line_is_left_out_and_is_never_held_in_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"text": "a"}\n{"text": "')
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b'"}\n{"text": "b"}\n')
    code = (
        "import resource, sys\n"
        "from ner_mlflow.data.findings import Findings\n"
        "from ner_mlflow.weak.documents import read_documents\n"
        "from ner_mlflow.weak.skipped import SkippedDocuments\n"
        "findings = Findings()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print([d.text for d in read_documents(sys.argv[1], SkippedDocuments(findings))])\n"
        "print([(f.kind, f.count) for f in findings])\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.jsonl.gz")]
    found, counts, grown_mb = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    ).stdout.splitlines()
    assert found == "['a', 'b']"
    assert counts == "[('weak_too_long', 1)]"
    assert int(grown_mb) < 40


def test_long_texts_are_left_out_of_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "LONGEST_BYTES", 100)
    rows = [{"text": "x" * size} for size in (101, 10, 90)]
    (tmp_path / "a.jsonl").write_bytes(json_lines(*rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    (tmp_path / "c.txt").write_text("x" * 101, encoding="utf-8")
    found, counts = read(tmp_path)
    assert [len(document.text) for document in found] == [10, 10, 90]  # 90 and its field: a line
    assert counts == {"weak_too_long": 4}


def test_all_before_the_break_of_a_truncated_archive_is_kept(tmp_path: Path) -> None:
    lines = json_lines(*({"text": f"document {number} of many"} for number in range(5_000)))
    whole = gzip.compress(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.jsonl").write_bytes(json_lines({"text": "after it"}))
    found, counts = read(tmp_path)
    assert len(found) > 2_000
    assert [document.text for document in found[:2]] == [
        "document 0 of many",
        "document 1 of many",
    ]
    assert found[-1].text == "after it"
    assert counts == {"weak_broken_file": 1}


def test_a_broken_parquet_file_and_one_without_texts_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 broken")
    pq.write_table(pa.table({"number": [1, 2]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"text": ["x", None]}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"text": ["x" * 99] * 9_999}), tmp_path / "d.parquet")
    content = bytearray((tmp_path / "d.parquet").read_bytes())
    content[4:40] = bytes(36)
    (tmp_path / "d.parquet").write_bytes(content)
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["x"]
    assert counts == {"weak_broken_file": 2, "weak_no_text": 3}


def test_a_parquet_text_that_is_not_utf8_costs_no_other_text(tmp_path: Path) -> None:
    strings = pa.array([b"a", b"caf\xe9", b"b"]).view(pa.string())
    pq.write_table(pa.table({"text": strings}), tmp_path / "a.parquet")
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["a", "b"]
    assert counts == {"weak_invalid_utf8": 1}


def test_a_text_file_that_is_not_utf8_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_text("x", encoding="utf-16")
    (tmp_path / "c.txt").write_text("x", encoding="utf-8")
    found, counts = read(tmp_path)
    assert [document.text for document in found] == ["x"]
    assert counts == {"weak_invalid_utf8": 1, "weak_broken_file": 1}


def test_halves_of_surrogate_pairs_are_replaced_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a \\ud83d b \\ud83d\\ude00"}\n')
    found, counts = read(tmp_path)
    assert found[0].text == "a \ufffd b \U0001f600"
    assert counts == {"half_surrogate_replaced": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"text": null}\n[1]\n{"a": 1}\n',
            r"^weak_source '.*': holds no document: rows that are no objects: 1 \(.*a\.jsonl:2 .*\)"
            r"; documents that have no text: 2 \(.*a\.jsonl:1; .*\): give texts, or rows with a fi",
        ),
        (b"", r"holds no document: there are no files, or they are empty: give"),
    ],
)
def test_a_source_without_documents_is_an_error_that_says_why(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


@given(st.binary(max_size=400))
def test_no_bytes_of_a_file_stop_the_stream(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.jsonl", "a.jsonl.gz", "a.parquet", "a.txt", "b.txt.gz"):
            (Path(folder) / name).write_bytes(content)
        (Path(folder) / "z.txt").write_text("the last", encoding="utf-8")
        assert texts(folder)[-1] == "the last"


# The hub


def hub_run(hub: HubServer, home: Path, *sources: str) -> list[str]:
    """Return what reading each source gives, in a process that knows the hub of the test."""
    code = (
        "import sys\n"
        "from ner_mlflow.data.findings import Findings\n"
        "from ner_mlflow.weak.documents import read_documents\n"
        "from ner_mlflow.weak.skipped import SkippedDocuments\n"
        "from ner_mlflow.errors import DataError\n"
        "for source in sys.argv[1:]:\n"
        "    findings = Findings()\n"
        "    try:\n"
        "        documents = read_documents(source, SkippedDocuments(findings))\n"
        "        found = [(d.id, d.text) for d in documents]\n"
        "        print(found, {f.kind: f.count for f in findings})\n"
        "    except DataError as error:\n"
        "        print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *sources],
        env={**hub.environment(home), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_a_hub_dataset_is_streamed_and_a_gated_one_says_how_to_get_it(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    for name in ("issues", "texts", "gated"):
        (root / "datasets" / "acme" / name / "data").mkdir(parents=True)
    folder = root / "datasets" / "acme"
    pq.write_table(
        pa.Table.from_pylist([dict(ISSUE)]), folder / "issues/data/train-00000-of-00001.parquet"
    )
    for split in ("train", "test"):
        (folder / f"texts/data/{split}.jsonl").write_bytes(json_lines({"text": split}))
    (folder / "gated/data/train.jsonl").write_bytes(json_lines({"text": "x"}))
    with HubServer(root, gated={"acme/gated"}) as hub:
        issues, plain, gated, missing = hub_run(
            hub, tmp_path / "home", "acme/issues", "acme/texts", "acme/gated", "acme/missing"
        )
    assert issues == f"{ISSUE_DOCUMENTS} {{'weak_no_text': 1, 'weak_bot': 2}}"
    assert plain == "[('acme/texts:0', 'train')] {'split_left_out': 1}"
    assert gated.startswith("weak_source 'acme/gated': its access is gated")
    assert gated.endswith("ask for access on its page, and set HF_TOKEN")
    assert missing.startswith("weak_source 'acme/missing': the hub gave no such dataset")


def test_a_sample_of_a_hub_dataset_is_shuffled_by_its_seed(tmp_path: Path) -> None:
    folder = tmp_path / "hub/datasets/acme/texts/data"
    folder.mkdir(parents=True)
    lines = json_lines(*({"text": f"text {number}"} for number in range(40)))
    (folder / "train-0.jsonl").write_bytes(lines)
    code = (
        "from ner_mlflow.data.findings import Findings\n"
        "from ner_mlflow.weak.documents import read_documents\n"
        "from ner_mlflow.weak.skipped import SkippedDocuments\n"
        "for seed in (None, 1, 1, 2):\n"
        "    skipped = SkippedDocuments(Findings())\n"
        "    print([d.text for d in read_documents('acme/texts', skipped, seed)])\n"
    )
    with HubServer(tmp_path / "hub") as hub:
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**hub.environment(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
    plain, first, again, other = run.stdout.splitlines()
    assert plain == str([f"text {number}" for number in range(40)])
    assert first == again != plain
    assert sorted(first) == sorted(other) == sorted(plain)
    assert other != first


def test_a_hub_stream_that_breaks_is_an_error_and_not_the_end_of_the_corpus(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "hub/datasets/acme/texts/data"
    folder.mkdir(parents=True)
    rows = ({"text": f"text {number}"} for number in range(3))
    (folder / "train-00000-of-00002.jsonl").write_bytes(json_lines(*rows, {"text": None}))
    (folder / "train-00001-of-00002.jsonl").write_bytes(b'{"text": "cut\n')
    with HubServer(tmp_path / "hub") as hub:
        (message,) = hub_run(hub, tmp_path / "home", "acme/texts")
    assert message.startswith("weak_source 'acme/texts': the stream of the hub broke after row 3 (")
    assert message.endswith(
        "), after 3 documents: run again, set weak_sample=3 to take those, or download its files "
        "and give their folder"
    )


# Texts of no use

ENGLISH = "After the update Firefox does not start, and the log says that a file is missing."
PAGE = "<html><body>" + "<div class='row'><p>Home</p><a href='/x'>News</a></div>" * 9
REASONS: Mapping[str, str | None] = {
    ENGLISH: None,
    "Redis 7.2 crashes in Docker on Ubuntu": None,
    "NullPointerException in FSDownload.java": None,
    "Naïve café: `über` crashes when the résumé is opened": None,
    "I use <b>Redis</b> and <br> Nginx with the <code>GET</code> command of a client": None,
    "+1": "too_short",
    "": "too_short",
    "Nach dem Update startet Firefox nicht und die Seite wird nicht geladen": "not_english",
    "Après la mise à jour, le serveur ne démarre pas et les logs sont vides": "not_english",
    "Después de actualizar, el servidor no arranca y los registros están vacíos": "not_english",
    "更新后服务器无法启动 Redis 日志为空 数据库 崩溃 重启": "not_english",
    "После обновления сервер Redis не запускается": "not_english",
    "Na de update start het programma niet en er wordt een fout getoond": "not_english",
    " ".join(f"zeta{'qxj'[i % 3] * (i % 7 + 1)}" for i in range(60)): "not_english",
    PAGE: "html",
}


@pytest.mark.parametrize(("text", "reason"), REASONS.items())
def test_texts_of_no_use_are_told_by_a_reason(text: str, reason: str | None) -> None:
    assert unusable_reason(text) == reason
    assert reason is None or f"weak_{reason}" in finding_kinds()


def test_words_are_counted_in_the_prose_and_tags_in_the_text_as_written() -> None:
    log = "alpha beta gamma delta " * 200
    assert unusable_reason(log + ENGLISH) == "not_english"
    assert unusable_reason(log + ENGLISH, prose=" " * len(log) + ENGLISH) is None
    assert unusable_reason(PAGE, prose=ENGLISH) == "html"
    assert unusable_reason(log, prose="   ") == "too_short"


@given(st.text())
def test_any_text_is_usable_or_not(text: str) -> None:
    assert unusable_reason(text) in {None, "too_short", "not_english", "html"}
