"""Phantoms: determinism, lesions and their masks, class skew, and confounding as asked for."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from scipy.stats import chi2_contingency
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medhash.data.cards import load_cards
from medhash.data.phantoms import (
    MODALITIES,
    Confounding,
    fundus,
    generate,
    lung_nodule,
    skin,
    thermal,
)
from medhash.data.phantoms.canvas import Canvas, Ellipse
from medhash.data.phantoms.confounding import draw_confounders
from medhash.data.phantoms.generation import rescaled_counts
from medhash.data.phantoms.modality import Drawing, Modality, Request
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.making import make_split, write_split
from medhash.data.splits.manifest import read_split, rows_of
from medhash.errors import MedhashError
from medhash.schema.datasets import DatasetCard, SplitRule

DATASETS = list(MODALITIES)
ONE_LABEL = [name for name, modality in MODALITIES.items() if modality.further is None]
MODULES = {
    name: __import__(modality.draw.__module__, fromlist=["draw"])
    for name, modality in MODALITIES.items()
}
FILES = {"images.npy", "labels.npy", "masks.npy", "index.csv", "confounders.csv", "dataset.json"}
CARDS = load_cards(Path(__file__).parents[2] / "config" / "datasets.yaml")


def card_of(name: str) -> DatasetCard:
    return CARDS[f"phantom_{name}"]


def cramers_v(first: pd.Series, second: pd.Series) -> float:
    """Association of two categorical columns, 0 to 1."""
    table = pd.crosstab(first, second)
    chi2 = chi2_contingency(table, correction=False).statistic
    return float(np.sqrt(chi2 / (len(first) * (min(table.shape) - 1))))


@pytest.mark.parametrize("name", ONE_LABEL)
def test_files_are_those_of_a_prepared_dataset(name, tmp_path):
    card = card_of(name)
    generate(card, tmp_path / "out", 24, 48, 0)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    images = np.load(tmp_path / "out" / "images.npy", mmap_mode="r")
    labels, masks = (np.load(tmp_path / "out" / f"{n}.npy") for n in ("labels", "masks"))
    index = PreparedDataset(tmp_path / "out").index
    confounders = pd.read_csv(tmp_path / "out" / "confounders.csv", keep_default_na=False)
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert (images.shape, images.dtype) == ((48, 24, 24, 3), np.uint8)
    assert (masks.shape, masks.dtype) == ((48, 24, 24), np.uint8)
    assert masks.max() == max(len(card.mask_classes), 2) - 1
    assert labels.dtype == np.uint8
    assert (labels.sum(axis=1) == 1).all()
    classes = list(card.classes)
    assert [classes[column] for column in labels.argmax(axis=1)] == index["classes"].tolist()
    assert index["image_id"].is_unique
    assert index["pixel_sha256"].is_unique
    assert index["perceptual_hash"][7] == str(imagehash.phash(Image.fromarray(images[7])))
    assert set(index["official_role"]) == {"query", "database"}
    assert description["synthetic"] is True
    assert description["counts"] == rescaled_counts(card.classes, 48)
    assert dict(zip(classes, labels.sum(axis=0), strict=True)) == description["counts"]
    assert confounders["row"].tolist() == list(range(48))
    for confounder, values in MODALITIES[name].confounders.items():
        assert set(confounders[confounder]) <= set(values)


@pytest.mark.parametrize("name", DATASETS)
def test_same_arguments_give_the_same_bytes_and_another_seed_others(name, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate(card_of(name), tmp_path / folder, 16, 52, seed)
    for file in FILES:
        first = (tmp_path / "a" / file).read_bytes()
        assert first == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a/images.npy").read_bytes() != (tmp_path / "c/images.npy").read_bytes()


def test_noise_differs_between_seeds_and_images(tmp_path):
    for folder, seed in (("a", 0), ("b", 1)):
        generate(card_of("brain_tumor_mri"), tmp_path / folder, 32, 40, seed)
    # Air in the picture's corner holds nothing but noise.
    corners = [np.load(tmp_path / name / "images.npy")[:, :5, :5, 0] for name in ("a", "b")]
    kinds = {corner.tobytes() for corner in np.concatenate(corners)}
    assert len(kinds) == 80


@pytest.mark.parametrize("name", ["brain_tumor_mri", "thermal_ir"])
def test_an_image_does_not_depend_on_how_many_there_are(name, tmp_path):
    indexes = []
    for folder, images in (("few", 60), ("many", 130)):
        generate(card_of(name), tmp_path / folder, 16, images, 0)
        indexes.append(PreparedDataset(tmp_path / folder).index.set_index("image_id"))
    few, many = indexes
    pd.testing.assert_frame_equal(few, many.loc[few.index])


def test_images_of_a_patient_share_anatomy_and_differ(tmp_path):
    generate(card_of("brain_tumor_mri"), tmp_path / "out", 16, 200, 0)
    sizes = PreparedDataset(tmp_path / "out").index.groupby("patient_id").size()
    assert sizes.max() > 1
    assert sizes.max() <= 3
    assert sizes.mean() > 1.5


def drawings(
    name: str, finding: str, count: int = 6, size: int = 48, **fixed: str
) -> list[Drawing]:
    """Several images of one class with fresh patients, lesions and confounders."""
    modality, made = MODALITIES[name], []
    for number in range(count):
        rng = np.random.default_rng([9, number])
        values = {key: str(rng.choice(options)) for key, options in modality.confounders.items()}
        patient, image = (np.random.default_rng([stream, number]) for stream in (7, 8))
        request = Request(Canvas(size), finding, values | fixed, patient, image)
        made.append(modality.draw(request))
    return made


def without_lesion(name: str, finding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the class draw everything as before, with the same random numbers, but no lesion."""
    module = MODULES[name]
    if module is fundus:
        cup = fundus._cup
        shown = 0.0 if finding == "Glaucoma" else 1.0
        monkeypatch.setattr(fundus, "_cup", lambda *a: cup(*a) * shown)
        return
    if module is skin:
        painted = skin._paint_lesion
        monkeypatch.setattr(skin, "_paint_lesion", lambda *a: (a[1], painted(*a)[1] * 0))
        return
    if module is thermal:
        parts = thermal._hot_parts
        monkeypatch.setattr(thermal, "_hot_parts", lambda *a: [0 * p for p in parts(*a)])
        return
    paint = module._FINDINGS[finding]

    def painted(*arguments):
        coverage, how = paint(*arguments)
        return coverage * 0, [] if isinstance(how, list) else how * 0 + how.min() * 0

    monkeypatch.setitem(module._FINDINGS, finding, painted)


