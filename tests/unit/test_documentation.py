"""The documentation: its commands exist and are run by tests, its links lead somewhere."""

import ast
import importlib.util
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from conftest import TESTS
from documentation import (
    PAGES,
    ROOT,
    RUN_IN_ORDER,
    SERVERS,
    Block,
    bash_blocks,
    blocks_to_run,
    inline_commands,
    words,
)

from ner_mlflow.cli.console import STEPS, load_command
from ner_mlflow.config.settings import SECTIONS, SETTINGS
from scripts import docs_site, flow_picture, tutorial_corpus

BLOCKS = bash_blocks()
COLUMNS = 100
LOADED_FROM_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe)[^>]*\ssrc=.?https?://|<link[^>]*stylesheet[^>]*https?://"
)
PROGRAMS = (
    "chmod",
    "cp",
    "curl",
    "docker",
    "export",
    "mkdocs",
    "pip",
    "pre-commit",
    "pytest",
    "sudo",
)
"""Programs whose options are their own."""
CODE = ("benchmarks", "deploy", "entrypoints", "ner_mlflow", "scripts")
"""Folders whose modules commands run."""
PLACEHOLDERS = {"STEP", "NAME", "..."}
"""Words that stand for a value of the reader."""


def place(block: Block) -> str:
    return f"{block.page}:{block.line}"


def entry_points() -> dict[str, set[str]]:
    project = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))
    return {name: set(entry["parameters"]) for name, entry in project["entry_points"].items()}


ENTRY_POINTS = entry_points()


@pytest.mark.parametrize("block", BLOCKS, ids=place)
def test_a_command_of_the_documentation_is_run_by_a_test_or_says_why_not(block: Block) -> None:
    if not block.reason and not block.elsewhere:
        kind, _, test = RUN_IN_ORDER.get(block.page, "").partition(": ")
        assert kind in ("quick", "slow"), (
            f"{place(block)}: run it by a test that tests/documentation.py names, or write "
            "<!-- not run: REASON --> above it"
        )
        source = (TESTS / "e2e" / "test_documentation.py").read_text(encoding="utf-8")
        assert f"def {test}(" in source


def test_the_table_of_tests_names_no_page_without_commands() -> None:
    assert [page for page in RUN_IN_ORDER if not blocks_to_run(page)] == []


def test_a_reason_not_to_run_a_command_names_only_tests_that_exist() -> None:
    for block in BLOCKS:
        for name in re.findall(r"tests/\S+\.py", block.reason):
            assert (ROOT / name).is_file(), f"{place(block)}: there is no {name}"


@pytest.mark.parametrize("block", BLOCKS, ids=place)
def test_a_block_names_only_programs_entry_points_and_options_that_exist(block: Block) -> None:
    assert block.commands
    for command in block.commands:
        problem = unknown(command)
        assert not problem, f"{place(block)}: {command}: {problem}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_the_text_name_only_what_exists(page: Path) -> None:
    for command in inline_commands(page):
        problem = unknown(command)
        assert not problem, f"{page.relative_to(ROOT)}: {command}: {problem}"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("mlflow run . -e trian", "no entry point trian"),
        ("mlflow run . -e train -P epoch=3", "no parameter epoch of train"),
        ("mlflow run . -P train.epoch=3", "no parameter train.epoch of main"),
        ("mlflow run . --env-manger local", "mlflow run has no option --env-manger"),
        ("mlflow models serve -m x --prot 5", "mlflow models serve has no option --prot"),
        ("ner-mlflow train --epoch 3", "ner-mlflow train has no option --epoch"),
        ("ner-mlflow trian", "no step trian"),
        ("python -m benchmarks.sped X", "no module benchmarks.sped"),
        ("python -m benchmarks.training X --epoch 3", "benchmarks/training.py has no --epoch"),
        ("rm -rf /", "unknown program rm"),
    ],
)
def test_a_wrong_command_is_found(command: str, problem: str) -> None:
    assert unknown(command) == problem


def unknown(command: str) -> str:
    """Return what a command names that does not exist, or an empty text."""
    split = words(command)
    if split[0] in ("-P", "-e"):
        return unknown_parameter("", split)
    if split[:2] == ["mlflow", "run"]:
        return unknown_parameter("main", split[2:]) or unknown_option(split)
    if split[0] == "mlflow":
        return unknown_option(split)
    if split[0] == "ner-mlflow":
        return unknown_step_option(split[1:])
    if split[:2] == ["python", "-m"]:
        return unknown_module(split[2:])
    return "" if split[0] in PROGRAMS else f"unknown program {split[0]}"


