from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.drawing.sankey import END, START, Layout, Ribbon, layout

WIDTH = 130.0
Flows = dict[tuple[str, str], int]


@st.composite
def paths(draw: st.DrawFn) -> tuple[list[str], Flows]:
    """Generations that each pass some of the spans, every span passed by at least one of them."""
    spans = [str(i + 1) for i in range(draw(st.integers(0, 6)))]
    passed = draw(st.lists(st.sets(st.sampled_from(spans or [""])), min_size=1, max_size=12))
    flows: Counter[tuple[str, str]] = Counter()
    for some in [set(spans), *passed]:
        flows.update(itertools.pairwise([START, *sorted(some - {""}), END]))
    return spans, dict(flows)


def laid_out(spans: list[str], flows: Flows) -> Layout:
    return layout(spans, flows, {span: 20.0 * int(span) for span in spans}, WIDTH)


def at(ribbon: Ribbon, y: float) -> tuple[float, float]:
    """Where a ribbon is at a height that is one of its edges', or between two equal ones."""
    for (top, *sides), (bottom, *_) in itertools.pairwise(ribbon.edges):
        if top <= y <= bottom:
            return sides[0], sides[1]
    raise AssertionError(f"{ribbon} is not at {y}")


@given(paths())
def test_bars_are_as_wide_as_generations_pass_them(drawn: tuple[list[str], Flows]) -> None:
    spans, flows = drawn
    found = laid_out(spans, flows)
    assert [bar.name for bar in found.bars] == [START, *spans, END]
    n_samples = sum(n for (source, _), n in flows.items() if source == START)
    full = found.bars[0].right - found.bars[0].left
    for bar in found.bars:
        passing = sum(n for flow, n in flows.items() if bar.name == flow[bar.name != START])
        assert bar.right == WIDTH
        assert bar.right - bar.left == pytest.approx(full * passing / n_samples)
    assert found.bars[0].left >= 0
    assert found.bars[0].top == 0
    assert found.bars[-1].bottom == pytest.approx(found.height)
    for bar, following in itertools.pairwise(found.bars):
        texts = [20.0 * int(b.name) if b.name in spans else 0 for b in (bar, following)]
        assert following.middle - bar.middle > sum(texts) / 2


@given(paths())
def test_ribbons_keep_their_width_and_fill_the_bars(drawn: tuple[list[str], Flows]) -> None:
    spans, flows = drawn
    found = laid_out(spans, flows)
    assert {(r.source, r.target): r.n_holders for r in found.ribbons} == flows
    bars = {bar.name: bar for bar in found.bars}
    scale = (WIDTH - found.bars[0].left) / sum(n for f, n in flows.items() if f[0] == START)
    for ribbon in found.ribbons:
        heights = [y for y, _, _ in ribbon.edges]
        assert heights == sorted(set(heights))
        for _, left, right in ribbon.edges:
            assert right - left == pytest.approx(ribbon.n_holders * scale)
            assert left >= -1e-9
            assert right <= WIDTH + 1e-9
        assert ribbon.edges[0][0] == bars[ribbon.source].bottom
        assert ribbon.edges[-1][0] == bars[ribbon.target].top
    for bar in found.bars:
        leaving = sorted(r.edges[0][1:] for r in found.ribbons if r.source == bar.name)
        coming = sorted(r.edges[-1][1:] for r in found.ribbons if r.target == bar.name)
        for slots in filter(None, (leaving, coming)):
            assert slots[0][0] == pytest.approx(bar.left)
            assert slots[-1][1] == pytest.approx(bar.right)
            for (_, right), (left, _) in itertools.pairwise(slots):
                assert right == pytest.approx(left)


@given(paths())
def test_what_skips_a_bar_passes_beside_it_without_crossing(
    drawn: tuple[list[str], Flows],
) -> None:
    spans, flows = drawn
    found = laid_out(spans, flows)
    place = {bar.name: i for i, bar in enumerate(found.bars)}
    orders = []
    for i, bar in enumerate(found.bars):
        beside = [r for r in found.ribbons if place[r.source] < i < place[r.target]]
        lanes = sorted((at(ribbon, bar.middle), ribbon.source, ribbon.target) for ribbon in beside)
        for ((_, right), *_), ((left, _), *_) in itertools.pairwise(lanes):
            assert right < left
        if lanes:
            assert lanes[-1][0][1] < bar.left
            assert lanes[0][0][0] >= -1e-9
        orders.append([(source, target) for _, source, target in lanes])
    for one, other in itertools.combinations(orders, 2):
        common = set(one) & set(other)
        assert [f for f in one if f in common] == [f for f in other if f in common]


def test_without_anchors_everything_goes_straight_from_start_to_end() -> None:
    found = layout([], {(START, END): 7}, {}, WIDTH)
    assert [(bar.left, bar.right) for bar in found.bars] == [(0, WIDTH)] * 2
    (ribbon,) = found.ribbons
    assert {edge[1:] for edge in ribbon.edges} == {(0, WIDTH)}


def test_the_flow_that_returns_first_passes_next_to_the_bar() -> None:
    spans = ["1", "2", "3"]
    passed = [["1", "2", "3"], ["1", "3"], ["1"], ["3"], []]
    steps = (itertools.pairwise([START, *some, END]) for some in passed)
    drawn = laid_out(spans, dict(Counter(itertools.chain.from_iterable(steps))))
    second = drawn.bars[2]
    ribbons = {(ribbon.source, ribbon.target): ribbon for ribbon in drawn.ribbons}
    skipping = [("1", "3"), (START, "3"), ("1", END), (START, END)]
    rights = [at(ribbons[flow], second.top)[1] for flow in skipping]
    assert second.left > rights[0]
    assert rights == sorted(rights, reverse=True)


def test_flows_leave_and_enter_a_bar_in_the_order_of_their_other_ends() -> None:
    drawn = laid_out(
        ["1", "2"], {(START, "1"): 2, (START, END): 1, ("1", "2"): 1, ("1", END): 1, ("2", END): 1}
    )
    leaving = [r for r in drawn.ribbons if r.source == START]
    entering = [r for r in drawn.ribbons if r.target == END]
    # The nearest target leaves, and the nearest source enters, furthest to the right.
    assert [r.target for r in sorted(leaving, key=lambda r: -r.edges[0][2])] == ["1", END]
    assert [r.source for r in sorted(entering, key=lambda r: -r.edges[-1][2])] == ["2", "1", START]
