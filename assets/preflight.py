"""What can be known to be wrong before any work, and what a run would do and need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from assets.blueprints.alignments import opened
from assets.generations.choice_reasoning import reasoned_sets, reasons
from assets.generations.engines import server_of
from assets.generations.plan import asked
from assets.predictions.choice_scores import check_room
from assets.predictions.preference_scores import encode_prompt
from assets.sources.checkpoints import describe_model
from assets.sources.choices import read_questions
from assets.sources.documents import read_documents
from assets.sources.generation_files import read_contents
from assets.sources.passages import read_passages
from assets.sources.preferences import read_pairs
from assets.sources.prompt_sets import prompt_set
from assets.sources.prompts import given_prompts
from assets.sources.questions import in_orders
from assets.sources.scores import check_scores
from assets.sources.training_documents import corpora_to_learn, read_training_documents
from assets.study.errors import InputError
from assets.study.parts import LEAST_DOCUMENTS
from models import ModelError
from models.embedding import check_encoder
from models.pair_classifier import check_pair_classifier
from models.servers.dialect import check_extra
from models.servers.server import read_key
from models.vllm import check_decoding, vllm_version

if TYPE_CHECKING:
    from collections.abc import Collection

    from assets.lineage.graph import Node
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel


@dataclass(frozen=True)
class Need:
    """What a checkpoint asks of a machine.

    Attributes:
        checkpoint: Its name.
        source: Where it comes from.
        generations: How many are asked of it.
        tokens: How many tokens these have at most; None where they are made already.
        reasonings: How often it reasons about a question before it chooses an option.
        reasoning_tokens: How many tokens that takes at most.
    """

    checkpoint: str
    source: str
    generations: int
    tokens: int | None
    reasonings: int = 0
    reasoning_tokens: int = 0


def check_inputs(study: Study) -> list[Need]:
    """Looks at everything that a study names, loading and downloading no weights.

    Returns:
        What each checkpoint needs.

    Raises:
        InputError: All that is wrong, a line each.
    """
    study = study.model_copy()  # what is found out of its files is remembered by copy
    problems: dict[str, None] = {}
    needs = []
    for checkpoint in study.checkpoints:
        try:
            checkpoint.digest()  # which looks whether it is there
            _check_ways(checkpoint)
            needs.append(_need(study, checkpoint))
        except InputError as error:
            problems[str(error)] = None
        except ModelError as error:
            problems[f"checkpoint {checkpoint.name}: {error}"] = None
    for watch in study.watch:
        try:
            _ = watch.format_of_prompts
        except InputError as error:
            problems[f"watch {watch.place}: {error}"] = None
    of_checkpoints = (given_prompts, _check_probed_sets, check_scores)
    for check in (() if problems else of_checkpoints) + (
        _check_corpora,
        _check_training_documents,
        _check_passages,
        _check_preferences,
        _check_choices,
        _check_aligner,
        _check_embedder,
    ):
        try:
            check(study)
        except InputError as error:
            problems[str(error)] = None
    if problems:
        raise InputError("\n".join(problems))
    reasonings, tokens = _reasoning(study)
    reasoning = {c.name for c in study.checkpoints if reasons(study, c)}
    return [
        replace(need, reasonings=reasonings, reasoning_tokens=tokens)
        if need.checkpoint in reasoning
        else need
        for need in needs
    ]


def _check_ways(checkpoint: Checkpoint) -> None:
    """Looks at how it is going to be asked."""
    try:
        form = checkpoint.format_of_prompts
        if checkpoint.source.scheme == "dir":
            form.check(Path(checkpoint.source.location))
    except InputError as error:
        raise InputError(f"checkpoint {checkpoint.name}: {error}") from None
    if checkpoint.tokenizer is not None:
        checkpoint.tokenizer.check()
    if checkpoint.source.is_server:
        server_of(checkpoint)
        check_extra(checkpoint.access.extra, checkpoint.decodings)
    if checkpoint.engine_name == "vllm":
        for decoding in checkpoint.decodings:
            check_decoding(decoding)


def lacking(study: Study, stale: Collection[Node]) -> list[str]:
    """What this machine lacks to sample what is to be sampled, a sentence each."""
    sentences = []
    for checkpoint in study.checkpoints:
        try:
            if ("generations", checkpoint.name) not in stale:
                continue
            if checkpoint.engine_name == "vllm":
                vllm_version()
            if checkpoint.engine_name == "openai":
                read_key(server_of(checkpoint))
        except ModelError as error:
            sentences.append(f"checkpoint {checkpoint.name}: {error}")
    return sentences


def idle(study: Study) -> list[str]:
    """What a study asks for and no run can give it, a sentence each."""
    sentences = []
    texts = {c.name: {p["text"] for p in prompt_set(study, c).prompts} for c in study.checkpoints}
    for checkpoint in study.checkpoints:
        base = checkpoint.base
        if base in texts and texts[base].isdisjoint(texts[checkpoint.name]):
            sentences.append(
                f"{checkpoint.name} answers no prompt that its base {base} answers, so what they "
                "wrote is not compared; bring answers of both to the same prompts"
            )
    followed = any(c.base is not None or c.step is not None for c in study.checkpoints)
    if study.drift and not followed and not study.watch:
        sentences.append(
            "drift: no checkpoint has a `base` or a `step`, so its rules warn of nothing"
        )
    return sentences


def _check_probed_sets(study: Study) -> None:
    """Looks whether probes name sets of prompts, and not checkpoints that answer another's."""
    names = study.probes.prompt_sets if study.probes else ()
    for checkpoint in study.checkpoints:
        if checkpoint.name in names and checkpoint.source.is_generations:
            answered = prompt_set(study, checkpoint).name
            if answered != checkpoint.name:
                raise InputError(
                    f"probes.prompt_sets: {checkpoint.name!r} answers the prompts of the set "
                    f"{answered!r}; name that one"
                )


