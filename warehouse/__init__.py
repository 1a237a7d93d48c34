"""The tables: what they hold, how they are stored, and how they are asked.

Nothing here knows of Dagster or of models.
"""

from warehouse.declarations import DeclarationError, Measurement, read_measurements
from warehouse.lake import Lake, Provenance
from warehouse.query import ask
from warehouse.results import ResultError, write_result
from warehouse.schema import Column, Table
from warehouse.sessions import Limits, session
from warehouse.statements import QueryError
from warehouse.storage import RejectedError, write_table

__all__ = [
    "Column",
    "DeclarationError",
    "Lake",
    "Limits",
    "Measurement",
    "Provenance",
    "QueryError",
    "RejectedError",
    "ResultError",
    "Table",
    "ask",
    "read_measurements",
    "session",
    "write_result",
    "write_table",
]
