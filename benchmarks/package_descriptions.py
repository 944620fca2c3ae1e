"""Collect the descriptions of packages from PyPI: READMEs, as unlabelled IT text.

Each line of NAMES is a package. OUT gets a JSON line for each that has a description: its name as
``id``, its ``version`` and ``license``, and the ``text``. The texts belong to their authors; they
serve measurements here and are not part of this repository.

usage: python -m benchmarks.package_descriptions NAMES OUT.jsonl
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

ADDRESS = "https://pypi.org/pypi/{name}/json"
TIMEOUT_S = 30
CONNECTIONS = 12


def main() -> None:
    """Collect the descriptions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    names = arguments.names.read_text(encoding="utf-8").split()
    found = 0
    with (
        ThreadPoolExecutor(CONNECTIONS) as pool,
        arguments.out.open("w", encoding="utf-8") as file,
    ):
        for row in pool.map(describe, names):
            if row:
                file.write(json.dumps(row) + "\n")
                found += 1
    print(json.dumps({"names": len(names), "descriptions": found}))


def describe(name: str) -> dict[str, str] | None:
    """Return the description of a package, or None if there is none."""
    try:
        answer = requests.get(ADDRESS.format(name=name), timeout=TIMEOUT_S)
        answer.raise_for_status()
        info = answer.json()["info"]
    except (requests.RequestException, ValueError, KeyError):
        return None
    if not (text := info.get("description") or ""):
        return None
    license_ = info.get("license_expression") or (info.get("license") or "")[:80]
    return {"id": name, "version": info.get("version") or "", "license": license_, "text": text}


if __name__ == "__main__":
    main()
