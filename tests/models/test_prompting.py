from copy import deepcopy

import pytest
from tokenizers import processors

from models import ModelError, PromptFormat


@pytest.mark.parametrize(
    ("prompt_format", "prompt", "tokens"),
    [
        ("plain", "hi", ["<bos>", "h", "i", "Ċ"]),
        ("plain", "", ["<bos>", "Ċ"]),
        ("plain", "é", ["<bos>", "Ã", "©", "Ċ"]),
        # The chat template writes <bos> itself, so the tokenizer does not add another.
        ("chat", "hi", ["<bos>", "<user>", "h", "i", "<assistant>"]),
        ("Q:{prompt}A:", "hi", ["<bos>", *"Q:hiA:"]),
        ("{prompt}", "hi", ["<bos>", "h", "i"]),
        ("{prompt}|{prompt}", "a", ["<bos>", *"a|a"]),
        # A prompt that holds the placeholder is text like any other.
        ("<{prompt}>", "{prompt}", ["<bos>", *"<{prompt}>"]),
        ("plain", "{prompt}", ["<bos>", *"{prompt}", "Ċ"]),
    ],
)
def test_a_prompt_is_encoded_as_its_format_says(tokenizer, prompt_format, prompt, tokens):
    ids = PromptFormat(prompt_format).send(tokenizer, prompt).token_ids
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert all(type(i) is int for i in ids)


@pytest.fixture
def bare_tokenizer(tokenizer):
    """Without a chat template, and adding no start token."""
    bare = deepcopy(tokenizer)
    bare.chat_template = None
    bare.backend_tokenizer.post_processor = processors.ByteLevel()
    return bare


def test_a_system_message_and_switches_reach_the_template(tokenizer):
    switched = deepcopy(tokenizer)
    switched.chat_template = tokenizer.chat_template + "{% if not think %}<no>{% endif %}"
    on = PromptFormat.chat(system="Be kind.", switches={"think": True})
    off = PromptFormat.chat(switches={"think": False})
    assert on.render(switched, "hi") == "<bos><system>Be kind.<user>hi<assistant>"
    assert off.render(switched, "hi") == "<bos><user>hi<assistant><no>"
    for format_ in (on, off):
        sent = format_.send(switched, "hi")
        assert switched.decode(sent.token_ids) == sent.text == format_.render(switched, "hi")
    assert on.messages("hi") == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
    ]


def test_formats_are_told_apart():
    formats = [
        PromptFormat("plain"),
        PromptFormat.chat(),
        PromptFormat.chat(system=""),
        PromptFormat.chat(switches={"a": 1, "b": 2}),
        PromptFormat.chat(switches={"a": 1}),
        PromptFormat("Q: {prompt}"),
    ]
    assert len({str(f.parameters) for f in formats}) == len(formats)
    # As it was before chats could be changed, so that nothing is sampled anew.
    assert [f.parameters for f in formats[:2]] == ["plain", "chat"]
    assert formats[3] == PromptFormat.chat(switches={"b": 2, "a": 1})


def test_a_template_that_refuses_says_why(tokenizer):
    strict = deepcopy(tokenizer)
    strict.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    with pytest.raises(ModelError, match=r"refuses the prompt: no system role; look at `system:`"):
        PromptFormat.chat(system="x").send(strict, "hi")


def test_chat_needs_a_template(bare_tokenizer):
    with pytest.raises(ModelError, match="no chat template; set `prompt_format: plain`"):
        PromptFormat("chat").send(bare_tokenizer, "hi")


def test_a_prompt_without_any_token_is_refused(bare_tokenizer):
    assert len(PromptFormat("plain").send(bare_tokenizer, "").token_ids) == 1
    with pytest.raises(ModelError, match="the prompt is empty"):
        PromptFormat("{prompt}").send(bare_tokenizer, "")


@pytest.mark.parametrize("prompt_format", ["chat", "plain", "{prompt}", "Q: {prompt}\nA:"])
def test_known_formats_pass(prompt_format):
    assert PromptFormat(prompt_format).template == prompt_format


@pytest.mark.parametrize("prompt_format", ["", "Chat", "raw", "{}", "{text}", "prompt"])
def test_other_formats_are_refused_with_what_is_allowed(prompt_format):
    with pytest.raises(ValueError, match=r"'chat'.*'plain'.*\{prompt\}"):
        PromptFormat(prompt_format)


def test_a_conversation_is_given_as_its_format_says(tokenizer):
    turns = (("user", "a"), ("assistant", "b"), ("user", "c"))
    assert PromptFormat.chat(system="s").render(tokenizer, turns) == (
        "<bos><system>s<user>a<assistant>b<user>c<assistant>"
    )
    own = (("system", "own"), *turns)
    assert PromptFormat.chat(system="s").render(tokenizer, own) == (
        "<bos><system>own<user>a<assistant>b<user>c<assistant>"
    )
    assert PromptFormat("plain").render(tokenizer, turns) == "a\n\nb\n\nc\n"
    assert PromptFormat("Q: {prompt}\nA:").render(tokenizer, own) == "Q: own\n\na\n\nb\n\nc\nA:"