def _check_corpora(study: Study) -> None:
    for corpus in study.corpora:
        corpus.digest()
        if corpus.source.scheme != "hf":  # of the hub, whether it is there is enough
            few = corpus.documents is not None
            for _ in islice(read_documents(corpus), None if few else 1):
                pass


def _check_training_documents(study: Study) -> None:
    for corpus in corpora_to_learn(study):
        if corpus.source.scheme != "hf":
            scored = {str(row["text"]) for row in read_documents(corpus)}
            read_training_documents(corpus, scored, LEAST_DOCUMENTS)


def _check_passages(study: Study) -> None:
    game = study.shannon_game
    if game is not None and game.source != "corpora":
        game.digest()
        if game.source.scheme != "hf" and next(read_passages(game.source, game), None) is None:
            raise InputError(f"shannon_game: {game.source} holds no passage")


def _check_preferences(study: Study) -> None:
    """Looks at every pair in a file, and whether models in folders read its prompt."""
    pairs = []
    for preferences in study.preferences:
        preferences.digest()
        if preferences.source.scheme != "hf":
            pairs += list(read_pairs(preferences))
    for checkpoint in study.checkpoints if pairs else ():
        if (model := _described(checkpoint)) is not None:
            for pair in pairs:
                try:
                    encode_prompt(model, checkpoint, pair.answers.turns)
                except (InputError, ModelError) as error:
                    raise InputError(f"{pair.place}: {error}") from None


def _check_choices(study: Study) -> None:
    """Looks at every question in a file, and whether models in folders read it."""
    placed = []
    for choices in study.choices:
        choices.digest()
        if choices.source.scheme != "hf":
            placed += [(choices, question) for question in read_questions(choices)]
    for checkpoint in study.checkpoints if placed else ():
        if (model := _described(checkpoint)) is not None:
            for choices, question in placed:
                orders = in_orders(choices, question.question_id, question.question)
                try:
                    check_room(model, checkpoint, next(orders))
                except (InputError, ModelError) as error:
                    raise InputError(f"{question.place}: {error}") from None


def _described(checkpoint: Checkpoint) -> LanguageModel | None:
    """What is known of a model in a folder; None of others, and where the run says what is wrong.

    A GGUF file would have to be unpacked, and what an adapter is put on may be on the hub.
    """
    folder = Path(checkpoint.source.location)
    if checkpoint.source.scheme != "dir" or not (folder / "config.json").is_file():
        return None
    try:
        return describe_model(checkpoint)
    except ModelError:
        return None


def _check_aligner(study: Study) -> None:
    with opened(study.aligner):
        pass  # which looks whether it is installed


def _check_embedder(study: Study) -> None:
    if study.embedder is not None:
        try:
            check_encoder(study.embedder)
        except ModelError as error:
            raise InputError(f"embedder: {error}") from None
    if study.answer_classifier is not None:
        try:
            check_pair_classifier(study.answer_classifier)
        except ModelError as error:
            raise InputError(f"answer_classifier: {error}") from None


def _need(study: Study, checkpoint: Checkpoint) -> Need:
    if checkpoint.source.is_generations:
        contents = read_contents(Path(checkpoint.source.location))
        return Need(checkpoint.name, str(checkpoint.source), contents.n_generations, None)
    asks = asked(study, checkpoint, prompt_set(study, checkpoint).prompts)
    generations = sum(len(ask.prompts) * ask.n_samples for ask in asks)
    if study.prefixes and checkpoint.continues_text:
        # As many of each corpus as are asked for, should it have them.
        per_prefix = sum(
            1 if decoding == "greedy" else study.prefixes.samples
            for decoding in study.compared_decodings(checkpoint)
        )
        generations += len(study.corpora) * study.prefixes.documents * per_prefix
    tokens = generations * study.max_new_tokens
    return Need(checkpoint.name, str(checkpoint.source), generations, tokens)


def _reasoning(study: Study) -> tuple[int, int]:
    """How often a checkpoint reasons about a question, and in how many tokens at most.

    Of a set on the hub as many questions count as the study asks for.
    """
    reasonings = tokens = 0
    for choices in reasoned_sets(study).values():
        if choices.source.scheme == "hf":
            n_listed = (choices.questions or 0) * choices.orders
        else:
            n_listed = sum(
                1
                for placed in read_questions(choices)
                for _ in in_orders(choices, placed.question_id, placed.question)
            )
        reasonings += n_listed
        tokens += n_listed * choices.reasoning_tokens
    return reasonings, tokens
