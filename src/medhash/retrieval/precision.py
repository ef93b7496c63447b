"""One score of codes: the precision of the first results."""

from __future__ import annotations

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import Protocol, evaluate

TEN = 10


def precision_at_ten(codes: Codes, protocol: Protocol) -> float:
    """P@10 over all queries.

    Raises:
        MedhashError: the database is smaller than that.
    """
    values: dict[str, float] = evaluate(codes, protocol, (TEN,)).metrics["precision_at"]
    if not values:
        size = len(codes.database_rows)
        raise MedhashError(f"P@{TEN} needs {TEN} images in the database, not {size}")
    return values[str(TEN)]
