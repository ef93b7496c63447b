"""MarkedLesions from boxes and masks: where they are, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from medhash.data.lesions import MarkedLesions, lesions_of_masks, marked_lesions, read_boxes
from medhash.errors import MedhashError
from medhash.files import write_json
from told import description

HEADER = "image_id,top,left,height,width"


@pytest.fixture
def data(tmp_path):
    """Four images of 200 x 100 pixels (width x height); the first two are queries."""
    folder = tmp_path / "data"
    folder.mkdir()
    index = pd.DataFrame({"image_id": list("abcd"), "width": 200, "height": 100})
    index.to_csv(folder / "index.csv", index=False)
    roles = pd.DataFrame({"row": range(4), "image_id": list("abcd")})
    roles = roles.assign(role=["query", "query", "database", "none"], train=[0, 0, 1, 0])
    roles.to_csv(folder / "split.csv", index=False)
    return folder


@pytest.fixture
def read(data):
    def read(*lines, header=HEADER):
        path = data / "boxes.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return read_boxes(path, data, data / "split.csv")

    return read


def test_pixels_of_the_original_become_fractions_of_its_sides(read):
    lesions = read("b,25,50,50,20", "a,0,0,100,200", "b,10.5,0,1,1")
    assert lesions.source == "boxes"
    assert lesions.rows.tolist() == [1, 0, 1]
    expected = [[0.25, 0.25, 0.5, 0.1], [0, 0, 1, 1], [0.105, 0, 0.01, 0.005]]
    np.testing.assert_allclose(lesions.areas, expected)


def test_columns_may_stand_in_any_order_beside_others(read):
    header = "reader,width,height,left,top,image_id"
    assert read("me,20,50,50,25,b", header=header).areas.tolist() == [[0.25, 0.25, 0.5, 0.1]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,0,0,5,5", "x,0,0,5,5"], "line 3: there is no image 'x'; image_id is that of .*index"),
        (["c,0,0,5,5"], "line 2: the image 'c' is no query but 'database' in .*split.csv; mark"),
        (["d,0,0,5,5"], "the image 'd' is no query but 'none'"),
        (["a,60,0,41,5"], "line 2: the box reaches from row 60 to 101 .* the image has 100 rows"),
        (["a,0,190,5,11"], "from column 190 to 201, but the image has 100 rows and 200 columns"),
        (["a,-1,0,5,5"], "the box reaches from row -1 to 4"),
        (["a,0,0,0,5"], "line 2: height 0 and width 5 must be above 0"),
        (["a,0,0,5,-2"], "height 5 and width -2 must be above 0"),
        (["a,top,0,5,5"], "line 2: top is 'top'; a number of pixels is needed"),
        (["a,0,,5,5"], "left is ''; a number"),
        (["a,0,0,nan,5"], "height is 'nan'; a number"),
        (["a,0,0,5,5", "b,0,0,5,5", "a,0,0,5,5"], "line 4: the box stands in line 2 already"),
        ([], "holds no box; add some, or remove the file"),
    ],
)
def test_a_bad_line_is_one_clear_error(read, lines, message):
    with pytest.raises(MedhashError, match=rf"boxes\.csv: .*{message}"):
        read(*lines)


def test_a_missing_column_is_named(read):
    with pytest.raises(MedhashError, match=r"the column left is missing.; .* image_id, top, left"):
        read("a,0,5,5", header="image_id,top,height,width")


def test_what_is_no_text_is_refused(data):
    path = data / "boxes.csv"
    path.write_bytes(b"\xff\xfe\x00image_id")
    with pytest.raises(MedhashError, match=r"boxes\.csv: the file cannot be read"):
        read_boxes(path, data, data / "split.csv")


def test_the_box_around_the_largest_region_of_a_mask():
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[1, 0, 0:2] = 1  # 2 pixels, apart from
    masks[1, 3, 4] = masks[1, 4, 5] = masks[1, 5, 6] = 1  # 3 that touch at corners
    masks[3, 7, 7] = 1
    lesions = lesions_of_masks(masks, np.array([0, 1, 3]))
    assert lesions.source == "masks"
    assert lesions.rows.tolist() == [1, 3]
    assert (lesions.areas * 8).tolist() == [[3, 4, 3, 3], [7, 7, 1, 1]]
    assert lesions_of_masks(masks, np.array([0])).areas.shape == (0, 4)


def test_a_lesions_patches_are_those_it_touches():
    random = np.random.default_rng(0)
    for grid in (4, 7, 16):
        start = random.random((200, 2)) * 0.95
        size = (1 - start) * random.uniform(0.01, 1, (200, 2))
        lesions = MarkedLesions("boxes", np.arange(200), np.concatenate([start, size], axis=1))
        for area, box in zip(lesions.areas, lesions.patches(grid), strict=True):
            touched = [
                [
                    area[axis] < (place + 1) / grid and area[axis] + area[axis + 2] > place / grid
                    for place in range(grid)
                ]
                for axis in (0, 1)
            ]
            assert box[:2].tolist() == [axis.index(True) for axis in touched]
            assert box[2:].tolist() == [sum(axis) for axis in touched]


def test_a_border_between_patches_belongs_to_no_further_patch():
    # thirds of 3 patches: 1/3 + 1/3 is not 2/3 in floating point for every order of sums
    for third in range(3):
        area = np.array([[third / 3, 0.1 * 3, 1 / 3, 0.1]])
        box = MarkedLesions("boxes", np.array([0]), area).patches(3)[0]
        assert box.tolist() == [third, 0, 1, 2]
    whole = MarkedLesions("boxes", np.array([0]), np.array([[0.1, 0.2, 0.3, 0.4]])).patches(10)[0]
    assert whole.tolist() == [1, 2, 3, 4]


def test_boxes_win_over_masks_and_without_either_there_is_nothing(data):
    boxes, split = data / "boxes.csv", data / "split.csv"
    assert marked_lesions(boxes, data, split) is None
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[:, 2:4, 2:4] = 1
    np.save(data / "masks.npy", masks)
    write_json(data / "dataset.json", description())
    found = marked_lesions(boxes, data, split)
    assert found.source == "masks"
    assert found.rows.tolist() == [0, 1]  # queries alone
    boxes.write_text(f"{HEADER}\na,0,0,5,5\n")
    assert marked_lesions(boxes, data, split).source == "boxes"
    assert found.take(np.array([1])).rows.tolist() == [1]


def test_masks_of_organs_are_no_lesions_and_lesions_beside_organs_are(data):
    masks = np.zeros((4, 8, 8), dtype=np.uint8)
    masks[:, :, 4:] = 1
    masks[:, 1:3, 5:6] = 2
    np.save(data / "masks.npy", masks)
    asked = data / "boxes.csv", data, data / "split.csv"
    write_json(data / "dataset.json", description(mask_classes=["background", "lung"]))
    assert marked_lesions(*asked) is None
    facts = description(mask_classes=["background", "lung", "lesion"])
    write_json(data / "dataset.json", facts)
    assert marked_lesions(*asked).areas.tolist() == [[0.125, 0.625, 0.25, 0.125]] * 2