def unknown_parameter(entry: str, split: list[str]) -> str:
    if "-e" in split[:-1]:
        entry = split[split.index("-e") + 1]
        if entry not in ENTRY_POINTS and entry not in PLACEHOLDERS:
            return f"no entry point {entry}"
    known = ENTRY_POINTS.get(entry, set().union(*ENTRY_POINTS.values())) | SETTINGS.keys()
    for option, value in itertools.pairwise(split):
        name = value.partition("=")[0]
        if option == "-P" and name not in known | PLACEHOLDERS:
            return f"no parameter {name}{f' of {entry}' if entry else ''}"
    return ""


def unknown_option(split: list[str]) -> str:
    from mlflow.cli import cli  # takes seconds to import

    command: click.Command = cli
    names = [split[0]]
    for word in split[1:]:
        if not isinstance(command, click.Group):
            break
        context = click.Context(command)
        found = command.get_command(context, word)
        if not found:
            return f"{' '.join(names)} has no command {word}"
        command = found
        names.append(word)
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    return missing_option(" ".join(names), split, known | {"--help"})


def unknown_step_option(split: list[str]) -> str:
    if not split or split[0].startswith("-") or split[0] in PLACEHOLDERS:
        return ""
    if split[0] not in STEPS:
        return f"no step {split[0]}"
    known = {option for param in load_command(split[0]).params for option in param.opts}
    return missing_option(f"ner-mlflow {split[0]}", split, known | {"--help"})


def missing_option(program: str, split: list[str], known: set[str]) -> str:
    options = (word.partition("=")[0] for word in split if word.startswith("-"))
    missing = next((option for option in options if option not in known), "")
    return f"{program} has no option {missing}" if missing else ""


def unknown_module(split: list[str]) -> str:
    if split[0].split(".")[0] not in CODE:
        return ""
    if "NAME" in split[0]:
        return ""
    file = ROOT / f"{split[0].replace('.', '/')}.py"
    if not file.is_file():
        return f"no module {split[0]}"
    source = file.read_text(encoding="utf-8")
    for option in (word for word in split if word.startswith("--")):
        if not re.search(rf'{re.escape(option)}[\s"\],)]', helper_sources(source)):
            return f"{split[0].replace('.', '/')}.py has no {option}"
    return ""


def helper_sources(source: str) -> str:
    """Return the text of a module and of the modules that it takes its options from."""
    imported = re.findall(r"^from (ner_mlflow[\w.]*|benchmarks[\w.]*) import", source, re.MULTILINE)
    files = (ROOT / f"{name.replace('.', '/')}.py" for name in imported)
    return source + "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_in_the_text_exist(page: Path) -> None:
    if "experiments" not in page.parts:
        text = page.read_text(encoding="utf-8")
        keys = re.findall(rf"`((?:{'|'.join(SECTIONS)})\.\w+)(?:=[^`]*)?`", text)
        files = ("conll", "html", "yaml")
        assert [key for key in keys if key not in SETTINGS and not key.endswith(files)] == []


