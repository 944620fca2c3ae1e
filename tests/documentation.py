"""The commands of the documentation: where they stand, and which test runs them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

RUN_IN_ORDER = {
    "README.md": "slow: test_the_readme_from_a_fresh_clone",
    "docs/tutorial.md": "slow: test_the_tutorial_from_an_export_to_a_served_champion",
    "docs/serving.md": "slow: test_the_answers_of_the_served_model_are_those_of_the_page",
    "docs/data.md": "slow: test_a_page_runs_after_main",
    "docs/steps.md": "slow: test_a_page_runs_after_main",
    "docs/training.md": "slow: test_a_page_runs_after_main",
    "docs/weak-supervision.md": "slow: test_a_page_runs_after_main",
    "docs/sweeps.md": "slow: test_a_page_runs_after_main",
    "docs/evaluation.md": "slow: test_a_page_runs_after_main",
    "docs/promotion.md": "slow: test_a_page_runs_after_main",
    "docs/predict.md": "slow: test_a_page_runs_after_main",
    "docs/python-api.md": "slow: test_a_page_runs_after_main",
}
"""Page -> the test of tests/e2e/test_documentation.py that runs its blocks, from the top."""
RUN_ELSEWHERE = {
    ("README.md", "pip install -r requirements-dev.txt"): ".ci/run",
    ("CONTRIBUTING.md", "pip install -r requirements-dev.txt"): ".ci/run",
}
"""Page and a part of a block -> what runs it in place of the tests above."""
SERVERS = ("mlflow models serve", "mlflow ui", "mlflow server")
"""Beginnings of commands that run until they are ended."""
LANGUAGES = ("bash", "python")
"""Languages of blocks that are run."""
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"<!-- not run: ((?:(?!-->).)+) -->\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: the path of the page below the repository's root.
        line: the line of its fence, from 1.
        language: what the fence says, or empty.
        text: what stands between the fences.
        reason: why it is not run, as the comment above it says; empty: it is run.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str

    @property
    def elsewhere(self) -> str:
        """What runs it in place of the test of its page, or empty."""
        runners = [
            runner
            for (page, part), runner in RUN_ELSEWHERE.items()
            if page == self.page and part in self.text
        ]
        return runners[0] if runners else ""

    @property
    def commands(self) -> list[str]:
        """The command lines of a bash block, without comments; continued lines are joined."""
        joined = self.text.replace("\\\n", " ")
        lines = [line.strip() for line in joined.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        reason = _REASON.search(before)
        line = before.count("\n") + 1
        shown = " ".join(reason[1].split()) if reason else ""
        found.append(Block(name, line, match[1], match[2], shown))
    return found


def bash_blocks() -> list[Block]:
    """Return the bash blocks of all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language == "bash"]


def blocks_to_run(page: str) -> list[Block]:
    """Return the blocks of a page that its test runs, in their order."""
    return [
        block
        for block in blocks(ROOT / page)
        if block.language in LANGUAGES and not block.reason and not block.elsewhere
    ]


def inline_commands(page: Path) -> Iterator[str]:
    """Yield the commands that stand within the text of a page, such as `mlflow run . -e data`."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in re.finditer(r"`([^`]+)`", text):
        command = " ".join(match[1].split())
        if command.startswith(("mlflow ", "ner-mlflow ", "python -m ", "-P ", "-e ", "pytest ")):
            yield command


def words(command: str) -> list[str]:
    """Return the words of one simple command; of several joined by && the last one's."""
    split = shlex.split(command, comments=True)
    for number in range(len(split) - 1, -1, -1):
        if split[number] in ("&&", ";"):
            return split[number + 1 :]
    return split
