"""A trained cell's code for one image is the one that its own split would get."""

import json
import shutil

import numpy as np
import pytest
from tiny_settings import make_settings, write_receipt

from medhash.errors import MedhashError
from medhash.query.encoding import encode_image
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs, Task

CELLS = (
    Cell("ach", "folder", "adsh", "ach", 12, 0),
    Cell("ach", "folder", "transhash", "none", 12, 0, origin="scratch"),
)


@pytest.fixture(scope="module", params=CELLS, ids=str)
def trained(request, files, tmp_path_factory):
    cell, folder = request.param, tmp_path_factory.mktemp("queried") / "cell"
    inputs = CellInputs(files.data_folder, files.split, None if cell.origin else files.pretrained)
    train_cell(cell, make_settings(), inputs, folder, device="cpu")
    write_receipt(folder)
    return cell, inputs, folder


def code_of(trained, pixels, settings=None, folder=None):
    cell, inputs, own = trained
    folder = folder or own
    receipt = folder / "receipt.json"
    task = Task(cell, settings or make_settings(), inputs, folder, "cpu")
    return encode_image(task, receipt, pixels)


def test_the_code_of_a_query_is_that_of_codes_npz(trained, files):
    images = np.load(files.data_folder / "images.npy", mmap_mode="r")
    codes = Codes.load(trained[2] / "codes.npz")
    found = [code_of(trained, images[row]) for row in codes.query_rows[:6]]
    assert np.array_equal(found, codes.query_codes[:6])
    assert len({code.tobytes() for code in found}) > 1


def test_codes_of_another_training_are_refused(trained, files, tmp_path):
    pixels = np.load(files.data_folder / "images.npy")[0]
    folder = tmp_path / "cell"
    shutil.copytree(trained[2], folder)
    write_receipt(folder)
    codes = Codes.load(folder / "codes.npz")
    (folder / "codes.npz").unlink()
    Codes(**vars(codes) | {"database_codes": codes.database_codes[::-1].copy()}).save(
        folder / "codes.npz"
    )
    with pytest.raises(MedhashError, match=r"codes.npz: is not the file that .*receipt.json"):
        code_of(trained, pixels, folder=folder)
    shutil.copy(trained[2] / "codes.npz", folder)
    assert np.array_equal(code_of(trained, pixels, folder=folder), code_of(trained, pixels))
    for content in ("{", "[]", json.dumps({"outputs": {}})):
        (folder / "receipt.json").write_text(content)
        with pytest.raises(MedhashError, match=r"receipt.json: not a whole receipt"):
            code_of(trained, pixels, folder=folder)


def test_an_image_or_settings_of_another_size_are_refused(trained):
    with pytest.raises(MedhashError, match="its images are 8 pixels wide, those of the settings"):
        code_of(trained, np.zeros((8, 8, 3), np.uint8))
    network = make_settings().network.model_dump() | {"width": 32}
    with pytest.raises(MedhashError, match="does not fit the settings; train"):
        code_of(trained, np.zeros((16, 16, 3), np.uint8), make_settings(network=network))
