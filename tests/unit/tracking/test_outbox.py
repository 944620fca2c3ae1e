"""An outbox keeps what is logged, in order, across processes, and names what has no id yet."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from clocks import set_clock_back
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.private_names import UNFINISHED_ARTIFACT
from ner_mlflow.tracking.outbox import (
    Kind,
    Outbox,
    damaged_outboxes,
    left_outboxes,
    new_local_id,
    note_id,
    note_open,
    open_ids,
    outbox_folder,
    read_outboxes,
    with_store_ids,
)

ADDRESS = "http://me:***@127.0.0.1:5000"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


values = st.recursive(
    st.none() | st.text() | st.floats(allow_nan=False) | st.integers(),
    lambda entries: st.lists(entries, max_size=3) | st.dictionaries(st.text(), entries, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.sampled_from(Kind), st.text(max_size=8), values), max_size=6))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_added_is_read_as_it_was_in_order(entries: list[tuple[Kind, str, object]]) -> None:
    outbox = Outbox.create(ADDRESS)
    for kind, subject, value in entries:
        outbox.add(kind, subject, {"value": value})
    read = [(entry.kind, entry.subject, entry.payload["value"]) for entry in outbox.waiting()]
    assert read == entries
    outbox.note_delivered(outbox.waiting(2))
    assert [entry.number for entry in outbox.waiting()] == [
        entry.number for entry in outbox.operations()[2:]
    ]
    outbox.remove()


def test_what_a_killed_process_added_is_left_for_the_next_one(cache: Path) -> None:
    code = (
        "import os; from ner_mlflow.tracking.outbox import *\n"
        f"outbox = Outbox.create({ADDRESS!r}); outbox.add(Kind.RUN, 'a', {{}})\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (outbox,) = left_outboxes(ADDRESS)
    assert list(left_outboxes("another store")) == []
    assert [path.name for path in (cache / "outbox").iterdir()] == [outbox.folder.name]


def test_an_outbox_that_a_living_process_holds_is_read_but_not_delivered() -> None:
    outbox = Outbox.create(ADDRESS)
    outbox.add(Kind.RUN, "a", {})
    assert list(left_outboxes(ADDRESS)) == []
    read = [entry for other in read_outboxes(ADDRESS) for entry in other.operations()]
    assert [entry.subject for entry in read] == ["a"]
    outbox.close()
    assert len(list(left_outboxes(ADDRESS))) == 1


def test_an_outbox_is_held_from_its_first_moment_and_its_end_disturbs_nobody() -> None:
    own = (
        "from ner_mlflow.tracking.outbox import *\n"
        "for number in range(150):\n"
        f"    outbox = Outbox.create({ADDRESS!r})\n"
        "    kept = outbox.add(Kind.RUN, 'a', {})\n"
        "    assert outbox.folder.is_dir(), 'another process removed it'\n"
        "    outbox.note_delivered([kept])\n"
        "    outbox.remove()\n"
    )
    # What each command does at its start: deliver what dead processes left, and read the others.
    other = (
        "import select, sys; from ner_mlflow.tracking.outbox import *\n"
        "while not select.select([sys.stdin], [], [], 0)[0]:\n"
        f"    for outbox in left_outboxes({ADDRESS!r}):\n"
        "        assert outbox.is_delivered(), 'it was taken from a living process'\n"
        "        outbox.remove()\n"
        f"    [outbox.operations() for outbox in read_outboxes({ADDRESS!r})]\n"
    )
    run = [sys.executable, "-c"]
    others = [subprocess.Popen([*run, other], stdin=subprocess.PIPE) for _ in range(2)]
    owners = [subprocess.Popen([*run, own]) for _ in range(2)]
    assert [process.wait() for process in owners] == [0, 0]
    for process in others:
        process.communicate(b"end")
    assert [process.returncode for process in others] == [0, 0]
    assert list(outbox_folder().iterdir()) == []


def test_what_a_process_left_before_it_wrote_anything_is_removed() -> None:
    outbox = Outbox.create(ADDRESS)
    outbox._execute("DELETE FROM outbox")
    outbox.close()
    (outbox_folder() / "unborn").mkdir()
    (outbox_folder() / "unborn" / "outbox.sqlite").touch()
    assert list(left_outboxes(ADDRESS)) == []
    assert list(outbox_folder().iterdir()) == []


@pytest.mark.parametrize("content", [b"no database" * 900, b""], ids=["noise", "empty"])
def test_a_damaged_outbox_is_named_kept_and_stops_no_other(
    content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, whole = (Outbox.create(ADDRESS) for _ in range(2))
    (damaged.artifact_folder("a")).mkdir(parents=True)
    for outbox in (damaged, whole):
        outbox.close()
    (damaged.folder / "outbox.sqlite").write_bytes(content)
    assert [outbox.folder for outbox in left_outboxes(ADDRESS)] == [whole.folder]
    (record,) = caplog.records
    assert record.message.startswith(f"outbox {damaged.folder} is damaged (")
    assert [outbox.folder for outbox in read_outboxes(ADDRESS)] == [whole.folder]
    (error,) = damaged_outboxes()
    assert str(error) == record.message
    assert damaged.artifact_folder("a").is_dir()


def test_a_file_is_changed_until_it_was_uploaded_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox.create(ADDRESS)
    path = outbox.artifact_folder("a") / "tables" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text("one")
    assert outbox.changed_files("a") == [path]
    assert outbox.changed_files("a", older_than_s=60) == []
    assert not outbox.is_delivered()
    state = path.stat()
    outbox.note_uploaded(path, state.st_size, state.st_mtime_ns)
    assert outbox.is_delivered()
    path.write_text("other")
    assert outbox.changed_files("a") == [path]
    path.with_name(f"{UNFINISHED_ARTIFACT}x").write_text("half")
    assert outbox.changed_files("a") == [path]
    set_clock_back(monkeypatch)  # the file is now from the future
    assert outbox.changed_files("a", older_than_s=60) == [path]
    assert not outbox.is_delivered()


def test_only_ids_of_this_machine_are_replaced_and_waited_for() -> None:
    local, other = new_local_id(), new_local_id()
    assert not outbox_folder().exists()  # a process that is killed now leaves nothing
    for id_ in (local, other):
        note_open(id_)
    foreign = local[:-4] + "beef"
    text = f"runs:/{local}/model, models:/m-{other}, {foreign}, {local}0"
    assert open_ids(text) == [local, other]
    note_id(local, "a" * 32)
    note_open(local)  # too late
    assert with_store_ids(text) == (
        f"runs:/{'a' * 32}/model, models:/m-{other}, {foreign}, {local}0"
    )
    assert open_ids(text) == [other]


def test_a_folder_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.mkdir()
    outbox_folder().write_text("a file")
    with pytest.raises(TrackingError, match=rf"outbox {cache}/outbox/.* set {CACHE_VARIABLE}"):
        Outbox.create(ADDRESS)


def test_a_disk_that_is_full_is_named(cache: Path) -> None:
    outbox = Outbox.create(ADDRESS)
    with sqlite3.connect(outbox.folder / "outbox.sqlite") as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    outbox._execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(TrackingError, match=r"cannot be written \(database or disk is full"):
        outbox.add(Kind.LOGGED, "a", {"value": "x" * 1_000_000})
