"""The pages of the showcase, by the file in ``views/`` and the path of the address."""

from pathlib import Path

VIEWS = Path(__file__).resolve().parent / "views"
PAGES = {
    "verdict": "Verdict",
    "compare": "Compare",
    "failures": "Where it fails",
    "trial": "Try it",
    "provenance": "Data and provenance",
}
"""File and path -> title."""
