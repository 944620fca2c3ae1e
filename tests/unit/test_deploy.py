"""The files of deploy/: they fit each other, their schemas and MLflow, and hold no secret."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from team_server import PAGE, page_command

from deploy import backup, common
from deploy.collect_garbage import seconds_of
from deploy.common import DeployError
from deploy.restore import find_backup

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service")) + sorted(
    (DEPLOY / "systemd").glob("*.timer")
)
EXAMPLES = sorted(DEPLOY.glob("*.env.example"))
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY")


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8")))


def example(path: Path) -> dict[str, str]:
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_compose_file_fits_its_schema() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            str(DEPLOY / "compose.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_compose_and_systemd_start_the_same_command() -> None:
    assert compose()["services"]["mlflow"]["command"] == ["deploy/serve"]
    unit = (DEPLOY / "systemd" / "mlflow-server.service").read_text("utf-8")
    assert re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE) == [
        "/opt/mlflow-server/deploy/serve"
    ]
    assert 'CMD ["deploy/serve"]' in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_the_options_of_the_server_are_those_of_mlflow() -> None:
    from mlflow.cli import server  # takes seconds to import

    known = {name for param in server.params for name in (*param.opts, *param.secondary_opts)}
    text = (DEPLOY / "serve").read_text("utf-8")
    used = re.findall(r"^ +(--[\w-]+)", text, re.MULTILINE)
    assert len(used) == 10
    assert set(used) <= known
    assert "--serve-artifacts" in used


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units_and_finds_the_server_confined(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/mlflow-server/venv/bin", str(tmp_path))
        (tmp_path / unit.name).write_text(text.replace("/opt/mlflow-server", str(ROOT)))
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    server = str(tmp_path / "mlflow-server.service")
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", server]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_every_service_runs_as_a_user_of_its_own() -> None:
    for unit in UNITS:
        if unit.suffix == ".service":
            assert "\nUser=mlflow\n" in unit.read_text("utf-8")
    assert re.search(r"^u mlflow ", next(DEPLOY.glob("systemd/*.conf")).read_text(), re.MULTILINE)
    services = compose()["services"]
    for name in ("mlflow", "jobs"):
        assert services[name]["user"] == "10001:10001"
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
    assert "useradd --uid 10001" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_the_timers_and_the_health_check_run_commands_of_the_page() -> None:
    for unit in UNITS:
        for module in re.findall(r"python -m (deploy\.\w+)", unit.read_text("utf-8")):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
            if module != "deploy.check":
                assert module in PAGE.read_text("utf-8")
    assert compose()["services"]["mlflow"]["healthcheck"]["test"][1:] == [
        "python",
        "-m",
        "deploy.check",
    ]
    collect = (DEPLOY / "systemd" / "mlflow-collect-garbage.service").read_text("utf-8")
    assert f"python {' '.join(page_command('deploy.collect_garbage'))}\n" in collect


def test_only_the_proxy_is_reachable_from_other_machines() -> None:
    ports = {name: service.get("ports") for name, service in compose()["services"].items()}
    assert {name for name, value in ports.items() if value} == {"proxy"}
    assert "${MLFLOW_HOST:-127.0.0.1}" in (DEPLOY / "serve").read_text("utf-8")


def test_no_file_holds_a_secret() -> None:
    for path in EXAMPLES:
        values = {name: value for name, value in example(path).items() if SECRET.search(name)}
        assert values
        assert set(values.values()) == {""}, path
    for service in compose()["services"].values():
        for name, value in (service.get("environment") or {}).items():
            assert not SECRET.search(name) or value.startswith("${"), name
    for path in (*UNITS, DEPLOY / "serve", DEPLOY / "Dockerfile", DEPLOY / "basic_auth.ini"):
        assert not re.search(rf"^\s*\w*(?:{SECRET.pattern})\w*\s*=", path.read_text(), re.MULTILINE)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "deploy/*.env" in ignored
    assert {"/deploy/server.env", "/deploy/admin.env"} <= set(
        (ROOT / ".gitignore").read_text().splitlines()
    )


def test_the_files_of_settings_exist_as_examples_and_name_what_is_read() -> None:
    named = {name for path in EXAMPLES for name in example(path)}
    files = {
        file for service in compose()["services"].values() for file in service.get("env_file", [])
    }
    units = "".join(unit.read_text("utf-8") for unit in UNITS)
    files |= set(re.findall(r"EnvironmentFile=/etc/mlflow-server/(.+)", units))
    assert {f"{file}.example" for file in files} == {path.name for path in EXAMPLES}
    read = set(re.findall(r'"\$\{(\w+):\?', (DEPLOY / "serve").read_text()))
    for path in DEPLOY.glob("*.py"):
        read |= set(re.findall(r'setting\("(\w+)"\)', path.read_text("utf-8")))
    read |= set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    read |= {"TRACKING_HOST", "CADDY_TLS"} & set(
        re.findall(r"\{\$(\w+)", (DEPLOY / "Caddyfile").read_text())
    )
    assert read <= named, read - named


def test_a_server_without_a_setting_says_which_one() -> None:
    done = subprocess.run(
        [DEPLOY / "serve"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "TRACKING_HOST: is the name under which browsers and clients reach the server" in line


def test_users_have_a_database_of_their_own_and_no_permission_by_default() -> None:
    parser = configparser.ConfigParser()
    parser.read(DEPLOY / "basic_auth.ini", encoding="utf-8")
    settings = parser["mlflow"]
    assert settings["default_permission"] == "NO_PERMISSIONS"
    assert settings["database_uri"] == common.database_url(common.USERS_DATABASE)
    assert int(settings["auth_cache_ttl_seconds"]) <= 60
    serve = (DEPLOY / "serve").read_text("utf-8")
    assert f"--backend-store-uri {common.database_url(common.TRACKING_DATABASE)} " in serve
    assert compose()["services"]["database"]["environment"]["POSTGRES_DB"] == "mlflow"


def test_the_server_installs_what_the_platform_is_tested_with() -> None:
    pins = dict(
        re.findall(r"^([\w-]+)(?:\[\w+\])?==(.+)$", (DEPLOY / "requirements.txt").read_text(), re.M)
    )
    tested = dict(
        re.findall(
            r"^([\w-]+)(?:\[\w+\])?==(.+)$",
            (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text(),
            re.M,
        )
    )
    assert pins == {name: tested[name] for name in pins}


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_caddy_accepts_its_file() -> None:
    for tls in ("internal", "admin@example.org"):
        done = subprocess.run(
            ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile")],
            env={"PATH": "/usr/bin:/bin", "TRACKING_HOST": "mlflow.example.org", "CADDY_TLS": tls},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "reverse_proxy" in done.stdout


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2592000), ("12h", 43200), ("0s", 0)])
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "30 d"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    with pytest.raises(DeployError, match="is no duration: give one such as 30d or 12h"):
        seconds_of(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of backups."""
    monkeypatch.setenv("BACKUP_FOLDER", str(tmp_path / "backups"))
    return common.backup_folder()


