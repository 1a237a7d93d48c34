"""Chat templates are programs of whoever wrote them: they are rendered within bounds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models import rendering
from models.errors import ModelError
from models.rendering import UnboundedError, chat, check_template, render

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from models import Source

LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
def templated(tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the tokenizer another template."""

    def change(template: Any) -> PreTrainedTokenizerFast:
        monkeypatch.setattr(tokenizer, "chat_template", template)
        return tokenizer

    return change


@pytest.mark.parametrize(
    ("template", "switches"),
    [
        (None, {}),
        ("{{ bos_token }}{{ messages[0]['content'] | tojson }}{{ mood }}", {"mood": "ü\u2028"}),
        (
            "{%- for m in messages %}\n  {%- if m.role %}{{ m.content }}{% endif %}\n{% endfor %}",
            {},
        ),
        (
            "{% if tools %}{{ tools[0].name }}{% endif %}{{ messages | length }}",
            {"tools": [{"name": "x"}]},
        ),
        ("{{ additional_special_tokens }}{{ eos_token }}", {}),
    ],
)
def test_a_template_is_rendered_as_transformers_renders_it(
    template: str | None, switches: dict[str, Any], tokenizer: Any, templated: Any
) -> None:
    if template is not None:
        templated(template)
    turns = chat("why “so”?\n\x1b", "Be brief.")
    expected = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, tokenize=False, **switches
    )
    assert render(tokenizer, turns, switches) == expected


@pytest.mark.whole
def test_a_template_that_was_ended_holds_up_no_other(
    templated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "_SECONDS", 1)
        with pytest.raises(UnboundedError, match="takes longer than 1 seconds for one prompt"):
            render(templated(LOOP), chat("a"), {})
    assert render(templated("{{ messages[0].content }}"), chat("a"), {}) == "a"


def test_what_a_template_adds_is_bounded_and_what_it_is_given_is_not(templated: Any) -> None:
    long = "a b " * 500_000
    assert render(templated("{{ messages[0].content }}"), chat(long), {}) == long
    with pytest.raises(UnboundedError, match=r"writes 1,000,021 characters"):
        render(templated("{{ 'a' * 1000021 }}"), chat("a"), {})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('only users') }}", "only users"),
        ("{% if %}", "Expected an expression, got 'end of statement block'"),
        ("{% include '/etc/passwd' %}", "no loader for this environment specified"),
        (
            "{{ ''.__class__.__mro__ }}",
            "access to attribute '__class__' of 'str' object is unsafe.",
        ),
    ],
)
def test_what_a_template_refuses_is_said(template: str, reason: str, templated: Any) -> None:
    with pytest.raises(ModelError) as refusal:
        render(templated(template), chat("a"), {})
    assert str(refusal.value) == (
        f"the chat template refuses the prompt: {reason}; look at `system:` and "
        "`chat_template_kwargs:`"
    )


def test_a_process_that_ends_by_itself_is_said(
    templated: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text("raise SystemExit(7)")
    monkeypatch.setattr(rendering, "_WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(rendering, "_process", rendering._Process())
    with pytest.raises(ModelError, match="chat templates ended with status 7"):
        render(templated("x"), chat("a"), {})


def test_a_tokenizer_whose_chats_need_no_template_is_asked_itself() -> None:
    class Own:
        """Such as those of Mistral."""

        def apply_chat_template(self, turns: Any, **options: Any) -> str:
            if turns[0]["content"] == "no":
                raise ValueError("no such turn")
            return f"{turns[0]['content']} {options}"

    given = {"add_generation_prompt": True, "tokenize": False, "mood": 1}
    assert render(Own(), chat("a"), {"mood": 1}) == f"a {given}"
    with pytest.raises(ModelError, match="refuses the prompt: no such turn; look at"):
        render(Own(), chat("no"), {})


@pytest.mark.whole
@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_folders_template_is_looked_at_before_the_model_is_loaded(
    file: str, llama_source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(llama_source.location, tmp_path / "m"))
    check_template(folder, None, {})
    if file.endswith(".json"):
        (folder / "chat_template.jinja").unlink()
        values = json.loads((folder / file).read_text()) | {"chat_template": LOOP}
        (folder / file).write_text(json.dumps(values))
    else:
        (folder / file).write_text(LOOP)
    monkeypatch.setattr(rendering, "_SECONDS", 1)
    with pytest.raises(UnboundedError, match="takes longer than 1 seconds"):
        check_template(folder, "Be brief.", {"mood": 1})


def test_of_a_template_that_refuses_the_tokenizer_may_know_more(
    llama_source: Source, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(llama_source.location, tmp_path / "m"))
    (folder / "chat_template.jinja").write_text("{{ raise_exception(pad_token) }}")
    check_template(folder, None, {})
