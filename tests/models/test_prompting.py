from copy import deepcopy

import pytest
from tokenizers import processors

from models import ModelError, check_prompt_format, encode_prompt


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
    ids = encode_prompt(tokenizer, prompt, prompt_format)
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert all(type(i) is int for i in ids)


@pytest.fixture
def bare_tokenizer(tokenizer):
    """Without a chat template, and adding no start token."""
    bare = deepcopy(tokenizer)
    bare.chat_template = None
    bare.backend_tokenizer.post_processor = processors.ByteLevel()
    return bare


def test_chat_needs_a_template(bare_tokenizer):
    with pytest.raises(ModelError, match="no chat template; set `prompt_format: plain`"):
        encode_prompt(bare_tokenizer, "hi", "chat")


def test_a_prompt_without_any_token_is_refused(bare_tokenizer):
    assert len(encode_prompt(bare_tokenizer, "", "plain")) == 1
    with pytest.raises(ModelError, match="the prompt is empty"):
        encode_prompt(bare_tokenizer, "", "{prompt}")


@pytest.mark.parametrize("prompt_format", ["chat", "plain", "{prompt}", "Q: {prompt}\nA:"])
def test_known_formats_pass(prompt_format):
    assert check_prompt_format(prompt_format) == prompt_format


@pytest.mark.parametrize("prompt_format", ["", "Chat", "raw", "{}", "{text}", "prompt"])
def test_other_formats_are_refused_with_what_is_allowed(prompt_format):
    with pytest.raises(ValueError, match=r"'chat'.*'plain'.*\{prompt\}"):
        check_prompt_format(prompt_format)
