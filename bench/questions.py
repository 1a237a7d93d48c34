"""Questions with four options that are made up: sums, kinds of things, opposites, what comes next.

    python -m bench.questions 200 > questions.jsonl

They are easy for people, and of each kind there are as many as of any other. The right options
stand in each place equally often, up to chance.
"""

from __future__ import annotations

import argparse
import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = {
    "animal": "horse cow tiger rabbit goat whale eagle lizard",
    "fruit": "apple banana pear cherry lemon grape melon peach",
    "colour": "red green blue yellow purple orange brown pink",
    "tool": "hammer saw drill wrench pliers chisel shovel rake",
    "vehicle": "car truck bicycle train boat bus tractor aeroplane",
    "part of the body": "hand knee elbow nose shoulder ankle chin thumb",
    "piece of clothing": "shirt sock hat coat glove scarf skirt jacket",
    "musical instrument": "piano violin drum flute guitar trumpet harp cello",
}
OPPOSITES = (
    "hot cold, up down, big small, fast slow, early late, open closed, full empty, rich poor, "
    "dark bright, young old, wet dry, strong weak, near far, high low, loud quiet, heavy light, "
    "happy sad, clean dirty, thick thin, easy difficult, sweet bitter, sharp blunt, deep shallow, "
    "brave cowardly, cheap expensive"
)
ROWS = (
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "January February March April May June July August September October November",
    "one two three four five six seven eight nine ten eleven twelve thirteen",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
)


def _sum(draw: random.Random) -> tuple[str, str, list[str]]:
    one, two = draw.randrange(2, 40), draw.randrange(2, 40)
    right = one + two
    others = draw.sample([right - 10, right - 2, right - 1, right + 1, right + 3, right + 10], 3)
    return f"What is {one} + {two}?", str(right), [str(other) for other in others]


def _kind(draw: random.Random) -> tuple[str, str, list[str]]:
    kind, *rest = draw.sample(list(KINDS), 4)
    article = "an" if kind[0] in "aeiou" else "a"
    right, *others = (draw.choice(KINDS[k].split()) for k in (kind, *rest))
    return f"Which of these is {article} {kind}?", right, others


def _opposite(draw: random.Random) -> tuple[str, str, list[str]]:
    pair, *rest = draw.sample([pair.split() for pair in OPPOSITES.split(", ")], 4)
    word, right = draw.sample(pair, 2)
    others = [draw.choice(other) for other in rest]
    return f'Which word means the opposite of "{word}"?', right, others


def _next(draw: random.Random) -> tuple[str, str, list[str]]:
    row = draw.choice(ROWS).split()
    length = draw.choice((3, 4))
    start = draw.randrange(len(row) - length + 1)
    *shown, right = row[start : start + length]
    others = draw.sample([word for word in row if word not in (*shown, right)], 3)
    return f"What comes next: {', '.join(shown)}?", right, others


_MAKERS: tuple[Callable[[random.Random], tuple[str, str, list[str]]], ...] = (
    *(_sum, _kind, _opposite, _next),
)


def questions(n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Questions, no two of which are the same.

    Args:
        n: How many, at most some hundreds.
        seed: Which ones.
    """
    draw = random.Random(seed)
    seen: set[tuple[str, ...]] = set()
    while len(seen) < n:
        text, right, others = _MAKERS[len(seen) % len(_MAKERS)](draw)
        options = [right, *others]
        draw.shuffle(options)
        if (text, right) not in seen and len(set(options)) == len(options):
            seen.add((text, right))
            yield {"question": text, "options": options, "answer": options.index(right)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("n", type=int, help="how many")
    for row in questions(parser.parse_args().n):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