@pytest.mark.parametrize(
    ("name", "finding"),
    [(name, finding) for name in DATASETS for finding in MODALITIES[name].findings],
)
def test_masks_show_where_the_lesion_changed_the_image(name, finding, monkeypatch):
    sick = drawings(name, finding)
    without_lesion(name, finding, monkeypatch)
    healthy = drawings(name, finding)
    changes_inside, changes_outside = [], []
    for one, other in zip(sick, healthy, strict=True):
        mask = one.lesion > 0.5
        change = np.abs(np.clip(one.image, 0, 1) - np.clip(other.image, 0, 1))
        change = change.max(axis=2) if change.ndim == 3 else change
        if not mask.any():
            assert change.max() < 0.1
            continue
        # Oedema, a soft border and blur reach a little beyond the mask.
        far = ~ndimage.binary_dilation(mask, iterations=10)
        changes_inside.append(change[mask].mean())
        changes_outside.append(change[far].mean() if far.any() else 0.0)
    none_expected = finding in {"Normal", "no_tumor", "Noload"}
    assert (len(changes_inside) == 0) == none_expected
    if changes_inside:
        assert np.mean(changes_inside) > 0.06
        assert np.mean(changes_outside) < 0.1 * np.mean(changes_inside)


def centre(drawing: Drawing) -> tuple[float, float]:
    """Centre of the lesion, from the image's middle, in half image sizes: right and down."""
    down, right = ndimage.center_of_mass(drawing.lesion > 0.5)
    half = drawing.lesion.shape[0] / 2
    return (right + 0.5) / half - 1, (down + 0.5) / half - 1


def test_tumours_sit_where_their_class_says():
    pituitary = [centre(d) for d in drawings("brain_tumor_mri", "pituitary_tumor", 12)]
    glioma = [centre(d) for d in drawings("brain_tumor_mri", "glioma_tumor", 12)]
    meningioma = [centre(d) for d in drawings("brain_tumor_mri", "meningioma_tumor", 12)]
    assert max(abs(right) for right, _ in pituitary) < 0.12
    assert min(abs(right) for right, _ in glioma) > 0.1
    assert np.mean([np.hypot(*c) for c in meningioma]) > np.mean([np.hypot(*c) for c in glioma])