def write_backup(folder: Path, name: str, contents: dict[str, str] | None) -> None:
    """Write a backup with artifacts of given keys and contents, as deploy.backup does."""
    (folder / name).mkdir()
    objects = None
    if contents is not None:
        objects = []
        for key, text in contents.items():
            file = folder / "text"
            file.write_text(text)
            sha256 = backup.file_sha256(file)
            target = folder / backup.POOL / sha256[:2] / sha256
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
            objects.append({"key": key, "size_bytes": 1, "version": "1", "sha256": sha256})
    manifest = {"mlflow": "3.17.2", "dumps": {}, "objects": objects}
    (folder / name / backup.MANIFEST).write_text(json.dumps(manifest))


def test_old_backups_go_with_the_contents_that_only_they_need(folder: Path) -> None:
    write_backup(folder, "2026-01-01", {"a": "in all", "b": "in the first"})
    write_backup(folder, "2026-01-02", {"a": "in all", "c": "in the second"})
    write_backup(folder, "2026-01-03-databases", None)
    write_backup(folder, "2026-01-04", {"a": "in all"})
    assert [path.name for path in backup.remove_old(2)] == ["2026-01-01"]
    texts = {path.read_text() for path in (folder / backup.POOL).glob("??/*")}
    assert texts == {"in all", "in the second"}
    assert [entry.folder.name for entry in backup.backups()] == [
        "2026-01-02",
        "2026-01-03-databases",
        "2026-01-04",
    ]


def test_the_latest_backup_is_the_latest_whole_one(folder: Path) -> None:
    with pytest.raises(DeployError, match="holds no backup: make one"):
        find_backup("latest")
    write_backup(folder, "2026-01-01", {})
    write_backup(folder, "2026-01-02-databases", None)
    (folder / ".part-2026-01-03").mkdir()  # a backup that was killed
    assert find_backup("latest").folder.name == "2026-01-01"
    with pytest.raises(DeployError, match="holds the databases only: add --databases-only"):
        find_backup("2026-01-02-databases")
    assert find_backup("2026-01-02-databases", databases_only=True).objects is None
    for name in ("../etc", "2026-01-09", "/etc"):
        with pytest.raises(DeployError, match=r"is not the name of a folder|is no whole backup"):
            find_backup(name)
