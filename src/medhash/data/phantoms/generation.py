"""Write a phantom dataset: the files of a prepared one, with masks and confounders beside."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medhash.data.array_files import write_array
from medhash.data.phantoms import (
    chest_findings,
    computed_tomography,
    fundus,
    lung_nodule,
    magnetic_resonance,
    radiograph,
    skin,
    thermal,
)
from medhash.data.phantoms.canvas import Canvas
from medhash.data.phantoms.confounding import Confounding, draw_confounders
from medhash.data.phantoms.modality import Drawing, Modality, Request
from medhash.data.prepared_files import FILES, FINDINGS, MASKS
from medhash.errors import MedhashError
from medhash.files import write_json, write_text, written_whole
from medhash.schema.datasets import DatasetCard

MODALITIES: dict[str, Modality] = {
    "covid_ct": computed_tomography.MODALITY,
    "brain_tumor_mri": magnetic_resonance.MODALITY,
    "covid_radiograph": radiograph.MODALITY,
    "thermal_ir": thermal.MODALITY,
    "nih_chestxray14": chest_findings.MODALITY,
    "origa_fundus": fundus.MODALITY,
    "jsrt": lung_nodule.MODALITY,
    "curated_xray": radiograph.CURATED,
    "skin_mnist": skin.MODALITY,
}
LEAST_IMAGES_OF_A_CLASS = 4
_LEAST_SIZE = 16
# Purposes of random streams: the same seed never serves two of them.
_PATIENT_SIZE, _PATIENT, _CONFOUNDERS, _IMAGE, _FURTHER = range(5)


@dataclass(frozen=True)
class _Plan:
    """One image before it is drawn. ``number`` counts the images whose first class is its own."""

    finding: str
    further: tuple[str, ...]
    class_number: int
    number: int
    patient: int
    role: str


def generate(
    card: DatasetCard,
    output_folder: Path,
    image_size: int,
    images: int,
    seed: int,
    confounding: Confounding | None = None,
) -> None:
    """Generate the phantom that stands in for a dataset, whole or not at all.

    Writes ``images.npy`` uint8 (N, S, S, 3), ``labels.npy`` uint8 (N, C), ``masks.npy`` uint8
    (N, S, S; 0 background and 1 lesion, or the card's ``mask_classes``), ``index.csv``,
    ``confounders.csv`` (row, then one column a confounder) and ``dataset.json``; where images have
    several classes, ``findings.npy`` uint16 (N, S, S) too, in which bit c is set where the c-th
    class lies. An image depends on the seed, its class and its number within the class, never on
    how many images there are; the same arguments give the same bytes.

    ``official_role`` in ``index.csv`` puts each patient, with all images, on one side; with
    ``confounding``, use a split of rule ``official``, because the roles decide the correlation.

    Args:
        card: the phantom's card (or that of the dataset that it stands in for).
        output_folder: the dataset's folder; replaced when it exists.
        image_size: S, pixels along one side, at least 16.
        images: N; the classes get shares as in the card, each at least 4.
        seed: 0 or more.
        confounding: a confounder correlated with the class; None keeps all independent.

    Raises:
        MedhashError: no phantom for this dataset or class, too few images, too small a size, a
            negative seed, or an unknown confounder.
    """
    modality = _modality(card)
    _check_numbers(card, image_size, images, seed)
    if confounding is not None:
        confounding.check(modality.confounders, card.name)
    counts = rescaled_counts(card.classes, images)
    plans = list(_plan(modality, counts, _query_share(card), seed))
    with written_whole(output_folder) as folder:
        folder.mkdir()
        _write_images(folder, card, modality, plans, image_size, seed, confounding)
        _write_description(folder, card, plans, image_size, seed, confounding)


def rescaled_counts(counts: dict[str, int], images: int) -> dict[str, int]:
    """Class counts in the same proportions that sum to ``images``, each at least 4.

    The least is given first; the rest goes by largest remainder to the classes whose share is
    above it.
    """
    names, sizes = list(counts), np.array(list(counts.values()), dtype=np.int64)
    result = np.zeros(len(names), dtype=np.int64)
    free = np.ones(len(names), dtype=bool)
    while True:
        left = images - LEAST_IMAGES_OF_A_CLASS * int((~free).sum())
        share = left * sizes / max(int(sizes[free].sum()), 1)
        small = free & (share < LEAST_IMAGES_OF_A_CLASS)
        if not small.any():
            break
        free &= ~small
    result[~free] = LEAST_IMAGES_OF_A_CLASS
    result[free] = np.floor(share[free])
    order = np.argsort(-(share - np.floor(share)) * free, kind="stable")
    result[order[: images - int(result.sum())]] += 1
    return dict(zip(names, result.tolist(), strict=True))


def _modality(card: DatasetCard) -> Modality:
    name = card.stands_for or card.name
    if name not in MODALITIES:
        raise MedhashError(
            f"dataset '{card.name}': there is no phantom of '{name}'; "
            f"there is one of {', '.join(MODALITIES)}"
        )
    unknown = [finding for finding in card.classes if finding not in MODALITIES[name].findings]
    if unknown:
        raise MedhashError(
            f"dataset '{card.name}': its phantom cannot draw the class '{unknown[0]}'; "
            f"it draws {', '.join(MODALITIES[name].findings)}"
        )
    return MODALITIES[name]


def _check_numbers(card: DatasetCard, image_size: int, images: int, seed: int) -> None:
    least = LEAST_IMAGES_OF_A_CLASS * len(card.classes)
    if images < least:
        raise MedhashError(
            f"{card.name}: {images} images are too few for {len(card.classes)} classes of at "
            f"least {LEAST_IMAGES_OF_A_CLASS}; ask for {least} or more"
        )
    if image_size < _LEAST_SIZE:
        raise MedhashError(
            f"{card.name}: image_size {image_size} is too small to show a lesion; "
            f"use {_LEAST_SIZE} or more"
        )
    if seed < 0:
        raise MedhashError(f"{card.name}: seed {seed} is negative; use 0 or more")


def _query_share(card: DatasetCard) -> float:
    """Share of query images that the card's split has; a fifth where the card is silent."""
    query = card.split.query_images or card.split.query or card.reported_counts.get("query")
    if not isinstance(query, (int, float)):
        return 0.2
    return float(query) if query < 1 else query / card.image_count


def _plan(
    modality: Modality, counts: dict[str, int], query_share: float, seed: int
) -> Iterator[_Plan]:
    """Class by class, patient by patient.

    The first patient of a class is in the database and the second a query, so that no class
    lacks a role; after that a patient joins the queries when that brings their share nearer to
    ``query_share``. No later image changes an earlier one's role.
    """
    for class_number, (finding, count) in enumerate(counts.items()):
        drawn = queries = patient = 0
        while drawn < count:
            rng = _rng(seed, _PATIENT_SIZE, class_number, patient)
            # The first leaves room for the second in a class of the least size.
            most = modality.films - (patient < 1)
            size = int(rng.integers(1, most + 1))
            missing = query_share * (drawn + size) - queries
            is_query = patient == 1 or (patient > 1 and missing >= size / 2)
            queries += size if is_query else 0
            role = "query" if is_query else "database"
            for number in range(drawn, min(drawn + size, count)):
                rng = _rng(seed, _FURTHER, class_number, number)
                further = set(modality.further(finding, rng)) if modality.further else set()
                own = tuple(name for name in counts if name in further - {finding})
                yield _Plan(finding, own, class_number, number, patient, role)
            drawn += size
            patient += 1


def _write_images(
    folder: Path,
    card: DatasetCard,
    modality: Modality,
    plans: list[_Plan],
    image_size: int,
    seed: int,
    confounding: Confounding | None,
) -> None:
    canvas = Canvas(image_size)
    pixels = np.zeros((len(plans), image_size, image_size, 3), dtype=np.uint8)
    masks = np.zeros((len(plans), image_size, image_size), dtype=np.uint8)
    labels = np.zeros((len(plans), len(card.classes)), dtype=np.uint8)
    findings = np.zeros(masks.shape, dtype=np.uint16)
    index, confounders = [], []
    for row, plan in enumerate(plans):
        values = draw_confounders(
            modality.confounders,
            plan.class_number,
            len(card.classes),
            plan.role,
            confounding,
            _rng(seed, _CONFOUNDERS, plan.class_number, plan.number),
        )
        drawing = _draw(canvas, modality, plan, values, seed)
        pixels[row], masks[row] = _to_bytes(drawing)
        for name, coverage in drawing.findings.items():
            findings[row] |= (coverage > 0.5).astype(np.uint16) << [*card.classes].index(name)
        own = [name in (plan.finding, *plan.further) for name in card.classes]
        labels[row] = own
        classes = "|".join(itertools.compress(card.classes, own))
        entry = _index_entry(plan, pixels[row], modality.group) | {"classes": classes}
        index.append(entry | dict(drawing.attributes))
        confounders.append({"row": row, **values})
    for file, array in ((FILES["images"], pixels), (FILES["labels"], labels), (MASKS, masks)):
        write_array(folder / file, array)
    if modality.further is not None:
        write_array(folder / FINDINGS, findings)
    write_text(folder / FILES["index"], _csv(index))
    write_text(folder / "confounders.csv", _csv(confounders))


def _draw(
    canvas: Canvas, modality: Modality, plan: _Plan, values: dict[str, str], seed: int
) -> Drawing:
    patient = _rng(seed, _PATIENT, plan.class_number, plan.patient)
    rng = _rng(seed, _IMAGE, plan.class_number, plan.number)
    return modality.draw(Request(canvas, plan.finding, values, patient, rng, plan.further))


def _to_bytes(drawing: Drawing) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image = drawing.image
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    grey_levels = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    if drawing.mask is not None:
        return grey_levels, drawing.mask
    return grey_levels, (drawing.lesion > 0.5).astype(np.uint8)


def _index_entry(plan: _Plan, pixels: NDArray[np.uint8], group: str) -> dict[str, object]:
    """A row of index.csv. There is no file: its checksum is that of the pixels."""
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    name = f"{plan.finding}/{plan.number:05d}"
    return {
        "image_id": name,
        "file": f"{name}.png",
        "classes": plan.finding,
        "sha256": digest,
        "pixel_sha256": digest,
        "perceptual_hash": str(imagehash.phash(Image.fromarray(pixels))),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "mode": "RGB",
        "patient_id": "",
        "official_role": plan.role,
        group: f"{plan.finding}/{group.removesuffix('_id')}_{plan.patient:05d}",
    }


def _write_description(
    folder: Path,
    card: DatasetCard,
    plans: list[_Plan],
    image_size: int,
    seed: int,
    confounding: Confounding | None,
) -> None:
    counts = Counter(name for plan in plans for name in (plan.finding, *plan.further))
    title = card.title if card.synthetic else f"Phantom of {card.title}"
    differences = [f"{len(plans)} synthetic images in the class proportions of {card.image_count}"]
    write_json(
        folder / FILES["description"],
        {
            "dataset": card.name,
            "title": title,
            "classes": list(card.classes),
            "counts": {name: counts[name] for name in card.classes},
            "image_size": image_size,
            "card_counts": dict(card.classes),
            "differences": differences,
            "archives": [],
            "synthetic": True,
            "licence": card.licence if card.synthetic else "generated by medhash",
            "phantom": {
                "seed": seed,
                "confounding": confounding.model_dump() if confounding else None,
            },
            **card.facts_of_kinds,
        },
    )


def _csv(rows: list[dict[str, object]]) -> str:
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def _rng(seed: int, purpose: int, class_number: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, purpose, class_number, number]))
