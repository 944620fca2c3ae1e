"""Label words by rules that a user can read and replace: gazetteers of names, and patterns.

The head of ``weak_rules/it5.yaml`` says how such a file is written. Names are matched over words,
not over characters: each word that some name holds has a code point of its own, so an Aho-Corasick
automaton over the codes of the words never finds ``Java`` in ``JavaScript``, and reads each word
once, however many names there are. Patterns are tried once for each different word.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick

from ..data.label_map import type_problem
from ..data.sentences import Sentence
from ..errors import ConfigError
from ..paths import find_path
from ..redaction import shorten
from ..strict_yaml import YamlFile, read_yaml
from ..tagging.cutting import to_pieces
from ..tagging.iob2 import OUTSIDE
from .labelers import VotedSpan
from .name_lists import PROVIDERS, read_names

WEAK_RULES = Path(__file__).parent.parent / "weak_rules"
CASES = ("exact", "ignore")
CONTEXT_WORDS = 6
"""Words before and after a word that the contexts of a pattern see."""
MOST_SKIPPED = 4
"""Words that may stand between a name and what counts only behind it."""
KNOWN_WORDS = 65_536
"""Largest number of words whose patterns are remembered."""
LONGEST_WORD = 128
"""Characters; patterns are not tried on longer words, which are data rather than names."""
BATCH_SENTENCES = 1024
"""Sentences that the automaton reads at once."""

_ADVICE = "write gazetteers and patterns as ner_mlflow/weak_rules/it5.yaml does"
_SECTIONS = ("witnesses", "gazetteers", "patterns")
_WITNESS_KEYS = (
    *("words", "within", "ahead", "behind", "enclosed_in"),
    *("near", "near_within", "through"),
)
_GAZETTEER_KEYS = ("type", "names", "case", "without", "witness", "score")
_CONTEXTS = (
    *("before", "after", "not_before", "not_after"),
    *("with_before", "with_after", "more_before", "more_after"),
)
_PATTERN_KEYS = ("type", "word", *_CONTEXTS, "behind", "skip", "score")
_CONTROLS = frozenset(map(chr, range(0x20))) - frozenset("\t\n\r")
"""Characters that no word has; ``"\\b"`` in double quotes is one of them."""
_UNKNOWN, _SENTENCE_END = "\0", "\1"
_FIRST_CODE, _SURROGATES = 0x100, range(0xD800, 0xE000)


class _Witness(NamedTuple):
    """What must stand near an ambiguous name for it to count; one of these is enough."""

    words: frozenset[str]
    within: int
    ahead: re.Pattern[str] | None
    behind: re.Pattern[str] | None
    enclosed_in: frozenset[str]
    near: frozenset[str]
    near_within: int
    through: frozenset[str]


class _Gazetteer(NamedTuple):
    name: str
    type: str
    score: float
    is_exact: bool
    witness: _Witness | None
    names: tuple[tuple[str, ...], ...]


class _Pattern(NamedTuple):
    name: str
    type: str
    score: float
    word: re.Pattern[str]
    contexts: Mapping[str, re.Pattern[str]]
    behind: frozenset[str]
    skip: re.Pattern[str] | None


class _Candidate(NamedTuple):
    """A span that a rule proposes.

    Attributes:
        start: the first word.
        end: the word after the last one.
        rank: the place of the rule in its file.
        witness: what must stand near it, unless None.
    """

    start: int
    end: int
    rank: int
    witness: _Witness | None = None


class _Name(NamedTuple):
    """A name of a gazetteer; ``words`` is None if its case does not matter."""

    gazetteer: int
    words: tuple[str, ...] | None


@dataclass(frozen=True)
class Rules:
    """Gazetteers and patterns, as a file gives them.

    Attributes:
        gazetteers: in the order of the file.
        patterns: in the order of the file.
        fingerprint: SHA-256 (hex) of the file and of all names.
        files: SHA-256 (hex) of the bytes of the file, and of each file of names.
    """

    gazetteers: tuple[_Gazetteer, ...]
    patterns: tuple[_Pattern, ...]
    fingerprint: str = field(repr=False)
    files: Mapping[Path, str] = field(repr=False, compare=False)

    @property
    def types(self) -> frozenset[str]:
        """Return the types that rules give."""
        rules: tuple[_Gazetteer | _Pattern, ...] = (*self.gazetteers, *self.patterns)
        return frozenset(rule.type for rule in rules) - {OUTSIDE}


class RulesLabeler:
    """Labels sentences by rules.

    Where spans overlap, the one that begins first counts, then the longest, then the one whose rule
    stands first in the file. A rule of type ``O`` keeps its words free of others.
    """

    saw_validation = False

    def __init__(
        self, rules: Rules, types: Collection[str] | None = None, name: str = "rules"
    ) -> None:
        """
        Args:
            rules: from :func:`load_rules`.
            types: the types of the dataset; spans of other types are left out. None keeps all.
            name: the name in tables and metrics.
        """
        self.name = name
        self._types = rules.types if types is None else rules.types & frozenset(types)
        parts = (rules.fingerprint, *sorted(self._types), Path(__file__).read_text("utf-8"))
        self.version = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        self._gazetteers, self._patterns = rules.gazetteers, rules.patterns
        self._codes, self._entries = _automaton_input(rules.gazetteers)
        self._automaton = AhoCorasick(list(self._entries), store_patterns=False)
        self._names = list(self._entries.values())
        self._guards = _guards(rules.gazetteers)
        self._known: dict[str, tuple[int, ...]] = {}

    def label(self, sentences: Sequence[Sentence]) -> list[list[VotedSpan]]:
        """Return the spans of each sentence, sorted and not overlapping."""
        return [
            spans
            for start in range(0, len(sentences), BATCH_SENTENCES)
            for spans in self._label_batch(sentences[start : start + BATCH_SENTENCES])
        ]

    def _label_batch(self, sentences: Sequence[Sentence]) -> Iterator[list[VotedSpan]]:
        matches = self._matches([sentence.tokens for sentence in sentences])
        for number, sentence in enumerate(sentences):
            words = sentence.tokens
            anchors = [
                (index, pattern)
                for index, patterns in enumerate(map(self._patterns_of, words))
                for pattern in patterns
            ]
            if number not in matches and not anchors:
                yield []
                continue
            yield self._spans(words, matches.get(number, []), anchors)

    def _matches(
        self, sentences: Sequence[Sequence[str]]
    ) -> dict[int, list[tuple[int, int, _Name]]]:
        """Return the names found in sentences, by the number of the sentence."""
        ends = list(accumulate(len(words) + 1 for words in sentences))
        text = _SENTENCE_END.join(
            "".join(map(self._codes.get, map(str.lower, words), repeat(_UNKNOWN)))
            for words in sentences
        )
        matches: dict[int, list[tuple[int, int, _Name]]] = defaultdict(list)
        number = 0
        for entry, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            while ends[number] <= start:  # matches come in the order of their ends
                number += 1
            begin = ends[number - 1] if number else 0
            start, end = start - begin, end - begin
            for name in self._names[entry]:
                if name.words is None or name.words == tuple(sentences[number][start:end]):
                    matches[number].append((start, end, name))
        return matches

    def _patterns_of(self, word: str) -> tuple[int, ...]:
        """Return the numbers of the patterns that fit a word, whatever stands around it."""
        known = self._known.get(word)
        if known is None:
            known = tuple(
                number
                for number, pattern in enumerate(self._patterns)
                if len(word) <= LONGEST_WORD and pattern.word.fullmatch(word)
            )
            if len(self._known) >= KNOWN_WORDS:
                self._known.clear()
            self._known[word] = known
        return known

    def _spans(
        self,
        words: Sequence[str],
        matches: Sequence[tuple[int, int, _Name]],
        anchors: Sequence[tuple[int, int]],
    ) -> list[VotedSpan]:
        candidates: list[_Candidate] = []
        doubtful: list[_Candidate] = []
        for start, end, name in matches:
            witness = self._witness_of(words, start, end, name)
            kind = candidates if witness is None else doubtful
            kind.append(_Candidate(start, end, name.gazetteer, witness))
        dependent: list[_Candidate] = []
        for index, number in anchors:
            pattern = self._patterns[number]
            if extent := _extent(pattern, words, index):
                candidate = _Candidate(*extent, len(self._gazetteers) + number)
                (dependent if pattern.behind else candidates).append(candidate)
        if doubtful:
            sure = _longest(candidates)
            # One name of a list witnesses the next, on either side: Go, Rust and Python.
            while found := [span for span in doubtful if self._is_witnessed(words, span, sure)]:
                candidates += found
                sure += found
                doubtful = [span for span in doubtful if span not in found]
        chosen = _longest(candidates)
        if dependent:
            chosen = self._with_dependent(words, chosen, dependent)
        return [
            VotedSpan(span.start, span.end, rule.type, rule.score, rule.name)
            for span in chosen
            if (rule := self._rule(span)).type in self._types
        ]

    def _rule(self, span: _Candidate) -> _Gazetteer | _Pattern:
        if span.rank < len(self._gazetteers):
            return self._gazetteers[span.rank]
        return self._patterns[span.rank - len(self._gazetteers)]

    def _witness_of(
        self, words: Sequence[str], start: int, end: int, name: _Name
    ) -> _Witness | None:
        """Return what a name needs: the witness of its list, or else that of another list.

        The other list counts where a capital letter says nothing: in lower case, and where a
        sentence begins with the name and goes on with a word.
        """
        gazetteer = self._gazetteers[name.gazetteer]
        if gazetteer.witness or gazetteer.type == OUTSIDE:
            return gazetteer.witness
        written = tuple(words[start:end])
        begins = start == 0 and end < len(words) and words[end][0].isalpha()
        if not begins and not all(map(str.islower, written)):
            return None
        return self._guards.get(written) or self._guards.get(_folded(written))

    def _is_witnessed(
        self, words: Sequence[str], span: _Candidate, sure: Sequence[_Candidate]
    ) -> bool:
        witness = span.witness
        assert witness is not None
        start, end = span.start, span.end
        if start and witness.ahead and witness.ahead.fullmatch(words[start - 1]):
            return True
        if end < len(words):
            if witness.behind and witness.behind.fullmatch(words[end]):
                return True
            if start and words[start - 1] == words[end] and words[end] in witness.enclosed_in:
                return True
        around = (
            *words[max(0, start - witness.within) : start],
            *words[end : end + witness.within],
        )
        if any(word.lower() in witness.words for word in around):
            return True
        return any(
            self._rule(other).type in witness.near
            and any(
                0 <= last - first <= witness.near_within
                and (
                    not witness.through
                    or (first < last and witness.through.issuperset(words[first:last]))
                )
                for first, last in ((other.end, start), (end, other.start))
            )
            for other in sure
        )

    def _with_dependent(
        self, words: Sequence[str], chosen: Sequence[_Candidate], dependent: Sequence[_Candidate]
    ) -> list[_Candidate]:
        """Add the spans that count only behind others, which may be such spans themselves."""
        kept = list(chosen)
        taken = {index for span in chosen for index in range(span.start, span.end)}
        type_ending = {span.end: self._rule(span).type for span in chosen}
        for span in sorted(dependent, key=_order):
            pattern = self._rule(span)
            assert isinstance(pattern, _Pattern)
            if taken.isdisjoint(range(span.start, span.end)) and _stands_behind(
                words, span.start, pattern, type_ending
            ):
                kept.append(span)
                taken.update(range(span.start, span.end))
                type_ending[span.end] = pattern.type
        return sorted(kept)


def _folded(words: Sequence[str]) -> tuple[str, ...]:
    """Return the key of a name in any case; an empty first word tells it from exact names."""
    return ("", *map(str.lower, words))


def _guards(gazetteers: Sequence[_Gazetteer]) -> dict[tuple[str, ...], _Witness]:
    """Return the witness that some list asks for, by the words of the name."""
    guards: dict[tuple[str, ...], _Witness] = {}
    for gazetteer in gazetteers:
        if gazetteer.witness:
            for words in gazetteer.names:
                key = words if gazetteer.is_exact else _folded(words)
                guards.setdefault(key, gazetteer.witness)
    return guards


def _order(span: _Candidate) -> tuple[int, int, int]:
    return span.start, -span.end, span.rank


def _longest(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return the candidates that remain where others overlap them, sorted."""
    chosen: list[_Candidate] = []
    for span in sorted(candidates, key=_order):
        if not chosen or span.start >= chosen[-1].end:
            chosen.append(span)
    return chosen


