"""Search for input that breaks a target of tests/hostile.py, guided by the code that it reaches.

usage: python -m scripts.fuzz [TARGET [SECONDS]]

Without a target they are listed. The search starts from the target's valid samples and from what
earlier searches kept in fuzz/TARGET/. Input that breaks the target goes to fuzz/TARGET-crash-*,
and the exit status is not 0. Needs atheris (requirements-dev.txt), which runs on Linux.
"""

import re
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "fuzz"
LONGEST = 20_000
"""Bytes of the longest input that is tried."""
INPUT_TIMEOUT_S = 10
MEMORY_MB = 2048
"""Memory of the process; more is a fault."""

sys.path.insert(0, str(ROOT / "tests"))
with atheris.instrument_imports(include=["ner_mlflow"]):
    from hostile import TARGETS


def main() -> None:
    """Run the search that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit("\n".join(TARGETS))
    name, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60
    target = TARGETS[name]
    short = re.sub(r"\W+", "_", name)
    kept = FOLDER / short
    kept.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (kept / f"sample{number}").write_bytes(sample)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={INPUT_TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={FOLDER / short}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(kept)], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
