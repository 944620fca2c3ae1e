"""A Spark cluster of two workers predicts and sweeps as this machine does alone."""

import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import (
    ROOT,
    assert_no_run_is_running,
    entry_point,
    free_port,
    mlflow_run,
    runs,
    user_environment,
)
from pipelines import write_corpus

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import DataError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking.spark import JOBS_FOR_CORE, check_output, map_on_spark, spark_session
from ner_mlflow.tracking.spark_texts import SESSION_SETTINGS, SparkSource, write_on_spark
from ner_mlflow.weak.labelled import labelled_table
from ner_mlflow.weak.reading import CutSource, SentenceReader, read_and_cut

pytest.importorskip("pyspark", reason="the extra spark is not installed")

CLUSTER = "local-cluster[2,1,1024]"
"""A standalone cluster on this machine: two worker processes of one core and 1024 MiB each."""


@pytest.mark.slow
def test_a_cluster_predicts_the_rows_that_this_machine_predicts(
    tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    main = mlflow_run(store, "-P", f"presets={tiny_preset}", cwd=tmp_path)
    assert main.returncode == 0, main.stderr
    rows = [
        {"id": number, "text": f"I upgraded to Ubuntu 22.{number} ." if number % 3 else ""}
        for number in range(400)
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    alone = entry_point(
        store, "predict", "--input", str(source), "--output", str(tmp_path / "here.parquet")
    )
    assert alone.returncode == 0, alone.stderr
    on_cluster = mlflow_run(
        store,
        "-e",
        "predict",
        "-P",
        f"input={source}",
        "-P",
        f"output={tmp_path / 'there'}",
        "-P",
        "engine=spark",
        "-P",
        f"spark_master={CLUSTER}",
    )
    assert on_cluster.returncode == 0, on_cluster.stderr
    assert "400 texts in " in on_cluster.stdout
    local, remote = (
        pd.read_parquet(tmp_path / name).sort_values("id").to_dict("records")
        for name in ("here.parquet", "there")
    )
    assert [row["text"] for row in local] == [row["text"] for row in remote]
    assert sum(len(row["entities"]) for row in local) > 100
    for first, second in zip(local, remote, strict=True):
        assert [(e["text"], e["label"], e["start"], e["end"]) for e in first["entities"]] == [
            (e["text"], e["label"], e["start"], e["end"]) for e in second["entities"]
        ]
        assert [e["score"] for e in first["entities"]] == pytest.approx(
            [e["score"] for e in second["entities"]], abs=1e-3
        )

    # A failure states its cause and leaves nothing; an existing output is not overwritten.
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": null}\n' * 4)
    command = ["--engine", "spark", "--spark_master", CLUSTER]
    bad = entry_point(
        store,
        "predict",
        "--input",
        str(tmp_path / "bad.jsonl"),
        "--output",
        f"file://{tmp_path}/bad",
        *command,
    )
    assert bad.returncode == 1
    assert "row 0: nan is not text: send strings only" in bad.stderr.strip().splitlines()[-1]
    assert not list(tmp_path.glob("bad*[!l]"))
    again = entry_point(
        store, "predict", "--input", str(source), "--output", str(tmp_path / "there"), *command
    )
    assert again.returncode == 1
    assert f"output {tmp_path / 'there'} exists" in again.stderr
    by_scheme = entry_point(
        store,
        "predict",
        "--input",
        f"file://{source}",
        "--output",
        f"file://{tmp_path}/scheme",
        *command,
    )
    assert by_scheme.returncode == 0, by_scheme.stderr
    assert len(pd.read_parquet(tmp_path / "scheme")) == len(rows)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a standalone master with two workers of one core each.

    The workers' folders are ``tmp_path/worker-N``.
    """
    import pyspark

    launcher, port = Path(pyspark.__file__).parent / "bin" / "spark-class", free_port()
    address = f"spark://127.0.0.1:{port}"
    environment = user_environment("", PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    with ExitStack() as stack:

        def start(role: str, name: str, *arguments: str) -> Path:
            log = tmp_path / f"{name}.log"
            command = [
                str(launcher),
                f"org.apache.spark.deploy.{role}",
                "--host",
                "127.0.0.1",
                "--webui-port",
                "0",
                *arguments,
            ]
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=stack.enter_context(log.open("w")),
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            return log

        log = start("master.Master", "master", "--port", str(port))
        for number in (1, 2):
            start(
                "worker.Worker",
                f"worker-{number}",
                "--cores",
                "1",
                "--memory",
                "1g",
                "--work-dir",
                str(tmp_path / f"worker-{number}"),
                address,
            )
        deadline = time.monotonic() + 180
        while log.read_text().count("Registering worker") < 2:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield address


def begin_sweep(
    tiny_preset: Path, cluster: str, store: str, tmp_path: Path
) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a sweep of six trials, wait until one has seen two epochs, and return its settings.

    Three of the trials fail.
    """
    space = tmp_path / "space.yaml"
    entries = {
        "train.learning_rate": {
            "type": "float",
            "low": 1e-4,
            "high": 4e-3,
            "log": True,
            "grid_points": 3,
        },
        # The tiny backbone does not take 512 subwords: these trials fail.
        "model.max_length": {"type": "categorical", "choices": [64, 512]},
    }
    space.write_text(yaml.safe_dump(entries), encoding="utf-8")
    options = {
        "preset": tiny_preset,
        "space": space,
        "sampler": "grid",
        "pruner": "none",
        "engine": "spark",
        "spark_master": cluster,
        "study": "far",
    }
    options |= {"epochs": 12, "trial_epochs": 0, "final_seeds": "[]"}
    settings = {name: str(value) for name, value in options.items()}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "entrypoints.sweep", *arguments]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=user_environment(store, **here(tmp_path)),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 300
    while not training(tmp_path):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    return process, settings


def here(tmp_path: Path) -> dict[str, str]:
    return {CACHE_VARIABLE: str(tmp_path / "cache"), "PYSPARK_PYTHON": sys.executable}


def training(tmp_path: Path) -> list[Path]:
    """Return the folders of executors that have completed a second epoch."""
    return [
        file.parent
        for file in tmp_path.glob("worker-*/*/*/stderr")
        if "epoch 2 of 12" in file.read_text()
    ]


@pytest.mark.slow
def test_a_sweep_on_a_cluster_loses_no_trial_and_repeats_none(
    cluster: str, tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process, settings = begin_sweep(tiny_preset, cluster, store, tmp_path)
    (backend,) = [
        executor
        for executor in psutil.process_iter(["cwd", "cmdline"])
        if executor.info["cwd"] == str(training(tmp_path)[0])
        and "java" in executor.info["cmdline"][0]
    ]
    for child in backend.children(recursive=True):
        os.kill(child.pid, signal.SIGKILL)
    assert process.wait(300) == 0, (tmp_path / "log").read_text()
    assert_no_run_is_running(store)
    assert len({folder.parent.parent for folder in training(tmp_path)}) == 2
    (parent,) = runs(store, "sweep")
    states = Counter(run.data.tags["ner.trial_state"] for run in runs(store, "trial"))
    assert states == {"complete": 3, "failed": 3, "lost": 1}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(store, "trial")} == {
        parent.info.run_id
    }
    assert {
        run.info.status
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] == "lost"
    } == {"KILLED"}
    tried = {
        run.data.tags["ner.trial_params"]
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] != "lost"
    }
    assert len(tried) == 6
    best = max(
        run.data.metrics["best_validation/f1"]
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] == "complete"
    )
    assert parent.data.metrics["best_validation/f1"] == best > 0
    assert parent.data.metrics["trials/complete"] == 3
    artifacts = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=parent.info.run_id)}
    assert {
        "trials.html",
        "plots.html",
        "best.yaml",
        "history.png",
        "parameters.png",
    } <= artifacts

    again = mlflow_run(
        store,
        "-e",
        "sweep",
        *(word for name, value in settings.items() for word in ("-P", f"{name}={value}")),
        env=here(tmp_path),
    )
    assert again.returncode == 0, again.stderr
    assert "6 trials, 0 of them new" in again.stderr
    assert len(runs(store, "trial")) == 7
    assert_no_run_is_running(store)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_on_a_cluster_whose_driver_ended_resumes_later(
    end: signal.Signals, cluster: str, tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process, settings = begin_sweep(tiny_preset, cluster, store, tmp_path)
    if end == signal.SIGINT:  # Ctrl-C reaches the driver's JVM too
        os.killpg(process.pid, end)
        assert process.wait(120) == 130, (tmp_path / "log").read_text()
        assert_no_run_is_running(store)
    else:
        process.kill()
        process.wait(10)
    again = entry_point(
        store,
        "sweep",
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
        env=here(tmp_path),
    )
    assert again.returncode == 0, again.stderr
    assert_no_run_is_running(store)
    states = Counter(run.data.tags["ner.trial_state"] for run in runs(store, "trial"))
    assert (states["complete"], states["failed"]) == (3, 3)
    assert 1 <= states["lost"] <= 2
    assert sorted(run.info.status for run in runs(store, "sweep")) == ["FINISHED", "KILLED"]


@pytest.mark.slow  # Spark tries for a minute
def test_a_cluster_that_does_not_answer_ends_in_one_line(tiny_preset: Path, tmp_path: Path) -> None:
    master = f"spark://127.0.0.1:{free_port()}"
    arguments = [
        "--preset",
        str(tiny_preset),
        "--space",
        "full",
        "--engine",
        "spark",
        "--spark_master",
        master,
    ]
    done = entry_point(
        f"sqlite:///{tmp_path / 'mlflow.db'}", "sweep", *arguments, env=here(tmp_path)
    )
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: spark_master '{master}' gives no session")
    )


