import itertools

import pytest
import torch
from transformers import DynamicCache, Llama4TextConfig
from transformers.cache_utils import Cache

from models.cache import GrowingLayer, new_cache

HEADS, WIDTH, LAYERS = 2, 4, 2


def both_caches():
    return Cache(layer_class_to_replicate=GrowingLayer), DynamicCache()


def append(caches, rows, new, random):
    """Appends the same random tokens to each cache; returns what each layer's update returned."""
    returned = []
    for layer in range(LAYERS):
        # Keys and values of different widths, as some architectures have them.
        keys = torch.randn(rows, HEADS, new, WIDTH, generator=random)
        values = torch.randn(rows, HEADS, new, WIDTH + 1, generator=random)
        returned += [cache.update(keys, values, layer) for cache in caches]
    return returned


@pytest.mark.parametrize("seed", range(20))
def test_a_growing_cache_holds_what_the_stock_cache_holds(seed):
    random = torch.Generator().manual_seed(seed)

    def up_to(n):
        return int(torch.randint(1, n + 1, (1,), generator=random))

    caches = both_caches()
    rows = up_to(5)
    with torch.inference_mode():
        for _ in range(25):
            match up_to(5):
                case 1:  # fewer rows, more rows, another order, one row repeatedly
                    kept = torch.randint(rows, (up_to(7),), generator=random)
                    if caches[1].layers:
                        for cache in caches:
                            cache.batch_select_indices(kept)
                        rows = len(kept)
                case 2 if rows > 1:  # a part of the same memory
                    rows -= 1
                    for layer in (layer for cache in caches for layer in cache.layers):
                        layer.keys, layer.values = layer.keys[:rows], layer.values[:rows]
                case 3 if caches[1].get_seq_length() > 1:
                    for cache in caches:
                        cache.crop(-1)
                case _:
                    append(caches, rows, up_to(1 if up_to(2) == 1 else 40), random)
            for ours, stock in zip(*(cache.layers for cache in caches), strict=True):
                assert torch.equal(ours.keys, stock.keys)
                assert torch.equal(ours.values, stock.values)
                assert ours.get_seq_length() == stock.get_seq_length()


def test_update_returns_all_that_is_held():
    random = torch.Generator().manual_seed(0)
    caches = both_caches()
    append(caches, 3, 5, random)
    (ours, _), (stock, _) = append(caches, 3, 1, random)[:2]
    assert ours.shape == (3, HEADS, 6, WIDTH)
    assert torch.equal(ours, stock)


def test_tokens_are_written_in_place_until_the_room_is_full():
    random = torch.Generator().manual_seed(0)
    cache = Cache(layer_class_to_replicate=GrowingLayer)
    addresses = [append([cache], 2, 1, random)[0][0].data_ptr() for _ in range(400)]
    moves = sum(a != b for a, b in itertools.pairwise(addresses))
    assert moves <= 8  # 1 + 16 tokens, then half as many again each time


def test_what_was_handed_out_does_not_change():
    random = torch.Generator().manual_seed(0)
    cache = Cache(layer_class_to_replicate=GrowingLayer)
    keys, values = append([cache], 3, 4, random)[0]
    before = keys.clone(), values.clone()
    append([cache], 3, 2, random)
    cache.batch_select_indices(torch.tensor([2, 0]))
    append([cache], 2, 30, random)
    assert torch.equal(keys, before[0])
    assert torch.equal(values, before[1])


def test_a_row_kept_twice_goes_two_ways():
    random = torch.Generator().manual_seed(0)
    cache = Cache(layer_class_to_replicate=GrowingLayer)
    append([cache], 2, 3, random)
    cache.batch_select_indices(torch.tensor([1, 1]))
    keys = append([cache], 2, 1, random)[0][0]
    assert torch.equal(keys[0, :, :3], keys[1, :, :3])
    assert not torch.equal(keys[0, :, 3], keys[1, :, 3])


def test_a_model_gives_the_logits_it_gives_with_the_stock_cache(tiny_model):
    ids = torch.randint(4, 260, (3, 30), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for caches in [(new_cache(tiny_model.config), DynamicCache(config=tiny_model.config))]:
            for start, end in [(0, 9), *((i, i + 1) for i in range(9, 30))]:
                ours, stock = (
                    tiny_model.forward(ids[:, start:end], cache=cache) for cache in caches
                )
                torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-4)
        whole = tiny_model.model(ids, use_cache=False).logits[:, -1:]
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-4)


def test_only_plain_attention_layers_grow_in_place(tiny_model):
    assert new_cache(tiny_model.config).layer_class_to_replicate is GrowingLayer
    chunked = Llama4TextConfig(num_hidden_layers=2)
    assert set(chunked.layer_types) - {"full_attention", "sliding_attention"}
    layers = new_cache(chunked).layers
    assert layers
    assert not any(isinstance(layer, GrowingLayer) for layer in layers)
