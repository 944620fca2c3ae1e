"""Derive the files of this package that a module's results depend on from the source itself.

Cache keys and the code in a registered model are derived from these files, so no list of modules
is kept by hand.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent
CODE_SUFFIX = ".py"
DATA_SUFFIXES = (".yaml", ".txt", ".html", ".css")
"""Suffixes of files that modules read."""


def import_closure(
    *modules: str, without: Collection[str] = (), keep: Collection[str] = ()
) -> list[Path]:
    """Return the files that modules depend on, themselves included, sorted.

    These are all modules that they import, directly or indirectly, at the top or inside functions,
    and the data files that any of these modules names: a string constant that equals the name of a
    data file, or of its folder, counts as reading it.

    Args:
        modules: paths relative to the package, such as ``tagging/pyfunc.py``.
        without: rooms (``tracking``, or ``errors`` for ``errors.py``) whose modules are left out,
            with their imports. The given ``modules`` are part of the closure in any case.
        keep: paths of modules in these rooms that stay in.
    """
    kept_modules = {PACKAGE / module for module in keep}
    pending, closure = [PACKAGE / module for module in modules], set[Path]()
    while pending:
        path = pending.pop()
        if path in closure:
            continue
        closure.add(path)
        pending += [
            imported
            for imported in _references(path).imports
            if room(imported) not in without or imported in kept_modules
        ]
    strings = frozenset[str]().union(*(_references(path).strings for path in closure))
    data = {
        file
        for file in source_files()
        if file.suffix in DATA_SUFFIXES and (file.name in strings or file.parent.name in strings)
    }
    return sorted(closure | data)


def room(path: Path) -> str:
    """Return the room of a file: its folder or module directly below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(CODE_SUFFIX)


def source_files() -> list[Path]:
    """Return all modules and data files of the package, sorted."""
    suffixes = (CODE_SUFFIX, *DATA_SUFFIXES)
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def fingerprint(files: Collection[Path]) -> str:
    """Return the SHA-256 (hex) of the names and contents of files of this package."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


class _References(NamedTuple):
    """What a module names: the modules that it imports, and all its string constants."""

    imports: frozenset[Path]
    strings: frozenset[str]


@cache
def _references(path: Path) -> _References:
    imports, strings = set[Path](), set[str]()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            target = folder.joinpath(*(node.module or "").split("."))
            for name in node.names:
                imports.update(_module_files(target / name.name))
            if node.module:
                imports.update(_module_files(target))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
    return _References(frozenset(imports), frozenset(strings))


def _module_files(target: Path) -> Iterator[Path]:
    candidates = (
        target.with_name(f"{target.name}{CODE_SUFFIX}"),
        target / f"__init__{CODE_SUFFIX}",
    )
    yield from (path for path in candidates if path.is_file())