def working_executors(tmp_path: Path) -> list[psutil.Process]:
    """Return the executors of the workers in this folder that have started Python."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if (process.info["cwd"] or "").startswith(str(tmp_path / "worker-"))
        and "java" in (process.info["cmdline"] or [""])[0]
        and process.children()
    ]


def write_texts(folder: Path, count: int) -> Path:
    """Write texts as JSON lines and as Parquet, some twice, some too short."""
    folder.mkdir()
    texts = []
    for number in range(count):
        text = (
            f"Since build {number} the job number {number * 7} fails on Ubuntu {number}.04 "
            f"with error {number * 13}.\n```\nrun {number}\n```\nPlease look at it soon."
        )
        texts += [text if number % 9 else "ok"] * (1 + number % 2)
    half = len(texts) // 2
    lines = "".join(f"{json.dumps({'text': text})}\n" for text in texts[:half])
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    table = pa.table({"text": texts[half - 1000 :]})
    pq.write_table(table, folder / "b.parquet", row_group_size=1000)
    return folder


@pytest.mark.slow
def test_a_cluster_labels_weakly_as_this_machine_does_even_if_a_worker_is_killed(
    cluster: str, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    corpus, texts = write_corpus(tmp_path / "corpus"), write_texts(tmp_path / "texts", 20_000)
    arguments = ["--dataset", str(corpus), "--weak_source", str(texts), "--weak_sample", "0"]
    here_output, there_output = tmp_path / "here", tmp_path / "there"
    alone = entry_point(store, "data", *arguments, "--weak.output", str(here_output))
    assert alone.returncode == 0, alone.stderr
    command = [sys.executable, "-m", "entrypoints.data", *arguments]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(*command, "--weak.engine", "spark", "--weak.spark_master", cluster),
                *("--weak.output", f"file:{there_output}"),
            ],
            cwd=ROOT,
            env=user_environment(store, **here(tmp_path)),
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 300
    while not (executors := working_executors(tmp_path)):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.05)
    executors[0].kill()
    assert process.wait(500) == 0, (tmp_path / "log").read_text()
    first, second = runs(store, "data")
    fingerprints = {run.data.tags["ner.dataset_fingerprint"] for run in (first, second)}
    assert len(fingerprints) == 1
    assert len(list(tmp_path.glob("worker-*/app-*/*"))) == 3  # one executor was replaced
    for name in ("weak/added", "weak/sentences", "changes/train/weak_duplicate"):
        assert first.data.metrics[name] == second.data.metrics[name] > 0
    assert_no_run_is_running(store)
    written, by_cluster = (
        pq.read_table(folder).to_pylist() for folder in (here_output, there_output)
    )
    assert written == by_cluster
    assert [row["number"] for row in written] == list(range(len(written)))
    assert len(written) == first.data.metrics["weak/added"]

    # An output that exists is refused before anything is read.
    again = entry_point(store, "data", *arguments, "--weak.output", str(here_output))
    assert again.returncode == 1
    assert f"output {here_output} exists: name another" in again.stderr


@contextmanager
def local_spark() -> Iterator[Any]:
    with spark_session("local[2]", "test", SESSION_SETTINGS) as spark:
        yield spark


def read_weakly(
    source: str, cut: CutSource = read_and_cut, sample: int = 0
) -> tuple[list[Sentence], dict[str, object]]:
    """Return the sentences of a source, and all that is told of it."""
    findings = Findings()
    reader = SentenceReader(WeakConfig(source=source, sample=sample), findings, cut)
    sentences = list(reader.sentences())
    told = {
        "counts": reader.counts,
        "findings": list(map(str, findings)),
        "removed": reader.removed().to_dict("records"),
        "skipped": reader.skipped.table().to_dict("records"),
    }
    return sentences, told


def write_every_kind(folder: Path) -> Path:
    """Write good and bad documents into files of every kind, and a folder below."""
    (folder / "below").mkdir(parents=True)
    texts = [
        f"Since build {n} the cache number {n * 7} fails on Ubuntu {n}.04.\n```\nrun {n}\n```\n"
        f"Please restart the worker {n % 300} of shard {n % 50} as soon as you can."
        for n in range(1500)
    ]
    bad = [
        b'{"text": "caf\xe9"}',
        b"[1]",
        b"",
        b'{"text": null}',
        b'{"cut',
        b'{"text": "half of a pair \\ud800 is in this text of ours"}',
    ]
    lines = [json.dumps({"text": text}).encode() for text in texts]
    for number in range(0, 1500, 100):
        lines.insert(number, bad[number // 100 % len(bad)])
    long_line = b'{"text": "' + b"x" * 9_000_000 + b'"}'
    content = b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\n" + long_line
    (folder / "a [1] \u00e9%20*.jsonl").write_bytes(content)
    issues = [
        {
            "repo": "a/b",
            "issue_number": n,
            "events": [
                {"author": "ann", "title": f"Title {n}", "text": texts[n + 700]},
                {"author": "ci[bot]", "text": "Built."},
            ],
        }
        for n in range(200)
    ]
    packed = b"".join(json.dumps(issue).encode() + b"\n" for issue in issues)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(packed))
    pq.write_table(pa.Table.from_pylist(issues[:20]), folder / "c.parquet")
    rows = {
        "id": list(range(400)),
        "title": [f"Ticket {n} about the proxy of ours" if n % 3 else None for n in range(400)],
        "text": [text if len(text) % 7 else None for text in texts[:400]],
    }
    pq.write_table(pa.table(rows), folder / "below" / "d.parquet", row_group_size=50)
    broken = pa.Array.from_buffers(
        pa.string(),
        2,
        [
            None,
            pa.py_buffer(struct.pack("<3i", 0, 28, 31)),
            pa.py_buffer(b"The first text is quite fine\xe9\xe9\xe9"),
        ],
    )
    pq.write_table(pa.table({"body": broken}), folder / "below" / "e.parquet")
    pq.write_table(pa.table({"other": [1, 2, 3]}), folder / "below" / "f.parquet")
    (folder / "g.txt").write_text("A text about the server of mine.\n\nIt has two paragraphs.")
    (folder / "h.txt.gz").write_bytes(gzip.compress(b"Another text about the server of yours.\n"))
    (folder / "i.txt").write_bytes(b"caf\xe9")
    (folder / "j.txt").write_bytes(b"x" * 9_000_000)
    (folder / "notes.md").write_text("# no text")
    for hidden in ("_SUCCESS", ".cache.txt", "below/_temporary/part.txt", "below/.git/a.txt"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("A hidden text about the server of mine.")
    return folder


@pytest.mark.slow
def test_spark_reads_weak_texts_of_every_kind_as_this_machine_does(tmp_path: Path) -> None:
    source = str(write_every_kind(tmp_path / "texts"))
    with local_spark() as spark:
        for sample in (0, 300):
            sentences, told = read_weakly(source, sample=sample)
            assert len(sentences) > sample
            assert any("Ticket" in sentence.tokens for sentence in sentences)
            on_spark = SparkSource(spark, "local[2]")
            assert read_weakly(source, on_spark, sample) == (sentences, told)
        by_address, _ = read_weakly(f"file:{source}/below, file:{source}/g.txt", on_spark)
        by_path, _ = read_weakly(f"{source}/below,{source}/g.txt")
        assert by_address == [replace(s, origin=f"file:{s.origin}") for s in by_path]
    with pytest.raises(DataError, match=r"address that Spark reads: set weak\.engine=spark"):
        read_weakly(f"file:{source}")


@pytest.mark.slow
def test_weak_texts_may_be_on_another_file_system(tmp_path: Path) -> None:
    # Hadoop's viewfs has roots, renames and listings of its own, over folders of this machine.
    texts = write_texts(tmp_path / "texts", 60)
    (tmp_path / "written").mkdir()
    mounts = {
        f"spark.hadoop.fs.viewfs.mounttable.data.link./{name}": f"file:{tmp_path / name}"
        for name in ("texts", "written")
    }
    with spark_session("local[2]", "test", {**SESSION_SETTINGS, **mounts}) as spark:
        source, output = "viewfs://data/texts", "viewfs://data/written/labelled"
        by_address, told = read_weakly(source, SparkSource(spark, "local[2]"))
        table = labelled_table(by_address)
        check_output(spark, output)
        write_on_spark(spark, table, output)
        with pytest.raises(DataError, match=f"output {output} exists"):
            check_output(spark, output)
    by_path, told_here = read_weakly(str(texts))
    assert told["counts"] == told_here["counts"]
    assert [s.tokens for s in by_address] == [s.tokens for s in by_path] != []
    assert by_address[0].origin.startswith("viewfs://data/texts/a.jsonl")
    written = pq.read_table(tmp_path / "written" / "labelled").sort_by("number")
    assert written.to_pylist() == table.to_pylist()


@pytest.mark.slow
def test_broken_files_of_weak_texts_cost_spark_what_stands_behind_the_break(
    tmp_path: Path,
) -> None:
    lines = "".join(
        json.dumps({"text": f"The cache {n} of shard {n * 7} is slow since build {n * 3}."}) + "\n"
        for n in range(3000)
    )
    packed = gzip.compress(lines.encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "none.parquet").write_bytes(b"PAR1 nothing")
    table = pa.table({"text": [f"The queue {n} of host {n * 11} stands still." for n in range(90)]})
    pq.write_table(table, tmp_path / "rows.parquet")
    with local_spark() as spark:
        source = SparkSource(spark, "local[2]")
        sentences, told = read_weakly(str(tmp_path), source)
        found = Counter(str(sentence.document).split(":")[0] for sentence in sentences)
        assert found["rows.parquet"] == 90
        assert 1000 < found["cut.jsonl.gz"] < 3000
        skipped = [(row["reason"], row["document"]) for row in told["skipped"]]  # type: ignore[attr-defined]
        assert skipped == [("broken_file", "cut.jsonl.gz"), ("broken_file", "none.parquet")]
        for name, reason in (("none.parquet", "files that are broken"), ("no", "no such file")):
            with pytest.raises(DataError, match=reason):
                read_weakly(f"file:{tmp_path}/{name}", source)


@pytest.mark.slow
def test_weak_chunks_are_sent_to_spark_as_cores_get_free() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[list[int]]:
        for number in range(40):
            taken.append(number)
            yield [3, number, 1]

    with local_spark() as spark:
        ahead = []
        for number, result in enumerate(map_on_spark(chunks(), spark, sorted)):
            assert result == sorted([3, number, 1])
            ahead.append(len(taken) - number)
        assert max(ahead) == JOBS_FOR_CORE * 2
        results = map_on_spark(chunks(), spark, sorted)
        next(results)
        results.close()  # type: ignore[attr-defined]
        with pytest.raises(DataError, match=r"Spark at local\[2\] failed: TypeError: "):
            list(map_on_spark(iter([[1, "a"]]), spark, sorted))
