"""A fuzzer guided by coverage finds no input that breaks the package, in a time for each kind."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from hostile import TARGETS

SECONDS = 20

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", TARGETS)
def test_the_fuzzer_finds_no_input_that_breaks_a_target(name: str) -> None:
    pytest.importorskip("atheris", reason="atheris runs on Linux only")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.fuzz", name, str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert tried is not None
    assert int(tried[1]) > 500