def _extent(pattern: _Pattern, words: Sequence[str], index: int) -> tuple[int, int] | None:
    """Return the span of a word that fits a pattern, or None if what stands around it does not."""
    if not pattern.contexts:
        return index, index + 1
    before = " ".join(words[max(0, index - CONTEXT_WORDS) : index])
    after = " ".join(words[index + 1 : index + 1 + CONTEXT_WORDS])
    found = {
        key: context.search(before) if key.endswith("before") else context.match(after)
        for key, context in pattern.contexts.items()
    }
    if not all(
        (match is None) == key.startswith("not_")
        for key, match in found.items()
        if not key.startswith("more_")
    ):
        return None
    counts = {key: len(match.group().split()) if match else 0 for key, match in found.items()}
    return (
        index - max(counts.get("with_before", 0), counts.get("more_before", 0)),
        index + 1 + max(counts.get("with_after", 0), counts.get("more_after", 0)),
    )


def _stands_behind(
    words: Sequence[str], start: int, pattern: _Pattern, type_ending: Mapping[int, str]
) -> bool:
    for place in range(start, max(-1, start - MOST_SKIPPED - 1), -1):
        if place in type_ending:
            return type_ending[place] in pattern.behind
        if place == 0 or pattern.skip is None or not pattern.skip.fullmatch(words[place - 1]):
            return False
    return False


