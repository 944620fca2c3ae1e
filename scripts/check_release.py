"""Check that a tag, the package, the citation and the changelog name the same version.

usage: python -m scripts.check_release vX.Y.Z
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {
    "ner_mlflow/version.py": r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
    "CHANGELOG.md": r"^## \[?(\d[^\]\s]*)",
}
"""File -> pattern of the version that it names; the first match counts."""


def differences(tag: str, root: Path = ROOT) -> list[str]:
    """Return what is wrong with a release of a tag, nothing if all is well."""
    problems = []
    for name, pattern in SOURCES.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        version = match[1] if match else "no version"
        if f"v{version}" != tag:
            problems.append(f"{name} has {version}, the tag is {tag}: change one of them")
    return problems


def main() -> None:
    """Check a tag; a difference is an error."""
    if len(sys.argv) != 2:
        sys.exit((__doc__ or "").split("\n\n")[1])
    if problems := differences(sys.argv[1]):
        sys.exit("\n".join(f"error: {problem}" for problem in problems))


if __name__ == "__main__":
    main()
