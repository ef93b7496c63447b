import cmath
import math

import numpy as np
import pytest

from medhash.data.gist import BLOCKS, LENGTH, ORIENTATIONS, SCALES, gabor_filters, gist, write_gist
from medhash.errors import MedhashError


def fourier(size):
    """The matrix of the discrete Fourier transform, from its definition."""
    return np.array(
        [[cmath.exp(-2j * math.pi * u * x / size) for x in range(size)] for u in range(size)]
    )


def mirrored(grey, margin):
    """The image with a margin in which its border pixels come again, the outermost first."""
    size = len(grey)

    def place(x):
        while not 0 <= x < size:
            x = -x - 1 if x < 0 else 2 * size - 1 - x
        return x

    places = [place(x) for x in range(-margin, size + margin)]
    return np.array([[grey[y, x] for x in places] for y in places])


def filtered(image, transfer):
    """The image after a filter; ``transfer`` of the cycles an image across and down."""
    size = len(image)
    forth = fourier(size)
    back = forth.conj() / size
    spectrum = forth @ image @ forth.T
    for v in range(size):
        for u in range(size):
            across, down = (f if f < size // 2 else f - size for f in (u, v))
            spectrum[v, u] *= transfer(across, down)
    return back @ spectrum @ back.T


def slow_gist(pixels):
    """One image, as osdh's working sheet says it, by loops."""
    size = len(pixels)
    grey = np.array([[sum(map(float, pixel)) / 3 for pixel in row] for row in pixels])
    grey = 255 * (grey - grey.min()) / (grey.max() - grey.min())
    logarithm = mirrored(np.vectorize(lambda value: math.log(1 + value))(grey), 5)

    def low(across, down):
        return math.exp(-(across**2 + down**2) / (4 / math.sqrt(math.log(2))) ** 2)

    detail = logarithm - filtered(logarithm, low).real
    deviation = np.sqrt(np.abs(filtered(detail**2, low)))
    even = (detail / (0.2 + deviation))[5 : 5 + size, 5 : 5 + size]
    padded = mirrored(even, 32)
    width = len(padded)
    numbers = []
    for scale in range(4):
        for orientation in range(4):

            def gabor(across, down, scale=scale, orientation=orientation):
                frequency = math.hypot(across, down) / width
                angle = math.atan2(down, across) + math.pi * orientation / 4
                if angle > math.pi:
                    angle -= 2 * math.pi
                ratio = frequency / (0.3 / 1.85**scale)
                spread = 16 * 4**2 / 32**2
                exponent = 10 * 0.35 * (ratio - 1) ** 2 + 2 * math.pi * spread * angle**2
                return math.exp(-exponent)

            answer = np.abs(filtered(padded, gabor))[32 : 32 + size, 32 : 32 + size]
            for row in range(8):
                for column in range(8):
                    edges = [size * place // 8 for place in (row, row + 1, column, column + 1)]
                    numbers.append(answer[edges[0] : edges[1], edges[2] : edges[3]].mean())
    return np.array(numbers)


def random_images(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [8, 16, 20])
def test_gist_is_its_definition(size):
    images = random_images(2, size)
    expected = np.stack([slow_gist(image) for image in images])
    assert gist(images) == pytest.approx(expected, abs=1e-6)


def test_gist_is_that_of_a_public_port_of_its_authors_code():
    """github.com/imoken1122/GIST-feature-extractor at 4489479, gist.py, run on this image.

    With four scales of four orientations, 8 x 8 blocks (which it lists column by column) and a
    border of 32. Given are each filter's mean, and some of the 1024 numbers.
    """
    grey = np.random.default_rng(7).integers(0, 256, (24, 24), dtype=np.uint8)
    found = gist(np.repeat(grey[None, :, :, None], 3, axis=3))[0].reshape(16, 8, 8)
    means = [
        *(0.163843, 0.175867, 0.178201, 0.180975, 0.081432, 0.076554, 0.076187, 0.078769),
        *(0.02436, 0.024678, 0.016833, 0.018961, 0.004031, 0.004584, 0.003115, 0.003271),
    ]
    assert found.mean(axis=(1, 2)) == pytest.approx(means, abs=1e-6)
    theirs = found.transpose(0, 2, 1).ravel()
    some = [0.198424, 0.168712, 0.193215, 0.125159, 0.127142, 0.029725, 0.002291, 0.001725]
    assert theirs[[0, 1, 8, 63, 64, 517, 1000, 1023]] == pytest.approx(some, abs=1e-6)


def test_an_image_is_described_alike_in_every_batch():
    images = random_images(9, 24)
    together = gist(images)
    assert together.shape == (9, LENGTH)
    assert together.dtype == np.float32
    assert np.array_equal(together, np.concatenate([gist(images[i : i + 1]) for i in range(9)]))
    assert np.array_equal(together[3:7], gist(images[3:7]))


def test_brightness_and_contrast_do_not_matter():
    images = random_images(3, 32) // 4
    assert gist(2 * images + 50) == pytest.approx(gist(images), abs=1e-6)


def test_an_even_image_has_no_layout():
    assert not gist(np.full((1, 16, 16, 3), 90, np.uint8)).any()


def means_by_filter(image):
    return gist(image[None])[0].reshape(SCALES, ORIENTATIONS, BLOCKS, BLOCKS)


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("scale", range(3))
def test_a_grating_is_answered_by_its_own_filter(scale, orientation):
    cycles_a_pixel = 0.3 / 1.85**scale
    angle = -math.pi * orientation / 4
    down, across = np.mgrid[:64, :64]
    wave = np.cos(2 * np.pi * cycles_a_pixel * (math.cos(angle) * across + math.sin(angle) * down))
    image = np.repeat((127 + 120 * wave).astype(np.uint8)[:, :, None], 3, axis=2)
    answers = means_by_filter(image).mean(axis=(2, 3))
    assert np.unravel_index(answers.argmax(), answers.shape) == (scale, orientation)


def test_a_blob_is_found_in_its_block():
    image = np.full((64, 64, 3), 100, np.uint8)
    image[42:46, 18:22] = 250
    finest = means_by_filter(image)[0].sum(axis=0)
    assert np.unravel_index(finest.argmax(), finest.shape) == (5, 2)


def test_filters_answer_to_nothing_of_no_frequency():
    filters = gabor_filters(96)
    assert filters.shape == (16, 96, 96)
    assert filters[:, 0, 0].max() < 0.04
    assert filters.max() <= 1


def test_file_is_that_of_the_images(tmp_path):
    images = random_images(11, 16)
    np.save(tmp_path / "images.npy", images)
    write_gist(tmp_path / "images.npy", tmp_path / "gist.npy")
    written = (tmp_path / "gist.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "gist.npy"), gist(images))
    write_gist(tmp_path / "images.npy", tmp_path / "gist.npy")
    assert (tmp_path / "gist.npy").read_bytes() == written


def test_too_small_images_are_named(tmp_path):
    np.save(tmp_path / "images.npy", random_images(1, 7))
    with pytest.raises(MedhashError, match="7 pixels wide; GIST's grid has 8 blocks"):
        write_gist(tmp_path / "images.npy", tmp_path / "gist.npy")
