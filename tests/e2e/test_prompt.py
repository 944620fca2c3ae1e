"""`prompt` as a user runs it: a model over HTTP, registered prompts, traced calls, a hidden key."""

from pathlib import Path

import mlflow
import pytest
from conftest import StoreMaker, entry_point, mlflow_run
from llm_server import LlmServer, Request, Response

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.prompting.answers import render_answer
from ner_mlflow.tagging.iob2 import to_entities

KEY = "sk-secret-of-this-test"
GOLD = {
    " ".join(sentence.tokens): render_answer(sentence.tokens, to_entities(sentence.tags))
    for sentence in generate_sample(13)["test"]
}


def behave(request: Request, _: int) -> Response:
    system, user = request["messages"][0]["content"], request["messages"][-1]["content"]
    if "these sentences were annotated" in system.lower():  # few_shot
        return Response("Sure! Here are the entities: []")
    return Response(GOLD[user])


def test_prompts_are_compared_traced_and_kept(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    arguments = ["prompts=zero_shot,few_shot", "sentences=20", "model=tiny-llm"]
    with LlmServer(behave) as server:
        flags = [
            part
            for argument in [*arguments, f"base_url={server.base_url}"]
            for part in ("-P", argument)
        ]
        done = mlflow_run(store, "-e", "prompt", *flags, cwd=tmp_path, env={"OPENAI_API_KEY": KEY})
        assert done.returncode == 0, done.stderr
        assert {received.headers["authorization"] for received in server.requests} == {
            f"Bearer {KEY}"
        }
        mlflow.set_tracking_uri(store)
        parent, *children = mlflow.search_runs(
            ["0"],
            "tags.`ner.step` = 'prompt'",
            output_format="list",
            order_by=["attributes.start_time ASC"],
        )
        assert [run.data.tags["mlflow.runName"] for run in children] == [
            "prompt zero_shot",
            "prompt few_shot",
        ]
        good, bad = children
        assert parent.data.tags["mlflow.runName"] == "tiny-llm · prompt · sample"
        description = parent.data.tags["mlflow.note.content"]
        assert description.startswith(
            "tiny-llm, zero_shot has the best F1, 1.0000 on 20 sentences of test of sample; "
            "tiny-llm, few_shot has 0.0000. The difference is significant (p = 0.0"
        )
        links = [run.data.tags["mlflow.note.content"] for run in children]
        assert all("[answers](#/experiments/0/runs/" in link for link in links)
        assert good.data.metrics["test/f1"] == 1.0
        assert good.data.metrics["prompt/invalid_answer_rate"] == 0.0
        assert bad.data.metrics["test/f1"] == 0.0
        assert bad.data.metrics["prompt/invalid_answer_rate"] == 1.0
        assert "test/calibration_error" not in good.data.metrics
        assert good.data.tags["ner.prompt"] == "prompts:/ner-zero_shot/1"
        for run in children:
            traces = mlflow.search_traces(
                run_id=run.info.run_id, return_type="list", max_results=100
            )
            assert len(traces) == 20
            assert {trace.info.token_usage["total_tokens"] for trace in traces} == {110}
        table = mlflow.load_table("tables/prompts.json", run_ids=[parent.info.run_id])
        assert table["model"].tolist() == ["tiny-llm, zero_shot", "tiny-llm, few_shot"]
        assert table["p_against_best"][1] < 0.01
        # A prompt that a user changed in the registry is used.
        changed = [
            {"role": "system", "content": "these sentences were annotated by hand"},
            {"role": "user", "content": "{{ sentence }}"},
        ]
        mlflow.genai.register_prompt("ner-zero_shot", changed)
        again = entry_point(
            store,
            "prompt",
            "--prompts",
            "zero_shot",
            "--sentences",
            "5",
            "--base_url",
            server.base_url,
            env={"OPENAI_API_KEY": KEY},
        )
        assert again.returncode == 0, again.stderr
        latest = mlflow.search_runs(
            ["0"],
            "tags.`ner.step` = 'prompt'",
            output_format="list",
            order_by=["attributes.start_time DESC"],
        )[0]
        assert latest.data.tags["ner.prompt"] == "prompts:/ner-zero_shot/2"
        assert latest.data.metrics["prompt/invalid_answer_rate"] == 1.0
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in done.stdout + done.stderr + again.stdout + again.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--base_url", "http://127.0.0.1:9/v1", "--prompt.max_retries", "0"],
            "endpoint http://127.0.0.1:9/v1 does not answer: start it",
        ),
        (
            ["--prompts", "no_shot"],
            "prompt.prompts 'no_shot': neither zero_shot, guided, few_shot nor prompts:/NAME/",
        ),
        (
            ["--prompts", "prompts:/nothing/3", "--base_url", "http://127.0.0.1:9/v1"],
            "prompt 'prompts:/nothing/3' is not in the registry",
        ),
    ],
)
def test_an_endpoint_or_prompt_that_does_not_exist_is_named(
    flags: list[str], message: str, make_store: StoreMaker, tmp_path: Path
) -> None:
    done = entry_point(make_store(tmp_path), "prompt", *flags)
    assert done.returncode == 1
    assert message in done.stderr
