"""Drop blank tokens, or refuse them, so that the tags that are left stay valid."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from ...config.schema import DataConfig
from ...errors import DataError
from ..findings import Findings
from ..schemes import BEGIN, END, PREFIXES, SINGLE, prefixes_of
from .base import Span, TaggedWords

BEGINS = prefixes_of(BEGIN, SINGLE)
"""Prefixes that begin an entity in any scheme."""
ENDS = prefixes_of(END, SINGLE)
"""Prefixes that end one."""
SINGLES = {"W": "W", "U": "U", "L": "U", "S": "S"}
"""A prefix that was seen -> the prefix of entities of one word in that scheme; else it is S."""
LASTS = prefixes_of(END)


def is_blank(token: str) -> bool:
    """Return whether a token is empty or white space only; zero-width characters are none."""
    return not token or token.isspace()


class BlankTokens:
    """Drops blank tokens from sentences of one split, or refuses them, as ``blank_tokens`` says.

    Args:
        config: the settings.
        findings: receives what was dropped.
        split: the split.
    """

    def __init__(self, config: DataConfig, findings: Findings, split: str) -> None:
        self._is_dropping = config.blank_tokens == "drop"
        self._findings = findings
        self._split = split
        self._prefixes: set[str] = set()

    def refuse(self, place: str, token: str) -> None:
        """Raise DataError if blank tokens are not dropped."""
        if not self._is_dropping:
            raise DataError(
                f"{place}: the token is blank ({token!r}): remove it, or choose blank_tokens=drop"
            )

    def learn(self, tags: Sequence[str]) -> None:
        """Take note of the scheme; it tells how entities of one word are marked."""
        self._prefixes.update(prefix for prefix, _ in map(_split, tags))

    def finish(
        self,
        tokens: Sequence[str],
        tags: Sequence[str],
        place: str,
        position: int,
        document: str | None,
    ) -> TaggedWords | None:
        """Return a sentence without its blank tokens; None, counted, if no word is left.

        Raises:
            DataError: as :meth:`drop`.
        """
        if "" in tokens or any(map(str.isspace, tokens)):
            tokens, tags = self.drop(tokens, tags, place)
        if tokens:
            return TaggedWords(tokens, tags, position, document)
        self._findings.add("row_without_words", self._split, place)
        return None

    def drop(
        self, tokens: Sequence[str], tags: Sequence[str], place: str
    ) -> tuple[list[str], list[str]]:
        """Return a sentence without its blank tokens, which are counted.

        An entity keeps its other words, as one entity of its own, in its scheme. One of blank
        tokens only is counted as left out.

        Raises:
            DataError: blank tokens are not dropped, or two entities would become one, since their
                tags have no prefix.
        """
        blank = self._find(tokens, place)
        self.learn(tags)
        changed = list(tags)
        last_kept, last_type = -1, ""  # of the entity before
        for entity in _entities(tags):
            type_ = _split(tags[entity[0]])[1]
            kept = [at for at in entity if not blank[at]]
            if not kept:
                self._findings.add(
                    "entity_of_blank_tokens",
                    self._split,
                    f"{place} word {entity[0]}",
                    tags[entity[0]],
                )
                continue
            if len(kept) < len(entity):
                self._mend(changed, tags, entity, kept)
            between = blank[last_kept + 1 : kept[0]]
            if last_kept >= 0 and last_type == type_ and between and all(between):
                prefix = _split(changed[kept[0]])[0]
                if not prefix:
                    raise DataError(
                        f"{place} word {kept[0]}: without the blank token before it, two entities "
                        f"{type_!r} would become one: remove it from the source"
                    )
                if prefix not in BEGINS:
                    changed[kept[0]] = _join("B", type_)
            last_kept, last_type = kept[-1], type_
        return (
            [token for token, is_out in zip(tokens, blank, strict=True) if not is_out],
            [tag for tag, is_out in zip(changed, blank, strict=True) if not is_out],
        )

    def drop_from_spans(
        self, tokens: Sequence[str], spans: Sequence[Span], place: str
    ) -> tuple[list[str], list[Span]]:
        """Return a sentence without its blank tokens, and spans that count the others.

        Raises:
            DataError: blank tokens are not dropped.
        """
        blank = self._find(tokens, place)
        before = [0, *accumulate(not is_out for is_out in blank)]
        kept = []
        for span in spans:
            if not 0 <= span.start < span.end <= len(tokens):
                kept.append(span)  # it does not fit, and is told so later
            elif before[span.start] < before[span.end]:
                kept.append(span._replace(start=before[span.start], end=before[span.end]))
            else:
                where = f"{place} word {span.start}"
                self._findings.add("entity_of_blank_tokens", self._split, where, span.label)
        return [token for token, is_out in zip(tokens, blank, strict=True) if not is_out], kept

    def _find(self, tokens: Sequence[str], place: str) -> list[bool]:
        """Return for each token whether it is blank; count the blank ones, or refuse them."""
        blank = [is_blank(token) for token in tokens]
        for position, token in enumerate(tokens):
            if blank[position]:
                where = f"{place} word {position}"
                self.refuse(where, token)
                self._findings.add("blank_token_dropped", self._split, where, repr(token))
        return blank

    def _mend(
        self, changed: list[str], tags: Sequence[str], entity: Sequence[int], kept: Sequence[int]
    ) -> None:
        """Mark the first and the last word that an entity keeps as its first and last."""
        first, type_ = _split(tags[entity[0]])
        last = _split(tags[entity[-1]])[0]
        if len(kept) == 1 and last in LASTS and first in BEGINS:
            singles = (single for prefix, single in SINGLES.items() if prefix in self._prefixes)
            changed[kept[0]] = _join(next(singles, "S"), type_)
            return
        if first in BEGINS:
            changed[kept[0]] = _join(first, type_)
        if last in LASTS:
            changed[kept[-1]] = _join(last, type_)


def _split(tag: str) -> tuple[str, str]:
    """Return prefix and type of a tag in any scheme; of O, two empty texts."""
    if tag == "O":
        return "", ""
    prefix, dash, type_ = tag.partition("-")
    if prefix and prefix in PREFIXES and (dash or not type_):
        return prefix, type_
    return "", tag


def _join(prefix: str, type_: str) -> str:
    return f"{prefix}-{type_}" if type_ else prefix


def _entities(tags: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of each entity, in any scheme; broken ones are as repaired."""
    entity: list[int] = []
    before, type_before = "", ""
    for position, tag in enumerate(tags):
        prefix, type_ = _split(tag)
        continues = (
            bool(entity)
            and tag != "O"
            and prefix not in BEGINS
            and before not in ENDS
            and type_ == type_before
        )
        if not continues:
            if entity:
                yield entity
            entity = []
        if tag != "O":
            entity.append(position)
        before, type_before = prefix, type_
    if entity:
        yield entity
