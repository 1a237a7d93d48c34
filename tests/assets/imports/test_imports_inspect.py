"""What Inspect wrote is imported as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assets.imports import Options, import_files
from assets.sources.generation_files import read_generations
from assets.sources.scores import read_scores
from assets.study.errors import InputError

pytestmark = pytest.mark.inspect

LONG = "Tell me all of it. " * 100  # logs keep long texts apart


def run(
    folder: Path,
    samples: list[Any],
    model: str = "mockllm/model",
    scorers: list[Any] | None = None,
    **options: Any,
) -> Path:
    """Runs a task for real, with a model that says what it was asked, and gives its log.

    Asked "fail" it fails, asked "tool" it calls a tool first, and "nothing" is never asked.
    """
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ModelOutput,
        ModelUsage,
        get_model,
    )
    from inspect_ai.solver import solver, system_message, use_tools
    from inspect_ai.tool import tool

    @tool
    def look() -> Any:
        async def execute() -> str:
            """Looks."""
            return "seen"

        return execute

    def answer(messages: Any, *_: Any) -> ModelOutput:
        asked = [m.text for m in messages if m.role == "user"][-1:]
        usage = ModelUsage()  # otherwise it counts tokens with a tokenizer that it downloads
        if asked == ["fail"]:
            raise RuntimeError("asked to fail")
        if asked == ["tool"] and messages[-1].role != "tool":
            output = ModelOutput.for_tool_call("mockllm", "look", {})
            output.usage = usage
            return output
        texts = ["".join([*asked, f" {i}"]) for i in range(2 if asked == ["twice"] else 1)]
        said = [ChatMessageAssistant(content="" if asked == ["empty"] else t) for t in texts]
        return ModelOutput(choices=[ChatCompletionChoice(message=m) for m in said], usage=usage)

    @solver
    def ask() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            return state if state.sample_id == "nothing" else await generate(state)

        return solve

    task = inspect_ai.Task(
        dataset=samples,
        solver=[system_message("Be short."), use_tools(look()), ask()],
        scorer=scorers,
    )
    (log,) = inspect_ai.eval(
        task,
        model=get_model(model, custom_outputs=answer),
        log_dir=str(folder),
        display="none",
        fail_on_error=False,
        **options,
    )
    assert log.location
    return Path(log.location.removeprefix("file://"))


def samples() -> list[Any]:
    pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ContentText,
    )

    system, user = ChatMessageSystem(content="Be kind."), ChatMessageUser(content="How?")
    parts = ChatMessageUser(content=[ContentText(text="in"), ContentText(text="parts")])
    return [
        Sample(id="plain", input="Why?"),
        Sample(id="chat", input=[system, user]),
        Sample(id=3, input=[parts]),
        Sample(id="long", input=LONG),
        Sample(id="empty", input="empty"),
        Sample(id="twice", input="twice"),
        Sample(id="turns", input=[user, ChatMessageAssistant(content="So."), user]),
        Sample(id="system", input=[system]),
        Sample(id="tool", input="tool"),
        Sample(id="fail", input="fail"),
        Sample(id="nothing", input="nothing"),
    ]


@pytest.mark.parametrize("form", ["eval", "json"])
def test_epochs_are_samples_of_what_the_user_asked(tmp_path: Path, form: str) -> None:
    log = run(tmp_path / "logs", samples(), epochs=2, log_format=form)
    assert log.suffix == f".{form}"
    out = tmp_path / "out.jsonl"
    written = import_files("inspect", [str(log)], out, Options())
    expected = {
        (name, sample): (prompt, text)
        for sample in range(2)
        for name, prompt, text in [
            ("plain", "Why?", "Why? 0"),
            ("chat", "How?", "How? 0"),
            ("3", "in\nparts", "in\nparts 0"),
            ("long", LONG, f"{LONG} 0"),
            ("empty", "empty", ""),
        ]
    } | {("twice", sample): ("twice", f"twice {sample % 2}") for sample in range(4)}
    assert {(g.prompt_id, g.sample): (g.prompt, g.text) for g in read_generations(out)} == expected
    assert written.dropped == {
        "of several turns": 4,
        "that ended with an error": 2,
        "without an output": 2,
        "without a message of the user's": 2,
    }


def test_scores_of_several_logs_come_along_as_inspect_reads_them(tmp_path: Path) -> None:
    """Each text is scored by itself, and values that are no numbers as Inspect has them."""
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.scorer import Score, match, mean, scorer, value_to_float

    values = {"C": "C", "I": "I", "P": "P", "N": "N", "true": True, "half": "0.5", "yes": "Yes"}
    odd = {"list": [1.0], "word": "perhaps", "unscored": float("nan")}

    @scorer(metrics=[mean()])
    def judge() -> Any:
        async def score(state: Any, target: Any) -> Any:
            return Score(value=(values | odd)[state.sample_id])

        return score

    asked = [inspect_ai.dataset.Sample(id=name, input=name) for name in [*values, *odd]]
    first = run(tmp_path / "logs", asked, scorers=[judge()])
    named = {"input": "twice", "target": "twice 0"}
    other = [inspect_ai.dataset.Sample(id="two", **named)]
    second = run(tmp_path / "logs", other, scorers=[match()], epochs=2)
    out = tmp_path / "out.jsonl"
    written = import_files("inspect", [str(first), str(second)], out, Options()).scores
    assert written is not None
    assert written.file is not None
    scores = {score[1:5]: score.value for score in read_scores(written.file)}
    as_number = value_to_float()
    assert scores == {
        ("out", name, 0, "judge"): as_number(value) for name, value in values.items()
    } | {("out", "two", sample, "match"): 1.0 for sample in (0, 2)}
    assert written.dropped == {"'judge' that are no numbers": 3}
    assert len(read_generations(out)) == len(asked) + 4


def test_logs_of_two_models_or_of_one_run_twice_are_not_mixed(tmp_path: Path) -> None:
    plain = samples()[:1]
    one = run(tmp_path / "logs", plain)
    same = run(tmp_path / "logs", plain)
    other = run(tmp_path / "logs", plain, model="mockllm/other")
    for paths, words in [
        ([one, same], "sample 0 of the prompt 'plain' stands twice"),
        ([one, other], "is of 'mockllm/other', and .* of 'mockllm/model'"),
    ]:
        with pytest.raises(InputError, match=words):
            import_files("inspect", [str(p) for p in paths], tmp_path / "out.jsonl", Options())


def test_broken_logs(tmp_path: Path) -> None:
    for form in ("eval", "json"):
        log = run(tmp_path / "logs", samples()[:1], log_format=form)
        whole = log.read_bytes()
        for name, content in [("cut", whole[: len(whole) // 2]), ("none", b""), ("text", b"{}")]:
            broken = tmp_path / f"{name}.{form}"
            broken.write_bytes(content)
            with pytest.raises(InputError) as caught:
                import_files("inspect", [str(broken)], tmp_path / "out.jsonl", Options())
            assert f"{broken} cannot be read as a log of Inspect" in str(caught.value)
            assert "\n" not in str(caught.value)
    for name in ("x.eval", "x.txt"):
        with pytest.raises(InputError, match="there is no file"):
            import_files("inspect", [str(tmp_path / name)], tmp_path / "out.jsonl", Options())
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InputError, match="cannot be read as a log of Inspect"):
        import_files("inspect", [str(tmp_path / "x.txt")], tmp_path / "out.jsonl", Options())