def test_covid_is_bilateral_and_lung_opacity_is_on_one_side():
    sides = {}
    for finding in ("COVID", "Lung_Opacity", "Viral Pneumonia"):
        masks = [d.lesion > 0.5 for d in drawings("covid_radiograph", finding, 12)]
        halves = [(mask[:, :24].sum(), mask[:, 24:].sum()) for mask in masks]
        sides[finding] = np.mean([min(pair) / max(pair) for pair in halves])
    assert sides["Lung_Opacity"] < 0.1
    assert sides["COVID"] > 0.3
    assert sides["Viral Pneumonia"] > 0.3


@pytest.mark.parametrize("name", DATASETS)
def test_every_value_of_every_confounder_changes_the_image(name):
    modality = MODALITIES[name]
    finding = modality.findings[0]
    usual = {key: options[0] for key, options in modality.confounders.items()}
    plain = drawings(name, finding, 1, **usual)[0]
    for confounder, options in modality.confounders.items():
        for value in options[1:]:
            other = drawings(name, finding, 1, **(usual | {confounder: value}))[0]
            # The random numbers are the same: any change comes from the confounder.
            change = np.sqrt(np.mean((plain.image - other.image) ** 2))
            assert change > 0.02, (confounder, value)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("images", [52, 100, 369, 5000])
def test_class_skew_follows_the_card(name, images):
    counts = card_of(name).classes
    rescaled = rescaled_counts(counts, images)
    assert sum(rescaled.values()) == images
    assert min(rescaled.values()) >= 4
    for finding, count in counts.items():
        share = images * count / sum(counts.values())
        if min(rescaled.values()) > 4:
            assert abs(rescaled[finding] - share) < 1
        # The least of the rare classes is taken from the frequent ones.
        assert rescaled[finding] >= np.floor(share) - 4 * len(counts)


def test_rare_class_keeps_its_least_images():
    assert rescaled_counts({"a": 1000, "b": 10, "c": 500}, 64) == {"a": 40, "b": 4, "c": 20}


