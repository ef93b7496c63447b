"""Scoring anybody's codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from medhash.commands.options import CODES

app = typer.Typer()


@app.command(rich_help_panel=CODES)
def evaluate(
    codes: Annotated[
        Path,
        typer.Argument(
            metavar="CODES.npz",
            help="Arrays query_codes, query_labels, database_codes, database_labels. Codes: -1/+1, "
            "0/1, bool, floats to be signed, or packed bytes with a scalar `bits`. Labels: class "
            "ids or a 0/1 matrix.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    protocol: Annotated[
        str, typer.Option(help="tie-aware (any order of ties) or stable (database order).")
    ] = "tie-aware",
    per_query: Annotated[
        bool, typer.Option("--per-query", help="Add the average precision of every query.")
    ] = False,
    at: Annotated[
        list[int] | None, typer.Option("--at", metavar="K", help="A cutoff K; repeatable.")
    ] = None,
) -> None:
    """Score anybody's codes: mAP, P@K, recall, NDCG, ACG, the precision-recall curve.

    A query without a relevant item in the database counts as 0; how many there were is printed.
    """
    from medhash.retrieval.evaluation import DEFAULT_CUTOFFS, evaluate_file, summary_text

    # The protocol is checked there; its type is a Literal, which typer's options are not.
    metrics = evaluate_file(codes, protocol, at or DEFAULT_CUTOFFS, per_query)  # type: ignore[arg-type]
    if as_json:
        text = json.dumps(metrics, indent=1, sort_keys=True, allow_nan=False)
    else:
        text = summary_text(metrics)
        text += "\n" + _lines_of_queries(metrics) if per_query else ""
    typer.echo(text)


def _lines_of_queries(metrics: dict[str, Any]) -> str:
    values = metrics["per_query_ap"]
    return "\n".join(f"query {number}: AP {value:.4f}" for number, value in enumerate(values))
