"""What papers claim (``config/papers/claims/``), read and checked against their grids."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medhash.errors import MedhashError
from medhash.papers.claim_rules import BEST, Claim, PaperClaims, Row, Spread
from medhash.papers.paper import Paper
from medhash.papers.specs import ArtefactSpec
from medhash.schema.validation import check_name, read_model

CLAIMS_FOLDER = Path("config/papers/claims")
PAPERS_FOLDER = Path("config/papers")


def load_claims(paper: Paper, folder: Path = CLAIMS_FOLDER) -> PaperClaims | None:
    """Read what a paper claims, or None where it has no file.

    Args:
        paper: the paper's whole grid (:func:`load_printed`), not the part of it that a scale runs.
        folder: holds one ``<paper>.yaml`` a paper.

    Raises:
        MedhashError: the file is refused, or a claim names a table, dataset, method or row that
            the paper does not have; names file, claim, key and value.
    """
    path = folder / f"{paper.paper}.yaml"
    if not path.is_file():
        return None
    claims = read_model(PaperClaims, path, "paper")
    for name, claim in claims.claims.items():
        _check(claim, paper, f"{path}: claims.{name}")
    return claims


def load_printed(paper: str, folder: Path = PAPERS_FOLDER) -> Paper:
    """A paper's names and its whole grid, as printed; no scale has thinned it.

    Raises:
        MedhashError: there is no such file, or it is refused.
    """
    return read_model(Paper, folder / f"{paper}.yaml")


def artefact_of(claim: Claim, paper: Paper) -> ArtefactSpec:
    """The table or figure whose cells a claim is about; a KeyError if the paper has none."""
    specs = paper.tables if claim.table else paper.figures
    return specs[claim.artefact]


def _check(claim: Claim, paper: Paper, where: str) -> None:
    kind, specs = ("table", paper.tables) if claim.table else ("figure", paper.figures)
    check_name(claim.artefact, specs, kind, f"{where}.{kind}")
    spec = artefact_of(claim, paper)
    _check_axes(claim, spec, where)
    _check_measure(claim, spec, where)
    variants = spec.trained_variants
    if claim.also:
        check_name(claim.also, paper.tables, "table", f"{where}.also")
        variants += paper.tables[claim.also].trained_variants
    for name in claim.row_names:
        row, at = Row.parse(name), f"{where}: row '{name}'"
        _check_row(row, claim, spec, at)
        check_name(row.variant, variants, f"variant of {claim.artefact}", at)


def _check_axes(claim: Claim, spec: ArtefactSpec, where: str) -> None:
    printed: dict[str, Iterable[object]] = {
        "datasets": spec.datasets,
        "origins": tuple(filter(None, spec.starts)),
        "methods": spec.methods,
        "bits": spec.bits,
    }
    for axis, known in printed.items():
        what = "code length" if axis == "bits" else axis.removesuffix("s")
        for value in getattr(claim, axis) or ():
            check_name(str(value), map(str, known), what, f"{where}.{axis}")


def _check_measure(claim: Claim, spec: ArtefactSpec, where: str) -> None:
    if claim.measure not in spec.measured:
        raise MedhashError(
            f"{where}.measure: {claim.artefact} is of kind {spec.kind}, which has no "
            f"'{claim.measure}' (it has: {', '.join(spec.measured)})"
        )
    if isinstance(claim, Spread) and not spec.points_of_panels:
        raise MedhashError(f"{where}.rule: spread needs a figure with panels")


def _check_row(row: Row, claim: Claim, spec: ArtefactSpec, where: str) -> None:
    for method in claim.best_of if row.method == BEST else filter(None, (row.method,)):
        check_name(method, spec.methods, "method", where)
    _check_elsewhere(row, claim, spec, where)
    if not row.transfers and not any(spec.starts):
        raise MedhashError(f"{where}: {claim.artefact} has no rows without transfer")


def _check_elsewhere(row: Row, claim: Claim, spec: ArtefactSpec, where: str) -> None:
    if row.dataset:
        check_name(row.dataset, spec.datasets, "dataset", where)
    if row.bits is not None:
        check_name(str(row.bits), map(str, spec.bits), "code length", where)
    if row.k is not None and not claim.cutoffs:
        raise MedhashError(f"{where}: '{claim.measure}' has no K")