def table(strength: float, shifted: bool, shift: str, confounder: str) -> pd.DataFrame:
    """Class, role and confounder of many images, drawn without drawing images."""
    confounding = Confounding(
        confounder=confounder, strength=strength, shifted=shifted, shift=shift
    )
    options = MODALITIES["covid_radiograph"].confounders
    rows = []
    for number in range(4000):
        rng = np.random.default_rng([1, number])
        role = "query" if number % 3 == 0 else "database"
        values = draw_confounders(options, number % 4, 4, role, confounding, rng)
        rows.append({"class": number % 4, "role": role, **values})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("confounder", ["view", "penetration", "artifact"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_strength_is_the_association_with_the_class(confounder, strength):
    drawn = table(strength, True, "reversed", confounder)
    for _, part in drawn.groupby("role"):
        assert abs(cramers_v(part["class"], part[confounder]) - strength) < 0.1
    for other in set(MODALITIES["covid_radiograph"].confounders) - {confounder}:
        assert cramers_v(drawn["class"], drawn[other]) < 0.06
        assert cramers_v(drawn[confounder], drawn[other]) < 0.06


def test_images_without_the_preferred_value_get_an_even_one():
    drawn = table(0.5, False, "reversed", "artifact")
    values = MODALITIES["covid_radiograph"].confounders["artifact"]
    for number, part in drawn.groupby("class"):
        shares = part["artifact"].value_counts(normalize=True)
        for value in values:
            expected = 0.5 * (value == values[number]) + 0.5 / len(values)
            assert abs(shares[value] - expected) < 0.05


@pytest.mark.parametrize("confounder", ["view", "penetration", "artifact"])
def test_full_strength_determines_and_shift_moves_every_query(confounder):
    def value_of_class(part: pd.DataFrame) -> dict[int, str]:
        kinds = part.groupby("class")[confounder].unique()
        assert (kinds.map(len) == 1).all()
        return {number: values[0] for number, values in kinds.items()}

    shifted = table(1.0, True, "reversed", confounder)
    same = table(1.0, False, "reversed", confounder)
    by_role = {
        kind: {role: value_of_class(part) for role, part in drawn.groupby("role")}
        for kind, drawn in (("shifted", shifted), ("same", same))
    }
    assert by_role["same"]["query"] == by_role["same"]["database"]
    database, query = (by_role["shifted"][role] for role in ("database", "query"))
    assert database == by_role["same"]["database"]
    assert all(query[number] != database[number] for number in database)
    assert set(query.values()) == set(database.values())


def test_independent_shift_frees_only_the_queries():
    drawn = table(0.9, True, "independent", "penetration")
    association = {
        role: cramers_v(part["class"], part["penetration"]) for role, part in drawn.groupby("role")
    }
    assert association["query"] < 0.08
    assert association["database"] > 0.8


def test_strength_zero_is_no_confounding(tmp_path):
    card = card_of("thermal_ir")
    generate(card, tmp_path / "plain", 16, 66, 0)
    none = Confounding(confounder="palette", strength=0.0)
    generate(card, tmp_path / "zero", 16, 66, 0, none)
    for file in FILES - {"dataset.json"}:
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "zero" / file).read_bytes()


def test_confounded_phantom_follows_its_official_split(tmp_path):
    card = card_of("thermal_ir")
    confounding = Confounding(confounder="palette", strength=1.0)
    generate(card, tmp_path / "plain", 32, 220, 0)
    generate(card, tmp_path / "out", 32, 220, 0, confounding)
    index = PreparedDataset(tmp_path / "out").index
    labels = np.load(tmp_path / "out" / "labels.npy")
    split = make_split(index, labels, SplitRule(rule="official"), 0).manifest
    palette = pd.read_csv(tmp_path / "out" / "confounders.csv")["palette"]
    for role in ("query", "database"):
        rows = (split["role"] == role).to_numpy()
        kinds = palette[rows].groupby(index["classes"][rows]).nunique()
        assert len(kinds) == len(card.classes)
        assert (kinds == 1).all()
    assert 0.15 < (split["role"] == "query").mean() < 0.3
    roles_of_patient = split.groupby(index["patient_id"])["role"].agg(set)
    assert (roles_of_patient.map(len) == 1).all()
    # Only the images whose confounder changed are other images.
    plain = pd.read_csv(tmp_path / "plain" / "confounders.csv")["palette"]
    pixels = [np.load(tmp_path / name / "images.npy") for name in ("plain", "out")]
    same_pixels = (pixels[0] == pixels[1]).all(axis=(1, 2, 3))
    assert same_pixels.tolist() == (plain == palette).tolist()
    assert (np.load(tmp_path / "plain/masks.npy") == np.load(tmp_path / "out/masks.npy")).all()
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())["phantom"]
    assert Confounding(**described["confounding"]) == confounding


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("covid_ct", 0.08),
        ("brain_tumor_mri", 0.08),
        ("covid_radiograph", 0.2),
        ("thermal_ir", 0.2),
        ("origa_fundus", 0.08),
        ("skin_mnist", 0.08),
    ],
)
def test_classes_are_learnable_but_not_easy(name, least, tmp_path):
    """Balanced accuracy of a linear model on raw pixels: above chance, and well below 1."""
    generate(card_of(name), tmp_path / "out", 32, 240, 0)
    pixels = np.load(tmp_path / "out" / "images.npy").reshape(240, -1) / 255.0
    classes = np.load(tmp_path / "out" / "labels.npy").argmax(axis=1)
    fold = np.random.default_rng(0).permutation(240) % 3
    model = make_pipeline(
        StandardScaler(), PCA(40, random_state=0), LogisticRegression(C=0.01, tol=0.01)
    )
    hits = np.zeros(240, dtype=bool)
    for held_out in range(3):
        model.fit(pixels[fold != held_out], classes[fold != held_out])
        hits[fold == held_out] = (
            model.predict(pixels[fold == held_out]) == classes[fold == held_out]
        )
    balanced = np.mean([hits[classes == number].mean() for number in np.unique(classes)])
    assert balanced > 1 / len(np.unique(classes)) + least
    assert balanced < 0.95


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"stands_for": "folder"}, {}, "no phantom of 'folder'"),
        ({"classes": {"Fan": 20, "Pump": 20}}, {}, "cannot draw the class 'Pump'"),
        ({}, {"images": 43}, "43 images are too few"),
        ({}, {"image_size": 8}, "image_size 8"),
        ({}, {"seed": -1}, "seed -1"),
        (
            {},
            {"confounding": Confounding(confounder="window", strength=0.5)},
            "'window': phantom_thermal_ir has no such confounder; it has viewpoint",
        ),
    ],
)
def test_bad_requests_are_refused_and_leave_nothing(change, arguments, message, tmp_path):
    card = card_of("thermal_ir").model_copy(update=change)
    usual = {"image_size": 16, "images": 44, "seed": 0}
    with pytest.raises(MedhashError, match=message):
        generate(card, tmp_path / "out", **(usual | arguments))
    assert list(tmp_path.iterdir()) == []


def test_failure_half_way_leaves_the_old_folder(tmp_path, monkeypatch):
    card = card_of("thermal_ir")
    generate(card, tmp_path / "out", 16, 44, 0)
    before = (tmp_path / "out" / "images.npy").read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("medhash.data.phantoms.generation.write_json", broken)
    with pytest.raises(OSError, match="disk full"):
        generate(card, tmp_path / "out", 16, 44, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "images.npy").read_bytes() == before


def test_ellipse_covers_its_area_at_every_size():
    shape = Ellipse(0.1, -0.2, 0.5, 0.3, 0.7)
    for size in (32, 128):
        area = Canvas(size).ellipse(shape).mean() * 4
        assert area == pytest.approx(np.pi * 0.5 * 0.3, rel=0.02)


def test_line_is_the_union_of_its_pieces():
    canvas = Canvas(64)
    points = [(-0.6, -0.4), (0.1, 0.5), (0.7, 0.5)]
    reference = np.zeros((64, 64))
    for row in range(64):
        for column in range(64):
            p = np.array([(column + 0.5) / 32 - 1, (row + 0.5) / 32 - 1])
            distances = []
            for one, other in pairwise(points):
                a, b = np.array(one), np.array(other)
                t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                distances.append(np.linalg.norm(p - a - t * (b - a)))
            reference[row, column] = np.clip(0.5 + (0.1 - min(distances)) / 0.05, 0, 1)
    np.testing.assert_allclose(canvas.line(points, 0.2, 0.05), reference, atol=1e-12)


def test_texture_is_standardised_and_smooth():
    canvas = Canvas(96)
    planes = [canvas.texture(np.random.default_rng(number), 12) for number in range(50)]
    assert abs(np.mean(planes)) < 0.1
    assert np.std(planes) == pytest.approx(1.0, abs=0.1)
    assert np.abs(np.diff(planes, axis=2)).mean() < 0.25


def test_a_phantom_may_have_several_findings_class_masks_and_attributes(tmp_path, monkeypatch):
    """As the fundus and the chest phantoms will: a mask of three classes, a known ratio."""

    def draw(request: Request) -> Drawing:
        canvas = request.canvas
        image = np.full((canvas.size, canvas.size), 0.2 + 0.2 * len(request.further))
        image += request.rng.random(image.shape) / 100
        mask = np.zeros(image.shape, np.uint8)
        mask[:8], mask[:4] = 1, 2
        return Drawing(image, np.zeros(image.shape), mask, {"cdr": 0.5, "eye": "left"})

    def further(finding: str, rng: np.random.Generator) -> set[str]:
        return {"c"} if rng.random() < 0.5 else {finding}

    modality = Modality(("a", "b", "c"), {"window": ("wide", "narrow")}, draw, further)
    monkeypatch.setitem(MODALITIES, "covid_ct", modality)
    tree = CARDS["covid_ct"].model_dump() | {
        "classes": {"a": 40, "b": 30, "c": 60},
        "images": 100,
        "mask_classes": ("background", "disc", "cup"),
        "split": {"rule": "random", "query": 20, "group_by": "patient_id"},
    }
    generate(DatasetCard.model_validate(tree), tmp_path / "out", 16, 60, 0)
    dataset = PreparedDataset(tmp_path / "out")
    dataset.check()
    own = dataset.index["classes"].str.split("|")
    assert set(dataset.index["classes"]) == {"a", "b", "c", "a|c", "b|c"}
    assert [list(dataset.classes_of(row)) for row in range(60)] == own.tolist()
    counts = dict(zip(dataset.classes, dataset.labels.sum(axis=0).tolist(), strict=True))
    assert dataset.description["counts"] == counts
    assert sum(counts.values()) > 60
    # One finding more makes the image brighter.
    brightness = dataset.images.mean(axis=(1, 2, 3))
    assert brightness[own.str.len() == 2].min() > brightness[own.str.len() == 1].max()
    assert dataset.mask_classes == ("background", "disc", "cup")
    assert (dataset.masks[7] == np.repeat([2, 1, 0], [4, 4, 8])[:, None]).all()
    assert set(dataset.attributes) == {"cdr", "eye"}
    assert (dataset.numbers("cdr") == 0.5).all()
    split_csv = tmp_path / "0.csv"
    write_split(tmp_path / "out", DatasetCard.model_validate(tree).split, 0, split_csv)
    assert len(rows_of(split_csv, "query")) == 12  # 20 of 100, rescaled to 60
    summary = json.loads(split_csv.with_suffix(".json").read_text())
    assert sum(part["query"] for part in summary["sizes_by_class"].values()) > 12


# the phantom of several findings


@pytest.fixture(scope="module")
def multimorbid(tmp_path_factory):
    """As many images as the demo has, at a small size."""
    folder = tmp_path_factory.mktemp("nih") / "out"
    generate(card_of("nih_chestxray14"), folder, 16, 600, 0)
    return PreparedDataset(folder)


def test_sets_of_findings_are_of_the_sizes_and_kinds_of_the_paper_s(multimorbid):
    labels = multimorbid.labels.astype(float)
    sizes = np.bincount(multimorbid.labels.sum(axis=1)) / 600
    np.testing.assert_allclose(sizes, [0, 0.54, 0.31, 0.11, 0.03, 0.01], atol=0.04)
    by_class = dict(zip(multimorbid.classes, labels.sum(axis=0), strict=True))
    # The most frequent three times as often as the rarest.
    assert max(by_class, key=by_class.get) == "Infiltration"
    assert max(by_class.values()) > 2.5 * min(by_class.values())
    together = labels.T @ labels
    np.fill_diagonal(together, 0)
    expected = np.outer(together.sum(axis=0), together.sum(axis=0)) / together.sum()
    place = multimorbid.classes.index

    def lift(one: str, other: str) -> float:
        return together[place(one), place(other)] / expected[place(one), place(other)]

    assert lift("Emphysema", "Pneumothorax") > 2
    assert lift("Mass", "Nodule") > 1.3
    assert lift("Edema", "Pneumothorax") < 0.6


def test_patients_have_up_to_six_films_whose_findings_differ(multimorbid):
    films = multimorbid.index.groupby("patient_id")
    assert {*films.size()} == {1, 2, 3, 4, 5, 6}
    several = films["classes"].nunique()[films.size() > 1]
    assert (several > 1).mean() > 0.7


def test_its_split_has_every_degree_of_relevance_and_rare_sets(multimorbid):
    card = card_of("nih_chestxray14")
    split = make_split(multimorbid.index, multimorbid.labels, card.split, 0, card.images)
    query = split.manifest["role"].to_numpy() == "query"
    patients = multimorbid.groups["patient_id"]
    assert query.sum() == 120
    assert not {*patients[query]} & {*patients[~query]}
    queries, database = (multimorbid.labels[rows].astype(int) for rows in (query, ~query))
    shared = queries @ database.T
    assert {*shared.ravel()} >= {0, 1, 2, 3}
    assert (shared.max(axis=1) > 0).all()
    sets = Counter(map(bytes, multimorbid.labels[~query]))
    # A query whose set no database image has; a training image that alone has its set.
    assert any(bytes(own) not in sets for own in multimorbid.labels[query])
    assert min(sets.values()) == 1


def test_findings_have_masks_of_their_own_that_may_overlap(multimorbid):
    findings, masks = multimorbid.findings, multimorbid.masks
    assert (findings.dtype, findings.shape) == (np.uint16, masks.shape)
    assert ((findings > 0) == (masks == 1)).all()
    shown = np.stack([(findings >> bit & 1).any(axis=(1, 2)) for bit in range(13)], axis=1)
    # What an image does not have is never marked; what it has is, but at 16 pixels for specks.
    assert not (shown & (multimorbid.labels == 0)).any()
    assert shown.sum() > 0.95 * multimorbid.labels.sum()
    assert any((each & each - 1).any() for each in findings)