def test_recipes_show_the_true_defaults() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.\w+)` \| `([^`]*)` \|", page, re.MULTILINE)
    assert len(rows) > 10
    shown = {key: SETTINGS[key].default_text() for key, _ in rows}
    assert dict(rows) == {key: text.strip("[]") for key, text in shown.items()}


def test_the_table_of_steps_lists_the_parameters_of_each_entry_point() -> None:
    page = (ROOT / "docs" / "steps.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE))
    assert list(rows) == [step for step in ENTRY_POINTS if step in rows]
    assert rows.keys() == ENTRY_POINTS.keys()
    inspect = ENTRY_POINTS["inspect"] - {"preset"}
    weak = {name for name in ENTRY_POINTS["main"] if name.startswith("weak_")}
    for step, cell in rows.items():
        named = set(re.findall(r"`(\w+)`", cell.replace("(instead of `preset`)", "")))
        named |= inspect if "those of `inspect`" in cell else set()
        named |= weak if "weak supervision" in cell else set()
        assert named - {"inspect"} == ENTRY_POINTS[step] - {"preset"}, step


def test_messages_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `(.+?)` \| ", page, re.MULTILINE)
    assert len(messages) > 50
    templates = message_templates()
    assert [message for message in messages if message not in templates] == []


def message_templates() -> set[str]:
    """Return the texts of the package, with … in place of what is filled in."""
    texts = set()
    for path in (ROOT / "ner_mlflow").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants: dict[str, str] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constants[node.targets[0].id] = template(node.value, constants)
        texts |= {
            template(node, constants)
            for node in ast.walk(tree)
            if isinstance(node, (ast.JoinedStr, ast.Constant))
        }
    return texts


def template(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "…"
    if isinstance(node, ast.FormattedValue):
        value = constants.get(node.value.id, "…") if isinstance(node.value, ast.Name) else "…"
        return repr(value) if node.conversion == ord("r") and value != "…" else value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part, constants) for part in node.values)
    return "…"


def test_the_site_builds_and_every_link_and_anchor_leads_somewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "python-api" / "index.html").read_text(encoding="utf-8")
    assert "Prepare a dataset: read, relabel, check and split a corpus, and log it." in page
    base = tmp_path / "site" / "repository" / "ner_mlflow" / "presets" / "base.yaml"
    assert "learning_rate" in (base / "index.html").read_text(encoding="utf-8")
    for html in (tmp_path / "site").rglob("*.html"):  # the site needs no other host
        text = html.read_text(encoding="utf-8")
        assert not LOADED_FROM_ELSEWHERE.search(text), html
        assert 'class="mermaid"' not in text, f"{html}: the theme loads mermaid from another host"


def test_every_page_is_in_the_navigation_and_every_experiment_in_the_index() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/-]+\.md\b", text.partition("nav:\n  - Home")[2] + " index.md"))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES[2:]}
    assert {page for page in pages - named if not page.startswith("experiments/")} == set()
    index = (ROOT / "docs" / "experiments" / "index.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs" / "experiments").glob("*.md")):
        assert page.name == "index.md" or f"]({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_a_page_fit_but_for_tables_and_blocks(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) > COLUMNS and not line.startswith("|")]
    assert long == []


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 130
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", readme)
    assert len(pictures) >= 2
    assert all((ROOT / picture).stat().st_size < 150_000 for picture in pictures)


def test_the_flow_and_the_corpus_of_the_tutorial_are_up_to_date() -> None:
    assert flow_picture.PAGE.read_text(encoding="utf-8") == flow_picture.drawing()
    for path, text in tutorial_corpus.files().items():
        assert path.read_text(encoding="utf-8") == text


def test_servers_of_the_pages_listen_where_their_clients_ask() -> None:
    for page in RUN_IN_ORDER:
        text = "\n".join(block.text for block in blocks_to_run(page))
        asked = set(re.findall(r"http://127\.0\.0\.1:(\d+)", text))
        served = set(re.findall(rf"(?:{'|'.join(SERVERS)}).*--port (\d+)", text))
        assert asked <= served, page


def test_the_extra_for_the_site_is_part_of_the_development_requirements() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(extras["docs"]) <= set(extras["dev"])
    assert importlib.util.find_spec("mkdocs")


@pytest.mark.parametrize(
    ("page", "site_page", "text", "expected"),
    [
        (
            "docs/settings.md",
            "settings.md",
            "[base](../ner_mlflow/presets/base.yaml)",
            "[base](repository/ner_mlflow/presets/base.yaml.md)",
        ),
        (
            "docs/experiments/index.md",
            "experiments/index.md",
            "[log](../../CHANGELOG.md#added)",
            "[log](../repository/CHANGELOG.md#added)",
        ),
        (
            "README.md",
            "repository/README.md",
            "![flow](docs/images/flow.svg) [page](docs/data.md)",
            "![flow](../images/flow.svg) [page](../data.md)",
        ),
        (
            "docs/data.md",
            "data.md",
            "[a](formats.md) `[b](../README.md)`\n\n```text\n[c](../README.md)\n```\n",
            "[a](formats.md) `[b](../README.md)`\n\n```text\n[c](../README.md)\n```\n",
        ),
    ],
)
def test_links_to_files_of_the_repository_become_links_of_the_site(
    page: str, site_page: str, text: str, expected: str
) -> None:
    assert docs_site.relink(text, page, site_page) == expected


def test_a_link_to_a_file_that_does_not_exist_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = "[gone](../ner_mlflow/gone.py)"
    assert docs_site.relink(link, "docs/data.md", "data.md") == link
    assert "docs/data.md links to ../ner_mlflow/gone.py" in caplog.text