def _automaton_input(
    gazetteers: Sequence[_Gazetteer],
) -> tuple[dict[str, str], dict[str, list[_Name]]]:
    """Return the code of each lower-case word of names, and the names of each text of codes."""
    codes: dict[str, str] = {}
    entries: dict[str, list[_Name]] = defaultdict(list)
    next_code = _FIRST_CODE
    for number, gazetteer in enumerate(gazetteers):
        for words in gazetteer.names:
            for word in map(str.lower, words):
                if word not in codes:
                    codes[word] = chr(next_code)
                    next_code += 1
                    if next_code in _SURROGATES:
                        next_code = _SURROGATES.stop
            key = "".join(codes[word.lower()] for word in words)
            entries[key].append(_Name(number, words if gazetteer.is_exact else None))
    return codes, dict(entries)


_loaded: dict[Path, Rules] = {}
"""The rules of each file as they were read last; they are read again if a file of theirs changed.
"""


def load_rules(name: str) -> Rules:
    """Load rules by their name in ``weak_rules/`` or by the path of a YAML file.

    Files that did not change since the last call are not parsed again.

    Raises:
        ConfigError: there is no such file, or a rule in it is not written as it must be.
    """
    path = find_path(str(WEAK_RULES / f"{name}.yaml")) or find_path(name)
    if path is None or not path.is_file():
        names = ", ".join(sorted(table.stem for table in WEAK_RULES.glob("*.yaml")))
        raise ConfigError(
            f"weak rules {name!r} are neither known ({names}) nor a file: {_ADVICE}, in a YAML file"
        )
    key = path.absolute()
    known = _loaded.get(key)
    if known is None or any(_content(file) != content for file, content in known.files.items()):
        contents = {key: _content(key)}
        known = _Reader(read_yaml(path, "weak rules", _ADVICE), path.parent, contents).rules()
        _loaded[key] = known
    return known


