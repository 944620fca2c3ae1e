"""Cut documents into sentences without labels, in parallel, in bounded memory.

What depends on one document alone (cleaning, checks, keys of near duplicates, sentences) is
computed by worker processes or a cluster, a chunk of documents at a time. What depends on their
order (which of two duplicates came first) is decided here. So the sentences are the same wherever
documents are cut. Only the keys of near duplicates are kept (:class:`NearDuplicates`).
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..config.schema import WeakConfig
from ..cpus import usable_cpus
from ..data.findings import Findings
from ..data.hub import is_hub_id
from ..data.sentences import TRAIN, Sentence
from ..tagging.iob2 import OUTSIDE
from ..tagging.words import sentences_of
from .cleaning import Removed, blank, clean
from .documents import Document, read_documents, unusable_reason
from .near_duplicates import Keys, NearDuplicates, band_keys
from .sampling import sample_documents
from .skipped import Notice, SkippedDocuments, beginning, excerpt

log = logging.getLogger(__name__)

CHUNK_DOCUMENTS, CHUNK_CHARACTERS = 256, 1_000_000
"""Documents that a worker gets at once: so many, or fewer that have so many characters together."""
FEW_CHUNKS = 8
"""As many chunks are cut before worker processes start, which takes a second."""
LOGGED_DOCUMENTS = 10_000
LEAST_PIECES = 4
"""Pieces of a sentence; a shorter one has too little context."""
MOST_PIECES = 128
"""Pieces of a sentence; a longer one is hardly prose."""
EXAMPLES = 5
"""Examples that are kept of what each cleaning rule removed."""
BROKEN = (
    "a worker process ended (a script must make its calls below `if __name__ == '__main__':`; a "
    "process that is killed often lacks memory)"
)
"""Why worker processes no longer cut."""


class CutDocument(NamedTuple):
    """What is computed from one document alone.

    Attributes:
        id: the id of the document.
        origin: its place.
        begin: the beginning of its text.
        unusable: why it is of no use, or None; then the rest is empty.
        keys: the keys by which near duplicates are recognised.
        removed: what cleaning removed.
        examples: the beginning of each of these parts, as written.
        sentence_count: the number of its sentences.
        sentences: those of a length to learn from.
    """

    id: str
    origin: str
    begin: str
    unusable: str | None
    keys: Keys | None = None
    removed: tuple[Removed, ...] = ()
    examples: tuple[str, ...] = ()
    sentence_count: int = 0
    sentences: tuple[Sentence, ...] = ()


def cut_document(document: Document) -> CutDocument:
    """Clean a document and cut it into sentences whose words are pieces, all tagged ``O``."""
    text = document.text
    cleaning = clean(text)
    prose = blank(text, cleaning)
    place = (document.id, document.origin, beginning(text))
    if reason := unusable_reason(text, prose):
        return CutDocument(*place, reason)
    sentences = list(sentences_of(prose))
    return CutDocument(
        *place,
        None,
        band_keys(prose),
        cleaning.removed,
        tuple(beginning(text[removed.start : removed.end]) for removed in cleaning.removed),
        len(sentences),
        tuple(
            Sentence(
                tuple(words.texts),
                (OUTSIDE,) * len(words.texts),
                document.id,
                f"{document.origin} character {words.starts[0]}",
                prose[words.starts[0] : words.ends[-1]],
                tuple(start - words.starts[0] for start in words.starts),
            )
            for words in sentences
            if LEAST_PIECES <= len(words.texts) <= MOST_PIECES
        ),
    )


def cut_chunk(documents: list[Document]) -> list[CutDocument]:
    """Cut each document of a chunk."""
    return [cut_document(document) for document in documents]


CutChunks = Callable[[Iterator[list[Document]]], Iterator[list[CutDocument]]]
"""Chunks of documents -> :func:`cut_chunk` of each, in their order, computed anywhere."""


def cut_on_all_cores(
    chunks: Iterator[list[Document]], workers: int | None = None
) -> Iterator[list[CutDocument]]:
    """Yield what :func:`cut_chunk` returns for each chunk, computed by worker processes.

    Args:
        chunks: the chunks; few are held at a time.
        workers: worker processes, which start after :data:`FEW_CHUNKS`; None: one for each core. A
            single one is this process. If they cannot start or one is killed, a warning says why
            and this process goes on alone. They end with this process, however it ends.
    """
    workers = usable_cpus() if workers is None else workers
    yield from map(cut_chunk, chunks if workers < 2 else islice(chunks, FEW_CHUNKS))
    if workers < 2:
        return
    pool: _Workers | None = None
    waiting: deque[Callable[[], list[CutDocument]]] = deque()
    try:
        for chunk in chunks:
            pool = pool or _Workers(workers)
            waiting.append(pool.begin(chunk))
            if len(waiting) > 2 * workers:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()
    finally:
        if pool:
            pool.close()


class _Workers:
    """Worker processes that cut chunks; without them, this process cuts."""

    def __init__(self, count: int) -> None:
        self._pool = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), initializer=_begin_worker
        )
        self._work = True
        # A new process runs the parent's script again, up to its guard.
        main = sys.modules["__main__"]
        script = getattr(main, "__file__", None)
        if main.__spec__ is None and script and not Path(script).exists():
            self._go_on_alone(f"worker processes cannot read the script {script} again")

    def begin(self, chunk: list[Document]) -> Callable[[], list[CutDocument]]:
        """Begin to cut a chunk, and return a function that waits for the result."""
        if self._work:
            try:
                return partial(self._result, chunk, self._pool.submit(cut_chunk, chunk))
            except BrokenProcessPool:
                self._go_on_alone(BROKEN)
        return partial(cut_chunk, chunk)

    def close(self) -> None:
        """End the processes; chunks that were not waited for are not cut."""
        self._pool.shutdown(cancel_futures=True)

    def _result(
        self, chunk: list[Document], future: Future[list[CutDocument]]
    ) -> list[CutDocument]:
        try:
            return future.result()
        except BrokenProcessPool:
            self._go_on_alone(BROKEN)
            return cut_chunk(chunk)

    def _go_on_alone(self, reason: str) -> None:
        if self._work:
            log.warning("weak supervision: %s: this process goes on alone, more slowly", reason)
        self._work = False


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C this process's parent ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # the main thread waits for work that will not come


CutSource = Callable[[WeakConfig, SkippedDocuments], Iterator[CutDocument]]
"""The settings -> what is computed of each document of ``weak.source``, or of the sample of them,
in the order of the source; the second argument receives what is left out meanwhile."""


def read_and_cut(
    config: WeakConfig, skipped: SkippedDocuments, cut_chunks: CutChunks = cut_on_all_cores
) -> Iterator[CutDocument]:
    """Yield each document of the sample, cut; this process reads them.

    Args:
        config: the source, and how many documents to take.
        skipped: receives what is left out.
        cut_chunks: cuts documents, here or elsewhere.

    Raises:
        DataError: the source cannot be read, or yields no document.
    """
    source, size, seed = config.source, config.sample, config.seed
    if size and is_hub_id(source):
        documents: Iterator[Document] = islice(read_documents(source, skipped, seed), size)
    else:
        documents = read_documents(source, skipped)
        documents = sample_documents(documents, size, seed) if size else documents
    return chain.from_iterable(cut_chunks(_chunks(documents)))


class SentenceReader:
    """Reads the sentences of ``weak.source``, and counts what it leaves out.

    Attributes:
        counts: how many documents were read and used, and how many sentences these hold.
        skipped: the documents that were left out.
    """

    def __init__(
        self, config: WeakConfig, findings: Findings, cut_source: CutSource = read_and_cut
    ) -> None:
        """
        Args:
            config: the source, and how many documents to take.
            findings: receives what is left out.
            cut_source: reads and cuts documents, here or elsewhere.
        """
        self._config = config
        self._findings = findings
        self._cut_source = cut_source
        self.skipped = SkippedDocuments(findings)
        self._removed: dict[str, _RemovedParts] = {}
        self.counts = {"documents": 0, "used_documents": 0, "sentences": 0}

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences of documents that repeat no earlier one, in order.

        Raises:
            DataError: the source cannot be read, or yields no document.
        """
        duplicates = NearDuplicates()
        for cut in self._cut_source(self._config, self.skipped):
            self.counts["documents"] += 1
            if self.counts["documents"] % LOGGED_DOCUMENTS == 0:
                log.info("weak supervision: read %d documents", self.counts["documents"])
            reason = cut.unusable
            if cut.keys is not None and not duplicates.is_new(cut.keys):
                reason = "duplicate"
            if reason:
                notice = Notice(f"weak_{reason}", cut.origin, "", cut.id, cut.begin)
                self.skipped.add(notice, TRAIN)
            else:
                self.counts["used_documents"] += 1
                self.counts["sentences"] += cut.sentence_count
                unfit = cut.sentence_count - len(cut.sentences)
                self._findings.add("weak_sentence_length", TRAIN, cut.origin, count=unfit)
                for removed, example in zip(cut.removed, cut.examples, strict=True):
                    parts = self._removed.setdefault(removed.rule, _RemovedParts(removed.rule))
                    parts.add(removed.end - removed.start, example)
                yield from cut.sentences

    def removed(self) -> pd.DataFrame:
        """Return what cleaning removed of the used documents.

        Returns:
            A row for each rule: rule, parts and characters (numbers), examples (one a line, with
            what looks like a secret replaced).
        """
        rows = [self._removed[rule].row() for rule in sorted(self._removed)]
        return pd.DataFrame(rows, columns=["rule", "parts", "characters", "examples"])


class _RemovedParts:
    """What one cleaning rule removed."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._parts = self._characters = 0
        self._examples: list[str] = []

    def add(self, characters: int, example: str) -> None:
        self._parts += 1
        self._characters += characters
        if len(self._examples) < EXAMPLES:
            self._examples.append(excerpt(example))

    def row(self) -> dict[str, object]:
        return {
            "rule": self._rule,
            "parts": self._parts,
            "characters": self._characters,
            "examples": "\n".join(self._examples),
        }


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    characters = 0
    for document in documents:
        chunk.append(document)
        characters += len(document.text)
        if len(chunk) >= CHUNK_DOCUMENTS or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk
