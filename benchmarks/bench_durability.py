"""What it costs that files are on the disk before they have their names.

python benchmarks/bench_durability.py [FOLDER]

Writes files of the sizes of a receipt, codes and a training state, in turn as medhash does and
as it would without a sync, in FOLDER (the one it is started in): its disk is what is measured.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from tabulate import tabulate

from medhash.files import written_whole

SIZES = {"receipt, 8 kB": 8 << 10, "codes, 64 kB": 64 << 10, "training state, 64 MB": 64 << 20}
SECONDS = 4.0


def seconds_of_one(folder: Path, content: bytes, number: int) -> float:
    start = time.perf_counter()
    with written_whole(folder / f"{number}.bin") as temporary:
        temporary.write_bytes(content)
    return time.perf_counter() - start


def measure(folder: Path, content: bytes) -> tuple[float, float]:
    """Medians with and without a sync, written in turn."""
    synced: list[float] = []
    bare: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(bare) < 3:
        synced.append(seconds_of_one(folder, content, len(synced) % 8))
        with patch.object(os, "fsync"):
            bare.append(seconds_of_one(folder, content, 8 + len(bare) % 8))
    return median(synced), median(bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    with TemporaryDirectory(dir=parser.parse_args().folder, prefix=".durability-") as folder:
        rows = []
        for name, size in SIZES.items():
            synced, bare = measure(Path(folder), os.urandom(size))
            milliseconds = (f"{1000 * each:.2f}" for each in (synced, bare, synced - bare))
            rows.append([name, *milliseconds, f"{synced / bare:.1f}"])
    print(
        tabulate(rows, ["file", "synced ms", "bare ms", "more ms", "ratio"], disable_numparse=True)
    )


if __name__ == "__main__":
    main()
