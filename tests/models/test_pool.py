import gc
import weakref

import pytest

from models import ModelError, ModelPool, Source


def test_the_pool_keeps_the_model_used_last(llama_source, tiny_gemma, save_model, tmp_path):
    gemma_source = save_model(tiny_gemma, tmp_path)
    pool = ModelPool()
    model = pool.get(llama_source)
    assert pool.get(Source(llama_source.scheme, llama_source.location)) is model
    assert pool.get(llama_source, dtype="bfloat16") is not model
    assert pool.get(llama_source, dtype="bfloat16").dtype == "bfloat16"

    first = weakref.ref(pool.get(llama_source).model)
    assert pool.get(gemma_source).vocab_size == 260
    del model
    gc.collect()
    assert first() is None


def test_the_old_model_is_gone_before_the_next_is_loaded(llama_source, tmp_path):
    pool = ModelPool()
    first = weakref.ref(pool.get(llama_source).model)
    with pytest.raises(ModelError):
        pool.get(Source("dir", str(tmp_path)))
    gc.collect()
    assert first() is None
    assert pool.get(llama_source).vocab_size == 260
