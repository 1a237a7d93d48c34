"""Who is compared with whom: a checkpoint with its base, the stage before it, and itself.

A base's further decodings are compared with its own first one, and with the first one of each
checkpoint that is aligned from it: how far does decoding alone take it there?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warehouse import beside
from warehouse.matched import Sampled

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study


@dataclass(frozen=True)
class Pair:
    """A checkpoint at a decoding, and what it is compared with.

    Attributes:
        one: The checkpoint and its decoding.
        other: The other one and its decoding.
        whole: Whether all levels are compared, and not only those that are quoted.
        main: Whether numbers that no decoding is behind belong to this pair.
        tokenizers: The digests of their tokenizers; None where not known.
        base: The base of the one; None where it has none.
    """

    one: Sampled
    other: Sampled
    whole: bool
    main: bool
    tokenizers: tuple[str | None, str | None]
    base: str | None

    @property
    def unit(self) -> str:
        """The unit that the pair's family of comparisons is in."""
        one, other = self.tokenizers
        return "token" if one is not None and one == other else "word"

    def partner_of(self, key: tuple[Any, ...], theirs: Container[Any]) -> tuple[Any, ...] | None:
        """The one of the other's slices that a slice is compared with; None where it is with none.

        A slice without a decoding is of texts whose decoding is not known, or of no decoding. A
        number about two checkpoints is compared with the other's about the one. Where the other has
        none, as two stages have their KL from the base and none from each other, both numbers are
        about the base of the one.
        """
        decoding, about, *rest = key
        decodings = [self.other.decoding] if decoding == self.one.decoding else []
        decodings += ["-"] if decoding == "-" and self.main else []

        def partner(its_about: str) -> tuple[Any, ...] | None:
            keys = [(its_decoding, its_about, *rest) for its_decoding in decodings]
            return next((candidate for candidate in keys if candidate in theirs), None)

        if about == "-":
            return partner("-")
        mutual = partner(self.one.checkpoint)
        if about == self.other.checkpoint:
            return mutual
        return partner(about) if about == self.base and mutual is None else None


def base_of(study: Study, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
    """A checkpoint's base, where it has one."""
    return () if checkpoint.base is None else (study.whole.checkpoint(checkpoint.base),)


def pair_with_base(study: Study, checkpoint: Checkpoint | None) -> beside.BasePair | None:
    """A checkpoint and its base, for queries that read both; None where it has no base."""
    if checkpoint is None or checkpoint.base is None:
        return None
    (base,) = base_of(study, checkpoint)
    return beside.BasePair(
        checkpoint.name, study.first_decoding(checkpoint), base.name, study.first_decoding(base)
    )


def pairs_of(
    study: Study, checkpoint: Checkpoint, tokenizers: Mapping[str, str | None]
) -> list[Pair]:
    """What a checkpoint is compared with, as far as it is in the lake.

    Args:
        study: The study.
        checkpoint: The checkpoint.
        tokenizers: The digests of tokenizers by checkpoint, of those that are in the lake.
    """
    name, first, base = checkpoint.name, study.first_decoding(checkpoint), checkpoint.base
    own = _decodings_of(study, checkpoint)
    pairs = []
    for other in study.compared_with(checkpoint):
        if other.name not in tokenizers:
            continue
        both = tokenizers[name], tokenizers[other.name]
        is_base = other.name == base
        theirs = study.first_decoding(other)
        first_of_both = Sampled(name, first), Sampled(other.name, theirs)
        pairs.append(Pair(*first_of_both, is_base, True, both, base))
        shared = own & _decodings_of(study, other)
        pairs += [
            Pair(Sampled(name, decoding), Sampled(other.name, decoding), False, False, both, base)
            for decoding in sorted(shared)
            if (decoding, decoding) != (first, theirs)
        ]
        if is_base:  # how far its further decodings take it towards what alignment made of it
            pairs += [
                Pair(Sampled(name, first), Sampled(other.name, decoding), False, False, both, base)
                for decoding in sorted(_decodings_of(study, other) - {theirs, first})
            ]
    itself = (tokenizers[name],) * 2
    pairs += [
        Pair(Sampled(name, decoding), Sampled(name, first), False, False, itself, base)
        for decoding in sorted(own - {first})
    ]
    return pairs


def _decodings_of(study: Study, checkpoint: Checkpoint) -> set[str]:
    """The decodings that a checkpoint has generations of; - where it is not known which."""
    first = study.first_decoding(checkpoint)
    return {"-"} if first == "-" else {decoding.name for decoding in study.decodings(checkpoint)}