def _content(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes, or an empty text if it cannot be read."""
    found = find_path(str(path))
    try:
        return hashlib.sha256(found.read_bytes()).hexdigest() if found and found.is_file() else ""
    except OSError:
        return ""


class _Reader:
    """Turns a file of rules into rules, and refuses what is not written as it must be."""

    def __init__(self, file: YamlFile, folder: Path, contents: dict[Path, str]) -> None:
        """
        Args:
            file: the file.
            folder: where the paths of lists of names begin.
            contents: the hash of the file's bytes; receives those of the lists of names.
        """
        self._file, self._folder, self._contents = file, folder, contents
        self._witnesses: dict[str, _Witness] = {}

    def rules(self) -> Rules:
        root = self._file.value
        if not isinstance(root, dict) or not root:
            raise ConfigError(f"{self._file.name}: holds no rules: {_ADVICE}")
        self._check_keys(_SECTIONS)
        self._witnesses = {name: self._witness(name) for name in self._section("witnesses")}
        gazetteers = tuple(map(self._gazetteer, self._section("gazetteers")))
        patterns = tuple(map(self._pattern, self._section("patterns")))
        if not gazetteers and not patterns:
            raise ConfigError(f"{self._file.name}: holds no rules: {_ADVICE}")
        rules: tuple[_Gazetteer | _Pattern, ...] = (*gazetteers, *patterns)
        self._check_types({rule.type for rule in rules})
        names = [gazetteer.names for gazetteer in gazetteers]
        # The order of the rules counts, too.
        digest = hashlib.sha256(json.dumps([root, names]).encode())
        return Rules(gazetteers, patterns, digest.hexdigest(), self._contents)

    def _check_types(self, types: Collection[str]) -> None:
        """Check that some rule gives each type that another rule waits for."""
        for section, key in (("witnesses", "near"), ("patterns", "behind")):
            for name in self._section(section):
                for index, type_ in enumerate(self._value(section, name).get(key, ())):
                    if type_ not in types:
                        raise self._file.error(
                            f"{section}.{name}.{key}: no rule gives the type {type_!r}: write one "
                            f"of {', '.join(sorted(types))}, or remove it",
                            *(section, name, key, index),
                        )

    def _witness(self, name: str) -> _Witness:
        keys = ("witnesses", name)
        given = self._check_keys(_WITNESS_KEYS, *keys)
        if not given:
            raise self._error(f"holds nothing: write some of {', '.join(_WITNESS_KEYS)}", *keys)
        if "through" in given and "near" not in given:
            raise self._error("has through but not near: write both", *keys)
        for amount, other in (("within", "words"), ("near_within", "near")):
            if (amount in given) != (other in given):
                present, absent = (amount, other) if amount in given else (other, amount)
                raise self._error(f"has {present} but not {absent}: write both", *keys)
        return _Witness(
            frozenset(word.lower() for word in self._words(*keys, "words")),
            self._count(*keys, "within"),
            self._regex(*keys, "ahead"),
            self._regex(*keys, "behind"),
            frozenset(self._words(*keys, "enclosed_in")),
            frozenset(self._texts(*keys, "near")),
            self._count(*keys, "near_within"),
            frozenset(self._words(*keys, "through")),
        )

    def _gazetteer(self, name: str) -> _Gazetteer:
        keys = ("gazetteers", name)
        given = self._check_keys(_GAZETTEER_KEYS, *keys, needed=("type", "names", "case"))
        case = self._text(*keys, "case")
        if case not in CASES:
            raise self._error(f"{case!r} is not one of {', '.join(CASES)}", *keys, "case")
        witness = None
        if "witness" in given:
            wanted = self._text(*keys, "witness")
            if wanted not in self._witnesses:
                known = ", ".join(self._witnesses) or "none"
                raise self._error(f"{wanted!r} is not in witnesses ({known})", *keys, "witness")
            witness = self._witnesses[wanted]
        without = self._regex(*keys, "without", flags=re.IGNORECASE)
        source = self._text(*keys, "names")
        if source not in PROVIDERS:
            file = self._folder.absolute() / source
            self._contents[file] = _content(file)
        try:
            names = read_names(source, self._folder)
        except ConfigError as error:
            raise self._error(str(error), *keys, "names") from error
        words = {
            tuple(to_pieces(name.split())[0]): None
            for name in names
            if without is None or not without.fullmatch(name)
        }
        if not any(words):
            raise self._error("has no name that is not left out: narrow its without", *keys)
        return _Gazetteer(
            name,
            self._type(*keys, "type"),
            self._score(*keys, "score"),
            case == "exact",
            witness,
            tuple(name for name in words if name),
        )

    def _pattern(self, name: str) -> _Pattern:
        keys = ("patterns", name)
        given = self._check_keys(_PATTERN_KEYS, *keys, needed=("type", "word"))
        if "skip" in given and "behind" not in given:
            raise self._error("has skip but not behind: write both, or neither", *keys)
        word = self._regex(*keys, "word")
        assert word is not None
        contexts = {
            key: context
            for key in _CONTEXTS
            if (context := self._regex(*keys, key, edge=key)) is not None
        }
        return _Pattern(
            name,
            self._type(*keys, "type"),
            self._score(*keys, "score"),
            word,
            contexts,
            frozenset(self._texts(*keys, "behind")),
            self._regex(*keys, "skip"),
        )

    def _section(self, name: str) -> list[str]:
        section = self._file.value.get(name, {})
        if not isinstance(section, dict):
            raise self._error(f"must map names to rules: {_ADVICE}", name)
        return list(section)

    def _check_keys(
        self, allowed: Sequence[str], *keys: str, needed: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        values = self._value(*keys)
        if not isinstance(values, dict):
            raise self._error(f"must hold some of {', '.join(allowed)}: {_ADVICE}", *keys)
        for key in values:
            if key not in allowed:
                raise self._error(f"unknown key: write one of {', '.join(allowed)}", *keys, key)
        for key in needed:
            if key not in values:
                raise self._error(f"has no {key}: write it", *keys)
        return values

    def _text(self, *keys: str) -> str:
        value = self._value(*keys)
        if not isinstance(value, str) or not value:
            raise self._error(self._file.not_text(*keys) if value != "" else "is empty", *keys)
        return value

    def _texts(self, *keys: str) -> list[str]:
        if not self._is_given(*keys):
            return []
        values = self._value(*keys)
        if not isinstance(values, list):
            raise self._error("must be a list of texts", *keys)
        if not values:
            raise self._error("is empty: write what it should hold, or remove the line", *keys)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                error = self._file.not_text(*keys, index)
                raise self._file.error(f"{'.'.join(keys)}: {error}", *keys, index)
        return values

    def _words(self, *keys: str) -> list[str]:
        """Return texts that must each be one word, as texts are cut: others would never be met."""
        words = self._texts(*keys)
        for index, word in enumerate(words):
            if (pieces := to_pieces(word.split())[0]) != [word]:
                raise self._file.error(
                    f"{'.'.join(keys)}: {word!r} is not a single word of a text, which is cut into "
                    f"{' '.join(pieces)!r}: write single words",
                    *keys,
                    index,
                )
        return words

    def _type(self, *keys: str) -> str:
        type_ = self._text(*keys)
        if problem := type_problem(type_):
            raise self._error(problem, *keys)
        return type_

    def _count(self, *keys: str) -> int:
        value = self._value(*keys) if self._is_given(*keys) else 0
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._error(f"must be a number of words, 0 or more{self._not(*keys)}", *keys)
        return value

    def _score(self, *keys: str) -> float:
        value = self._value(*keys) if self._is_given(*keys) else 1.0
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
            raise self._error(f"must be a number from 0 to 1{self._not(*keys)}", *keys)
        return float(value)

    def _regex(self, *keys: str, flags: int = 0, edge: str = "") -> re.Pattern[str] | None:
        """Compile a regular expression; one of words before or after ends where these do."""
        if not self._is_given(*keys):
            return None
        text = self._text(*keys)
        if control := next((sign for sign in text if sign in _CONTROLS), ""):
            raise self._error(
                f"holds the control character {control!r}, which no word has: write \\\\ for \\ "
                "between double quotes, or take single ones",
                *keys,
            )
        try:
            re.compile(text)
            if edge.endswith("before"):
                return re.compile(rf"(?<!\S)(?:{text})\Z", flags)
            return re.compile(rf"(?:{text})(?!\S)" if edge else text, flags)
        except re.error as error:
            hint = ", and write (?i:...) for (?i)..." if "global flags" in str(error) else ""
            reason = error.msg if edge else error  # its position counts what was put around it
            raise self._error(
                f"is not a regular expression ({reason}): correct {shorten(text)}{hint}", *keys
            ) from error

    def _is_given(self, *keys: str) -> bool:
        return keys[-1] in self._value(*keys[:-1])

    def _value(self, *keys: str) -> Any:
        value = self._file.value
        for key in keys:
            value = value[key]
        return value

    def _not(self, *keys: str) -> str:
        """Return what stands in place of a number, for the end of a message."""
        text = self._file.typed[keys].text
        return f", not {shorten(text)}" if text else ""

    def _error(self, message: str, *keys: str) -> ConfigError:
        return self._file.error(f"{'.'.join(keys)}: {message}", *keys)
