"""Load an exported model and find entities in texts with it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

from tokenizers import Tokenizer

from ..cpus import usable_cpus
from ..errors import ModelError
from .engines import MODEL_FILE, BatchThreads, engine_of, find_engine, forward_of_callers
from .iob2 import to_entities
from .mark_limits import MOST_IN_A_ROW, limit_marks
from .onnx_engine import CPU
from .pending import Pending
from .policies import RegionPolicies, TextRegions
from .tagger import Tagger, TaggerSpec
from .turns import Turns
from .words import Words, sentences_of, split_sentences

TOKENIZER_FILE = "tokenizer.json"
PART_CHARACTERS = 65_536
"""A part of a stream of texts is complete once its texts have this many characters."""
FIRST_PART_TEXTS = 128
"""Most texts of the first part; few, so that the cores soon have work. The limit then doubles."""
PART_TEXTS = 1024
"""Most texts of any part."""
LONGEST_PART_PIECES = 16_384
"""A part ends within a text once it has this many pieces; a part takes some 500 bytes for each."""
LONGEST_PART_SENTENCES = 4096
"""A part also ends within a text once it has this many sentences."""
LONGEST_PART_CHARACTERS = 2 * PART_CHARACTERS
"""A part also ends within a text once its sentences have this many characters."""
PARTS_AHEAD = 2
"""Parts that are started before the answers of the first are awaited."""
PARTS_IN_WORK = 16
"""Parts that the callers of a service have in work at once; one for each core if that is more."""
SHORT_CHARACTERS = 4096
"""Most characters of a text that is answered without a turn if it is a single sentence."""
LONG_CALL_CHARACTERS = 1_000_000
"""A call whose texts have more characters is a long one."""
LONG_CALLS_IN_WORK = 2
"""Long calls that a service has in work at once, as their answers may take 100 MB each."""
Answer = TypeVar("Answer")
Row = TypeVar("Row")


class TextEntity(NamedTuple):
    """An entity of a text.

    Attributes:
        text: the entity's own text, ``text[start:end]`` of the whole.
        label: the entity type.
        start: offset of its first character, in code points.
        end: offset after its last character.
        score: mean probability of the tags of its words.
    """

    text: str
    label: str
    start: int
    end: int
    score: float


def load_tagger(
    folder: Path,
    threads: int = 0,
    batch_subwords: int = 0,
    provider: str = CPU,
    engine: str = "",
) -> Tagger:
    """Load the tagger of an exported model.

    Args:
        folder: holds ``model.onnx``, ``tokenizer.json`` and ``ner_model.json``, and
            ``engine.json`` if the engine is not ONNX Runtime.
        threads: 0 takes all usable cores.
        batch_subwords: largest number of padded subwords in a batch; 0: that with which the engine
            is fastest.
        provider: ONNX Runtime's provider; an accelerator computes one batch after the other.
        engine: one of :data:`~.engines.ENGINES`; empty: that of the folder.

    Raises:
        ModelError: a file is broken or missing, the folder holds a pickle or code, or there is no
            such provider or engine.
    """
    spec = TaggerSpec.load(folder)
    chosen = find_engine(engine) if engine else engine_of(folder)
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        forward = chosen.open(folder / MODEL_FILE, threads, provider=provider)
    except ModelError:
        raise
    except Exception as error:  # the libraries raise whatever a broken file makes them raise
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{folder}: {TOKENIZER_FILE} or {MODEL_FILE} cannot be loaded ({reason}): "
            "export the model again"
        ) from error
    workers = threads or usable_cpus()
    open_forward = partial(chosen.open, folder / MODEL_FILE, 1, workers)
    executor = BatchThreads(open_forward, workers) if provider == CPU else None
    if executor and workers > 1:
        forward = forward_of_callers(forward, executor)
    return Tagger(forward, tokenizer, spec, batch_subwords or chosen.batch_subwords, executor)


class EntityRecognizer:
    """A tagger for texts of any length, which it reads sentence by sentence.

    Its memory does not grow with the texts, whatever they hold and however many threads call it at
    once; only the answers do, and few of the long ones are in work at once.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._policies = RegionPolicies(tagger.spec.region_policies, tagger.spec.error_types)
        self._turns = Turns(max(PARTS_IN_WORK, usable_cpus()))
        self._long_calls = Turns(LONG_CALLS_IN_WORK)

    @overload
    def recognize(self, texts: str) -> list[TextEntity]: ...  # type: ignore[overload-overlap]

    @overload
    def recognize(self, texts: Iterable[str]) -> Iterator[list[TextEntity]]: ...

    def recognize(
        self, texts: str | Iterable[str]
    ) -> list[TextEntity] | Iterator[list[TextEntity]]:
        """Return the entities of one text, or yield those of each of many texts, in order.

        Many texts are read a few parts ahead of the answers: one part is split into words while
        another is tagged. A stream of any length needs the memory of these parts only. One text is
        answered at once, and any number of threads may call at the same time.
        """
        if not isinstance(texts, str):
            return _whole(self._pieces_ahead(texts))
        answers = self._answer_sentence(texts, TextEntity)
        if answers is None:
            with closing(self._pieces_in_turns([texts], len(texts), TextEntity)) as pieces:
                (answers,) = _whole(pieces)
        return answers

    def recognize_rows(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """Return the same entities as plain dicts, as served.

        Callers in many threads take turns, so that all together hold a few parts of their texts,
        and the answers of a few long calls.
        """
        return self.recognize_each(texts, lambda entities: entities)

    def recognize_each(
        self, texts: Sequence[str], row: Callable[[list[dict[str, Any]]], Row]
    ) -> list[Row]:
        """Return ``row`` of the dicts of each text, of which none stay if it keeps none."""
        if len(texts) == 1 and (entities := self._answer_sentence(texts[0], _entity)) is not None:
            return [row(entities)]
        characters = sum(map(len, texts))
        with closing(self._pieces_in_turns(texts, characters, _entity)) as pieces:
            return list(map(row, _whole(pieces)))

    def recognize_parts(
        self,
        texts: Iterable[str],
        characters: int,
        add: Callable[[list[dict[str, Any]], bool], Any],
    ) -> None:
        """Call ``add`` with the dicts of each text, those of a long text in several parts.

        Args:
            texts: read once, a few parts ahead of the answers.
            characters: their number in all texts.
            add: gets some dicts of a text and whether they are the last ones of this text.
        """
        if characters <= SHORT_CHARACTERS:
            texts = list(texts)
            if len(texts) == 1:
                entities = self._answer_sentence(texts[0], _entity)
                if entities is not None:
                    add(entities, True)
                    return
        with closing(self._pieces_in_turns(texts, characters, _entity)) as pieces:
            for entities, ends in pieces:
                add(entities, ends)

    def _answer_sentence(
        self, text: str, answer: Callable[[str, str, int, int, float], Answer]
    ) -> list[Answer] | None:
        """Return the entities of a short text of one sentence, or None if it is anything else."""
        if len(text) > SHORT_CHARACTERS:
            return None
        sentences = split_sentences(text)
        if len(sentences) != 1:
            return None if sentences else []
        ((pieces, starts, ends),) = sentences
        if len(pieces) > MOST_IN_A_ROW:  # it may have too many marks
            return None
        regions = TextRegions(text)
        return [
            answer(text[start:end], entity.type, start, end, float(confidence))
            for entity, confidence in self._tagger.entities(pieces)
            if self._policies.allow(
                regions, start := starts[entity.start], end := ends[entity.end - 1], entity.type
            )
        ]

    def _pieces_ahead(self, texts: Iterable[str]) -> "Iterator[_Piece[TextEntity]]":
        pending: deque[_PendingPart[TextEntity]] = deque()
        for part in self._parts(texts):
            pending.append(self._begin(part, TextEntity))
            if len(pending) > PARTS_AHEAD:
                yield from _finish(pending.popleft())
        while pending:
            yield from _finish(pending.popleft())

    def _pieces_in_turns(
        self,
        texts: Iterable[str],
        characters: int,
        answer: Callable[[str, str, int, int, float], Answer],
    ) -> "Generator[_Piece[Answer], None, None]":
        is_long = characters > LONG_CALL_CHARACTERS
        if is_long:
            self._long_calls.take()
        pending: deque[_PendingPart[Answer]] = deque()
        parts = self._parts(texts)
        turns = 0
        try:
            while True:
                # A caller that holds a turn does not wait for another, but finishes what it has.
                if not pending:
                    self._turns.take()
                elif len(pending) > PARTS_AHEAD or not self._turns.take_if_free():
                    yield from _finish(pending.popleft())
                    self._turns.give_back()
                    turns -= 1
                    continue
                turns += 1
                part = next(parts, None)
                if part is None:
                    break
                pending.append(self._begin(part, answer))
            while pending:
                yield from _finish(pending.popleft())
        finally:
            for _ in range(turns):
                self._turns.give_back()
            if is_long:
                self._long_calls.give_back()

    def _parts(self, texts: Iterable[str]) -> Iterator["_Part"]:
        """Yield the parts of a stream of texts; each begins where another answer cannot change."""
        part = _Part()
        characters, limit = 0, FIRST_PART_TEXTS
        for text in texts:
            part.texts.append(text)
            part.regions.append(TextRegions(text))
            for words in limit_marks(sentences_of(text)):
                if part.is_full:
                    first = settled = len(part.sentences)
                    if part.owners[-1] == len(part.texts) - 1:  # it has sentences of this text
                        first, settled = self._tagger.settled(part.sentences, part.owners)
                    if settled > part.first:
                        rest = part.split(first, settled)
                        yield part
                        part, characters = rest, 0
                part.add(words)
            characters += len(text)
            if characters >= PART_CHARACTERS or len(part.texts) >= limit:
                yield part
                part, characters, limit = _Part(), 0, min(PART_TEXTS, 2 * limit)
        if part.texts:
            yield part

    def _begin(
        self, part: "_Part", answer: Callable[[str, str, int, int, float], Answer]
    ) -> "_PendingPart[Answer]":
        tagging = self._tagger.begin(part.sentences, part.owners, part.wanted)
        owners, offsets = part.owners[part.wanted], part.offsets[part.wanted]
        texts, regions = part.texts, part.regions

        def answers() -> list[list[Answer]]:
            by_text: list[list[Answer]] = [[] for _ in texts]
            surfaces: dict[str, str] = {}  # equal ones share their memory
            for owner, (starts, ends), tagged in zip(
                owners, offsets, tagging.result(), strict=True
            ):
                for entity in to_entities(tagged.tags):
                    start, end = starts[entity.start], ends[entity.end - 1]
                    if not self._policies.allow(regions[owner], start, end, entity.type):
                        continue
                    surface = texts[owner][start:end]
                    by_text[owner].append(
                        answer(
                            surfaces.setdefault(surface, surface),
                            entity.type,
                            start,
                            end,
                            float(tagged.confidence(entity)),
                        )
                    )
            return by_text

        return _PendingPart(Pending(answers), part.goes_on)


class _Part:
    """Consecutive sentences of one or more texts.

    Attributes:
        texts: the texts; the first may have begun in the part before.
        regions: the regions of each text.
        sentences: their pieces.
        owners: the index of each sentence's text.
        offsets: the start and the end of each piece in its text.
        first: index of the first sentence that this part answers; those before are its context.
        last: index after the last one that it answers; None: all others.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.regions: list[TextRegions] = []
        self.sentences: list[list[str]] = []
        self.owners: list[int] = []
        self.offsets: list[tuple[list[int], list[int]]] = []
        self.first = 0
        self.last: int | None = None
        self._pieces = 0
        self._characters = 0

    @property
    def wanted(self) -> slice:
        """Return the sentences that this part answers."""
        return slice(self.first, self.last)

    @property
    def goes_on(self) -> bool:
        """Return whether the next part answers more of the last text."""
        return self.last is not None

    @property
    def is_full(self) -> bool:
        """Return whether the part has as much as it may have."""
        return (
            self._pieces >= LONGEST_PART_PIECES
            or self._characters >= LONGEST_PART_CHARACTERS
            or len(self.sentences) >= LONGEST_PART_SENTENCES
        )

    def add(self, words: Words) -> None:
        """Add a sentence of the last text."""
        self.sentences.append(words.texts)
        self.owners.append(len(self.texts) - 1)
        self.offsets.append((words.starts, words.ends))
        self._pieces += len(words.starts)
        self._characters += words.ends[-1] - words.starts[0]

    def split(self, first: int, settled: int) -> "_Part":
        """End this part within its last text and return the next part.

        Args:
            first: index of the first sentence that the next part has, if only as context; it is one
                of the last text.
            settled: index of the first sentence that the next part answers.
        """
        rest = _Part()
        self.last = settled
        rest.first = settled - first
        rest.texts, rest.regions = self.texts[-1:], self.regions[-1:]
        rest.sentences = self.sentences[first:]
        rest.owners = [0] * len(rest.sentences)
        rest.offsets = self.offsets[first:]
        rest._pieces = sum(map(len, rest.sentences))
        rest._characters = sum(ends[-1] - starts[0] for starts, ends in rest.offsets)
        return rest


_Piece = tuple[list[Answer], bool]
"""Entities of a text in order, and whether they are its last."""


class _PendingPart(NamedTuple, Generic[Answer]):
    """The entities of each text of a part, and whether the last text goes on in the next part."""

    answers: Pending[list[list[Answer]]]
    goes_on: bool


def _finish(part: _PendingPart[Answer]) -> "Iterator[_Piece[Answer]]":
    """Yield the entities of each text of a part, and whether they are its last."""
    answers = part.answers.result()
    last = len(answers) - 1
    for index, entities in enumerate(answers):
        yield entities, index < last or not part.goes_on


def _whole(pieces: "Iterable[_Piece[Answer]]") -> Iterator[list[Answer]]:
    """Yield the entities of each text in one list."""
    begun: list[Answer] = []
    for entities, ends in pieces:
        if begun:
            begun += entities
        else:
            begun = entities
        if ends:
            yield begun
            begun = []


def _entity(text: str, label: str, start: int, end: int, score: float) -> dict[str, Any]:
    return {"text": text, "label": label, "start": start, "end": end, "score": score}
