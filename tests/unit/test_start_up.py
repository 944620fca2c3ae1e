"""A command looks for garbage rarely while it imports, and as usual while it works."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import gc, json
usual = gc.get_threshold()
import ner_mlflow.cli.export, ner_mlflow.workflows.export
from ner_mlflow.cli.command import command
from ner_mlflow.start_up import importing
searches = gc.get_stats()[2]["collections"]

@command("report")
def report(given):
    with importing():
        import ner_mlflow.workflows.train
        assert gc.get_threshold() != usual
    print(json.dumps([searches, usual, gc.get_threshold(), gc.get_freeze_count()]))

report([])
"""


def test_a_command_seldom_looks_for_garbage_until_it_has_imported_its_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    full_searches, usual, while_it_works, imported_objects = json.loads(done.stdout)
    assert full_searches <= 3
    assert while_it_works == usual
    assert imported_objects > 100_000
