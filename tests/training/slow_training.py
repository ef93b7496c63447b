"""Train a cell in a process of its own, slowly after its second epoch, so that it can be killed.

Arguments: cell, data folder, split, pretrained weights, output folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tiny_settings import make_settings

from medhash.schema.cell import Cell
from medhash.training import loop
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs


def main() -> None:
    cell, data_folder, split, pretrained, folder = sys.argv[1:]
    out = Path(folder)
    save = loop._save

    def save_and_wait(state, history, run):
        save(state, history, run)
        if len(history.losses) == 2:
            (out / "two_epochs_done").touch()
            time.sleep(300)

    loop._save = save_and_wait
    inputs = CellInputs(Path(data_folder), Path(split), Path(pretrained))
    train_cell(Cell.parse(cell), make_settings(), inputs, out, device="cpu")


if __name__ == "__main__":
    main()
