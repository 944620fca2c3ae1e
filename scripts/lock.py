"""Write the lock files: every package of an installation, in one version, with its hashes.

usage: python -m scripts.lock
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTED = "requirements-dev.lock"
"""What the tests run with. The other lock files have the same versions."""
LOCKS = {
    TESTED: "requirements-dev.txt",
    "requirements.lock": "requirements.txt",
    "deploy/requirements.lock": "deploy/requirements.txt",
}
"""Lock file -> the file of the pins that it adds to."""
PYTHON = "3.11"
HEADER = "# Made from {source} by `python -m scripts.lock`; install it with --require-hashes.\n"


def compile_lock(source: Path, constraint: Path | None) -> str:
    """Return the content of the lock file of some requirements.

    The packages are those of Linux, macOS and Windows, with markers. Versions are as new as the
    index has them, or those of ``constraint``, another lock file.

    Raises:
        subprocess.CalledProcessError: the requirements contradict each other, or the index is away.
    """
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--python-version", PYTHON]
    if constraint:
        command += ["--constraint", str(constraint)]
    done = subprocess.run(
        [*command, str(source)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def locked(text: str) -> dict[str, list[str]]:
    """Return the locked versions by the normalised names of their packages.

    A package has several versions where platforms differ.
    """
    found: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;\\]+)", text, re.MULTILINE
    ):
        found.setdefault(normalised(name), []).append(version)
    return found


def normalised(name: str) -> str:
    """Return the name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write all lock files."""
    if sys.argv[1:]:
        sys.exit((__doc__ or "").split("\n\n")[1])
    for name, source in LOCKS.items():
        text = compile_lock(ROOT / source, None if name == TESTED else ROOT / TESTED)
        (ROOT / name).write_text(HEADER.format(source=source) + text, encoding="utf-8")


if __name__ == "__main__":
    main()
