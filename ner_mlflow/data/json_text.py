"""Read JSON text a value at a time, so that a list of any length does not fill the memory."""

import json
import re
from pathlib import Path
from typing import Any

from ..errors import DataError
from .files import read_text_blocks

VALUE_CHARACTERS = 268_435_456
"""The longest value that is read: a broken or hostile file must not fill the memory."""
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[-+.\w]*\Z")
_LOOKAHEAD = 12
"""Characters. An error this close to the end of the text read so far may vanish when more is read:
they hold JSON's longest word, -Infinity, or an escape."""
_WAY_OUT = "write one object a line, or a list of objects"


class JsonText:
    """A cursor over the JSON text of a file.

    Every method raises DataError, with file and line, if the file cannot be read or is not JSON.

    Attributes:
        line: the line of the cursor, from 1.
    """

    def __init__(self, path: Path) -> None:
        self.line = 1
        self._path = path
        self._blocks = read_text_blocks(path)
        self._text = ""
        self._at = 0
        self._ended = False
        self._decode = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """Move past white space, and return the next character; an empty text at the end."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # matches all
            self._move(end)
            if end < len(self._text):
                return self._text[end]
            if not self._read():
                return ""

    def skip(self, characters: str) -> str:
        """Move past white space and one of these characters, and return it."""
        character = self.peek()
        if not character or character not in characters:
            expected = " or ".join(map(repr, characters))
            found = f"{character!r}" if character else "the end"
            raise self.error(f"{expected} expected, {found} found")
        self._move(self._at + 1)
        return character

    def value(self) -> Any:
        """Return the next value, and move past it."""
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._may_go_on(error) or not self._read():
                    raise self.error(error.msg, error.pos) from error
                continue
            # A number with too many digits, or too deep a value.
            except (ValueError, RecursionError) as error:
                raise self.error(str(error)) from error
            # A number that ends where the text ends may have more digits.
            if end == len(self._text) and _SCALAR.match(self._text, self._at) and self._read():
                continue
            self._move(end)
            return value

    def error(self, reason: str, at: int | None = None) -> DataError:
        """Return an error at the cursor, or at a position of the text that was read."""
        line = self.line + self._text.count("\n", self._at, at or self._at)
        return DataError(f"{self._path}:{line}: not JSON ({reason}): {_WAY_OUT}")

    def _move(self, position: int) -> None:
        self.line += self._text.count("\n", self._at, position)
        self._at = position

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or (
            error.pos + _LOOKAHEAD >= len(self._text)
        )

    def _read(self) -> bool:
        """Append as much text as is left of the old, at least a block; False at the end."""
        parts = [self._text[self._at :]]
        wanted = len(parts[0])
        if wanted > VALUE_CHARACTERS:
            raise self.error(f"a value of more than {VALUE_CHARACTERS:,} characters")
        read = 0
        while not self._ended and read <= wanted:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            else:
                parts.append(block)
                read += len(block)
        self._text, self._at = "".join(parts), 0
        return read > 0