def test_findings_of_one_image_add_up():
    modality = MODALITIES["nih_chestxray14"]
    usual = {key: options[0] for key, options in modality.confounders.items()}

    def film(finding: str, *further: str) -> Drawing:
        patient, image = np.random.default_rng(7), np.random.default_rng(8)
        return modality.draw(Request(Canvas(48), finding, usual, patient, image, further))

    # Drawn in one order, whichever is called the first.
    both, reversed_ = film("Cardiomegaly", "Mass"), film("Mass", "Cardiomegaly")
    np.testing.assert_array_equal(both.image, reversed_.image)
    alone = film("Cardiomegaly")
    np.testing.assert_array_equal(both.findings["Cardiomegaly"], alone.findings["Cardiomegaly"])
    mass = both.findings["Mass"] > 0.5
    assert (both.image - alone.image)[mass].mean() > 0.1
    np.testing.assert_array_equal(
        both.lesion, np.maximum(both.findings["Cardiomegaly"], both.findings["Mass"])
    )


def test_the_ratio_of_a_fundus_is_that_of_its_mask_and_overlaps_between_classes(tmp_path):
    generate(card_of("origa_fundus"), tmp_path / "out", 160, 60, 0)
    dataset = PreparedDataset(tmp_path / "out")
    assert dataset.mask_classes == ("background", "disc", "cup")
    measured = []
    for mask in dataset.masks:
        # Areas, since the disc is tilted: the ratio of diameters is the root of theirs.
        measured.append(np.sqrt((mask == 2).sum() / (mask > 0).sum()))
    ratios = dataset.numbers("cdr")
    np.testing.assert_allclose(measured, ratios, atol=0.04)
    normal = ratios[dataset.labels[:, dataset.classes.index("Normal")] == 1]
    glaucoma = ratios[dataset.labels[:, dataset.classes.index("Glaucoma")] == 1]
    assert normal.mean() < glaucoma.mean()
    assert normal.max() > glaucoma.min()
    assert set(dataset.attributes["eye"]) == {"OD", "OS"}
    for row, mask in enumerate(dataset.masks):
        right = ndimage.center_of_mass(mask > 0)[1] > 80
        assert (dataset.attributes["eye"][row] == "OD") == right


def test_a_nodule_lies_in_the_lung_that_its_mask_shows(tmp_path):
    generate(card_of("jsrt"), tmp_path / "out", 128, 90, 0)
    dataset = PreparedDataset(tmp_path / "out")
    assert dataset.mask_classes == ("background", "lung")
    for row, mask in enumerate(dataset.masks):
        x, y = (int(dataset.numbers(name)[row] / 2048 * 128) for name in ("x", "y"))
        assert mask[y, x] == 1
        assert (dataset.attributes["side"][row] == "left") == (x > 64)
    kinds = set(zip(dataset.index["classes"], dataset.attributes["diagnosis"], strict=True))
    assert kinds == {
        ("malignant", "lung cancer"),
        ("malignant", "metastasis"),
        ("benign", "hamartoma"),
        ("benign", "granuloma"),
    }
    looks = lung_nodule._LOOKS
    assert looks["malignant"]["metastasis"] == looks["benign"]["hamartoma"]
    assert dataset.numbers("subtlety").min() == 1
    assert dataset.numbers("subtlety").max() == 5


def test_pictures_of_one_lesion_belong_together_and_differ(tmp_path):
    generate(card_of("skin_mnist"), tmp_path / "out", 32, 160, 0)
    dataset = PreparedDataset(tmp_path / "out")
    sizes = dataset.index.groupby("lesion_id").size()
    assert 4 <= sizes.max() <= 6
    assert set(dataset.index["patient_id"]) == {""}
    assert dataset.index["pixel_sha256"].is_unique
    split_csv = tmp_path / "0.csv"
    write_split(tmp_path / "out", card_of("skin_mnist").split, 0, split_csv)
    split = read_split(split_csv)
    sides = dataset.index["lesion_id"].groupby(split["role"]).agg(set)
    assert not sides["query"] & sides["database"]


def test_findings_are_learnable_but_not_easy(multimorbid):
    """Area under ROC of a linear model on raw pixels, finding by finding."""
    pixels = multimorbid.images[..., 0].reshape(600, -1) / 255.0
    # Patients stand one behind the other: whole ones are held out, but for those cut in two.
    held_out = np.arange(600) // 20 % 3 == 0
    model = make_pipeline(
        StandardScaler(), PCA(60, random_state=0), LogisticRegression(C=0.01, max_iter=300)
    )
    areas = []
    for own in multimorbid.labels.T:
        model.fit(pixels[~held_out], own[~held_out])
        areas.append(roc_auc_score(own[held_out], model.decision_function(pixels[held_out])))
    assert 0.65 < np.mean(areas) < 0.95
