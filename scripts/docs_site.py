"""Hooks of MkDocs: links from the documentation to other files of the repository.

A page may link to any file of the repository as it would on a code host, such as
``../ner_mlflow/presets/base.yaml``. The site shows such a file as a page below ``repository/``, so
its links work wherever the site is served. A link to a file that does not exist is a warning, which
``mkdocs build --strict`` makes an error.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
DOCS = "docs"
REPOSITORY = "repository"
"""Folder of the site with the pages of other files."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}
"""Ending of a file's name -> language of its highlighting; others have none."""
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"^(```.*?^```|    .*?$)|(`[^`]+`)", re.MULTILINE | re.DOTALL)
log = logging.getLogger("mkdocs.hooks.docs_site")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file of the repository that a page links to."""
    waiting = [
        (f"{DOCS}/{file.src_uri}", file.content_string) for file in files.documentation_pages()
    ]
    known: set[str] = set()
    while waiting:
        page, text = waiting.pop()
        for target in sorted(_outer_links(page, text) - known):
            known.add(target)
            source = (ROOT / target).read_text(encoding="utf-8")
            content = source if target.endswith(".md") else _code_page(target, source)
            files.append(File.generated(config, _site_uri(target), content=content))
            if target.endswith(".md"):
                waiting.append((target, source))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point the links of a page to the pages of the site."""
    here = _repository_path(page.file.src_uri)
    return relink(markdown, here, page.file.src_uri)


def relink(markdown: str, here: str, site_page: str) -> str:
    """Return a page with its links to files of the repository as links of the site.

    Args:
        markdown: the page.
        here: its path in the repository.
        site_page: its path in the site's sources.
    """

    def new_link(match: re.Match[str]) -> str:
        target = _target(here, match[2])
        if target.startswith(f"{DOCS}/") and here.startswith(f"{DOCS}/"):
            return match[0]
        if not (ROOT / target).is_file():
            log.warning("%s links to %s, which is no file of the repository", here, match[2])
            return match[0]
        uri = posixpath.relpath(_site_uri(target), posixpath.dirname(site_page) or ".")
        return f"{match[1]}{uri}{match[3] or ''}{match[4]}"

    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_LINK.sub(new_link, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(new_link, markdown[end:])])


def _outer_links(page: str, text: str) -> set[str]:
    return {
        target
        for target in (_target(page, match[2]) for match in _LINK.finditer(_CODE.sub("", text)))
        if not target.startswith(f"{DOCS}/") and (ROOT / target).is_file()
    }


def _target(page: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _site_uri(target: str) -> str:
    if target.startswith(f"{DOCS}/"):
        return target.removeprefix(f"{DOCS}/")
    return f"{REPOSITORY}/{target}" if target.endswith(".md") else f"{REPOSITORY}/{target}.md"


def _repository_path(src_uri: str) -> str:
    if not src_uri.startswith(f"{REPOSITORY}/"):
        return f"{DOCS}/{src_uri}"
    path = src_uri.removeprefix(f"{REPOSITORY}/")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def _code_page(target: str, source: str) -> str:
    language = LANGUAGES.get(posixpath.splitext(target)[1], "text")
    return f"# {target}\n\n~~~~~ {{ .{language} }}\n{source.rstrip()}\n~~~~~\n"
