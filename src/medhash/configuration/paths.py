"""Where each file of a run lies: one place that knows the folders' names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medhash.configuration.declarations import declaration_of
from medhash.schema.cell import Cell


@dataclass(frozen=True)
class Layout:
    """The files under ``results/<run>``.

    Every argument may also be a Snakemake wildcard in braces (``layout.cell("{paper}/{cell}")``),
    so that rules and Python code share these names.

    Attributes:
        root: the folder of one run, ``results/<run>``.
    """

    root: Path

    def data(self, dataset: str, size: int | str) -> Path:
        """The folder of a dataset prepared at a size: images, labels, index, card."""
        return self.root.joinpath("data", dataset, str(size))

    def split(self, paper: str, dataset: str, seed: int | str) -> Path:
        """The manifest of a split (CSV); its facts stand beside it as JSON."""
        return self.root.joinpath(paper, "splits", dataset, f"{seed}.csv")

    def leakage(self, paper: str, dataset: str, seed: int | str) -> Path:
        """The leakage table of a split, without its suffix (``.csv``, ``.md``, ``.json``)."""
        return self.root / paper / "leakage" / dataset / str(seed)

    def pretrained(self, paper: str, dataset: str, stage: str) -> Path:
        """The weights of a pretraining stage (safetensors)."""
        return self.root.joinpath(paper, "pretrain", dataset, f"{stage}.safetensors")

    def weights(self, paper: str, network: str) -> Path:
        """The weights from elsewhere that a network's pretraining starts from (safetensors)."""
        return self.root.joinpath(paper, "weights", f"{network}.safetensors")

    def cell(self, cell: Cell | str) -> Path:
        """The folder of a cell; ``cell`` may be its text."""
        paper, _, coordinates = str(cell).partition("/")
        return self.root.joinpath(paper, "cells", coordinates)

    def codes(self, cell: Cell) -> Path:
        """The codes of a cell's query set and database, or its descriptors."""
        hamming = declaration_of(cell.method).distance == "hamming"
        return self.cell(cell) / ("codes.npz" if hamming else "descriptors.npz")

    def explanation(self, cell: Cell | str) -> Path:
        """Where a cell looks, what it takes for lesions, and its features (arrays)."""
        return self.cell(cell) / "explanation.npz"

    def record(self, cell: Cell | str) -> Path:
        """A cell's numbers (JSON)."""
        return self.cell(cell) / "record.json"

    def speed(self, cell: Cell | str) -> Path:
        """How fast a cell answers a query on one machine (JSON)."""
        return self.cell(cell) / "speed.json"

    def segmentation(self, cell: Cell | str) -> Path:
        """How well a cell tells classes of pixels apart (JSON)."""
        return self.cell(cell) / "segmentation.json"

    def lesions(self, cell: Cell | str) -> Path:
        """How a cell retrieves lesion patches, and how fast (JSON)."""
        return self.cell(cell) / "lesions.json"

    def lesion_patches(self, cell: Cell | str) -> Path:
        """The lesion patches that a cell is searched with, and their codes (arrays)."""
        return self.cell(cell) / "lesions.npz"

    def pointing(self, cell: Cell | str) -> Path:
        """How often C2F-LP points at a lesion, epoch by epoch (JSON)."""
        return self.cell(cell) / "pointing.json"

    def table(self, paper: str, name: str) -> Path:
        """A table of a paper, without its suffix (``.csv``, ``.md``, ``.tex``)."""
        return self.root / paper / "tables" / name

    def figure(self, paper: str, name: str) -> Path:
        """A figure of a paper, without its suffix (``.pdf``, ``.png``, ``.csv``)."""
        return self.root / paper / "figures" / name

    def queries(self, cell: Cell) -> Path:
        """The folder of the contact sheets of a cell's answers."""
        return self.root / cell.paper / "queries" / cell.coordinates

    def receipt(self, rule: str, key: str) -> Path:
        """What a step was made from and with (JSON); key: ``covid_ct/64``, ``ach/table3``."""
        return self.root.joinpath("receipts", rule, f"{key}.json")
