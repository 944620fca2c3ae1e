"""Read a long JSON request, and write its answers, without further copies of either in memory.

``json.loads`` makes one text of the whole request and then a text of each of its strings. Here the
long strings of a long request stay bytes, and each is decoded when it is read. The answers are
written as JSON part by part.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

LONG_BODY = 1_000_000
"""Bytes; a shorter request is read at once."""
LONG_STRING = 65_536
"""Bytes; a shorter string of a long request is read at once."""
SHOWN_CHARACTERS = 200
"""Characters at the beginning of a long string that stand for it, so that messages can show it."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class Place(NamedTuple):
    """Where a string with its quotes stands in a request, in bytes, and its characters."""

    start: int
    end: int
    characters: int


@dataclass(frozen=True)
class LongStrings:
    """The strings of a request that are decoded when they are read.

    Attributes:
        body: the request.
        places: the place of each string, by the short string that stands for it.
    """

    body: bytes = b""
    places: Mapping[str, Place] = field(default_factory=dict)

    def read(self, value: str) -> str:
        """Return the string that ``value`` stands for, or ``value`` itself."""
        place = self.places.get(value)
        return value if place is None else _decode(self.body, place.start, place.end)

    def characters(self, value: str) -> int:
        """Return the length of what :meth:`read` returns."""
        place = self.places.get(value)
        return len(value) if place is None else place.characters


class RequestTexts(Sequence[str]):
    """The texts of a request; a long one is decoded each time that it is read."""

    def __init__(self, values: Sequence[str], long_strings: LongStrings) -> None:
        self._values = values
        self._long_strings = long_strings
        self.characters = sum(map(long_strings.characters, values))

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return RequestTexts(self._values[index], self._long_strings)
        return self._long_strings.read(self._values[index])

    def __iter__(self) -> Iterator[str]:
        return map(self._long_strings.read, self._values)


class JsonAnswers:
    """The answers to a request as the JSON that is sent."""

    def __init__(self) -> None:
        self._output = BytesIO(b'{"predictions": [')
        self._output.seek(0, 2)
        self._before_row, self._before_entity = "[", ""
        self._is_open = False

    def add(self, entities: Sequence[Mapping[str, Any]], ends: bool) -> None:
        """Add entities of a text; ``ends`` says whether they are its last."""
        parts: list[str] = []
        if not self._is_open:
            parts.append(self._before_row)
        if entities:
            parts += [self._before_entity, json.dumps(entities)[1:-1]]
            self._before_entity = ", "
        if ends:
            parts.append("]")
            self._before_row, self._before_entity = ", [", ""
        self._is_open = not ends
        self._output.write("".join(parts).encode("ascii"))

    def body(self) -> bytes:
        """Return the JSON once all texts have ended."""
        self._output.write(b"]}")
        return self._output.getvalue()  # the buffer itself, not a copy


def load_json(body: str | bytes) -> tuple[Any, LongStrings]:
    """Return the value of a JSON text, and the strings that some of its strings stand for.

    Raises:
        ValueError: it is not JSON or not in Unicode, or a number has too many digits.
        RecursionError: it is nested too deeply.
    """
    if (
        isinstance(body, str)
        or len(body) <= LONG_BODY
        or json.detect_encoding(body) != "utf-8"  # in others a quote is not always the byte 0x22
    ):
        return json.loads(body), LongStrings()
    places: dict[str, Place] = {}
    parts: list[bytes] = []
    secret = secrets.token_hex(16)
    copied, end = 0, 0
    while (start := body.find(b'"', end)) >= 0:
        string = _STRING.match(body, start)
        if string is None:
            break
        end = string.end()
        if end - start <= LONG_STRING:
            continue
        try:
            text = _decode(body, start, end)
        except ValueError as error:
            raise ValueError(f"in the string at byte {start}: {error}") from None
        value = f"{text[:SHOWN_CHARACTERS]}{secret}{len(places)}"
        places[value] = Place(start, end, len(text))
        parts += [body[copied:start], json.dumps(value).encode("ascii")]
        copied = end
    if not places:
        return json.loads(body), LongStrings()
    parts.append(body[copied:])
    try:
        return json.loads(b"".join(parts)), LongStrings(body, places)
    except json.JSONDecodeError as error:  # its position is one of the shorter text
        raise ValueError(error.msg) from None


def _decode(body: bytes, start: int, end: int) -> str:
    string: str = json.loads(str(memoryview(body)[start:end], "utf-8", "surrogatepass"))
    return string
