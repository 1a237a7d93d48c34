"""The one list of every asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.blueprints.alignments import ALIGNMENTS
from assets.drawing.figure_asset import figure_asset
from assets.figures import FIGURES
from assets.generations.choice_reasoning import CHOICE_REASONING
from assets.generations.generations import GENERATIONS
from assets.generations.training_answers import TRAINING_ANSWERS
from assets.lineage.graph import AssetGraph
from assets.measures.comparisons import comparisons_asset
from assets.measures.declared import (
    declared_measurements,
    declared_measures,
    sql_folders,
    study_parameters,
)
from assets.measures.drift import check_rules
from assets.measures.measures import measure_asset
from assets.measures.summary import summary_asset
from assets.measures.tables import measurement_asset
from assets.predictions.choice_scores import CHOICE_SCORES
from assets.predictions.preference_scores import PREFERENCE_SCORES
from assets.predictions.probe_accuracy import PROBE_ACCURACY
from assets.predictions.probe_guesses import PROBE_GUESSES
from assets.predictions.readapted_texts import READAPTED_TEXTS
from assets.predictions.scored_texts import SCORED_TEXTS
from assets.predictions.shannon_guesses import SHANNON_GUESSES
from assets.predictions.token_distributions import TOKEN_DISTRIBUTIONS
from assets.predictions.token_divergence import TOKEN_DIVERGENCE
from assets.predictions.token_texts import TOKEN_TEXTS
from assets.predictions.tuning_steps import TUNING_STEPS
from assets.report.report import report_asset
from assets.semantics.answers import ANSWERS
from assets.semantics.embeddings import EMBEDDINGS
from assets.semantics.meaning_map import MEANING_MAP
from assets.semantics.semantic_anchors import SEMANTIC_ANCHORS
from assets.semantics.semantic_diversity import SEMANTIC_DIVERSITY
from assets.semantics.semantic_pairs import SEMANTIC_PAIRS
from assets.sources.checkpoints import CHECKPOINTS
from assets.sources.choices import CHOICE_QUESTIONS
from assets.sources.documents import DOCUMENTS
from assets.sources.passages import PASSAGES
from assets.sources.preferences import PREFERENCES
from assets.sources.prompts import PROMPTS
from assets.sources.scores import SCORES
from assets.sources.training_documents import TRAINING_DOCUMENTS

if TYPE_CHECKING:
    from assets.lineage.asset import Asset, TableAsset
    from assets.study.study import Study
    from warehouse import Lake

BASE_ASSETS: tuple[TableAsset, ...] = (
    DOCUMENTS,
    PROMPTS,
    PASSAGES,
    PREFERENCES,
    CHOICE_QUESTIONS,
    TRAINING_ANSWERS,
    TUNING_STEPS,
    CHECKPOINTS,
    GENERATIONS,
    CHOICE_REASONING,
    SCORED_TEXTS,
    TOKEN_DISTRIBUTIONS,
    TOKEN_DIVERGENCE,
    TOKEN_TEXTS,
    SHANNON_GUESSES,
    PREFERENCE_SCORES,
    CHOICE_SCORES,
    PROBE_GUESSES,
    PROBE_ACCURACY,
    TRAINING_DOCUMENTS,
    READAPTED_TEXTS,
    ALIGNMENTS,
    EMBEDDINGS,
    ANSWERS,
    SCORES,
    SEMANTIC_DIVERSITY,
    SEMANTIC_PAIRS,
    SEMANTIC_ANCHORS,
    MEANING_MAP,
)
"""The assets that Python makes; their tables are `warehouse.tables.BASE_TABLES`."""


def assets_of(study: Study) -> list[Asset]:
    """Every asset, as a study parametrizes it.

    Raises:
        DeclarationError: An SQL file cannot become a table or a measure.
        InputError: A rule of drift is about no measure, or `sql:` names no folder of SQL.
    """
    parameters, folders = study_parameters(study), sql_folders(study)
    measurements = declared_measurements(parameters, folders)
    measures = declared_measures(parameters, folders, measurements)
    check_rules(study.drift, measures)
    return [
        *BASE_ASSETS,
        *(measurement_asset(measurement) for measurement in measurements),
        *(measure_asset(measure) for measure in measures),
        summary_asset(measures),
        comparisons_asset(measures, measurements),
        *(figure_asset(figure, measures) for figure in FIGURES),
        report_asset(
            FIGURES,
            measures,
            [asset.name for asset in BASE_ASSETS] + [m.table.name for m in measurements],
        ),
    ]


def build_graph(study: Study, lake: Lake) -> AssetGraph:
    """The graph of a study's assets over a lake.

    Raises:
        DeclarationError: A measurement cannot become a table.
    """
    return AssetGraph(study.keeping_weights_in(lake.weights), lake, assets_of(study))
