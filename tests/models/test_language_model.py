import psutil
import torch


def test_the_facts_that_the_lake_keeps(tiny_llama, tiny_gemma):
    assert (tiny_llama.vocab_size, tiny_llama.dtype) == (260, "float32")
    assert tiny_llama.device == torch.device("cpu")
    # Embeddings twice; per layer q and o, k and v, three of the MLP, two norms; the last norm.
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32
    assert tiny_llama.n_parameters == 2 * 260 * 32 + 2 * layer + 32
    # Gemma 3 shares one embedding, and has four norms a layer and two of a head's width.
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 4 * 32 + 2 * 8
    assert tiny_gemma.n_parameters == 260 * 32 + 3 * layer + 32


def test_decoding_leaves_special_tokens_out_and_spaces_alone(tiny_llama):
    ids = tiny_llama.tokenizer("it 's a <user> \n . é")["input_ids"]
    assert tiny_llama.decode([*ids, 1]) == "it 's a  \n . é"
    assert tiny_llama.decode([]) == ""


def test_rows_that_fit_follow_from_the_free_memory(tiny_llama, monkeypatch):
    # Per row: keys and values of 2 layers, 2 heads of width 8, 4 bytes a number, held three times
    # over; logits of 260 tokens as they are and twice in float32. Of the memory 0.4 is for them,
    # and rows are a power of two.
    row = 3 * 2 * 2 * 2 * 8 * 4 * 100 + 260 * 12
    for free, rows in [(10 * row / 0.4 + 10, 8), (8 * row / 0.4 + 10, 8), (0, 1), (1e12, 256)]:
        memory = psutil.virtual_memory()._replace(available=int(free))
        monkeypatch.setattr(psutil, "virtual_memory", lambda memory=memory: memory)
        assert tiny_llama.rows_that_fit(100) == rows
