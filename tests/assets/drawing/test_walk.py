from __future__ import annotations

from assets.drawing.walk import Page, Sheet, Walk

FIRST = Page(
    "First?",
    "p-1",
    {"dots": [[1, "a"], [2, None]]},
    Sheet(300, {"places": [[0]]}),
    Sheet(500, {"places": [[0], [200.5]]}),
)
WALK = Walk({"dots": ["x", "name"], "places": ["top"]}, [FIRST])
TEMPLATE = {"mark": "point", "data": {"name": "dots"}, "width": 720}


def test_a_page_brings_its_rows_and_its_height() -> None:
    dots = [{"x": 1, "name": "a"}, {"x": 2, "name": None}]
    assert WALK.turned_to(FIRST, TEMPLATE, "wide") == {
        **TEMPLATE,
        "height": 300,
        "datasets": {"dots": dots, "places": [{"top": 0}]},
    }
    narrow = WALK.turned_to(FIRST, TEMPLATE, "narrow")
    assert narrow["height"] == 500
    assert narrow["datasets"] == {"dots": dots, "places": [{"top": 0}, {"top": 200.5}]}
    assert "datasets" not in TEMPLATE


def test_pages_are_read_as_they_were_written() -> None:
    assert Walk.from_dict(WALK.to_dict()) == WALK
