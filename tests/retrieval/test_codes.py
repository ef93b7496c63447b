import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from retrieval_reference import random_arrays, random_codes

from medhash.errors import MedhashError
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.hamming import pack
from medhash.retrieval.reading import read_foreign

ARRAYS = (
    *("query_codes", "database_codes", "query_labels", "database_labels"),
    *("query_rows", "database_rows"),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "codes.npz"


class TestOwnFile:
    def test_loads_what_was_saved(self, path):
        codes = random_codes(0, 13, 5, 9, 4, True)
        codes.save(path)
        loaded = Codes.load(path)
        assert loaded.bits == 13
        for name in ARRAYS:
            assert getattr(loaded, name).dtype == getattr(codes, name).dtype
            assert np.array_equal(getattr(loaded, name), getattr(codes, name))

    def test_equal_codes_are_equal_bytes(self, tmp_path):
        first, second = tmp_path / "first.npz", tmp_path / "second.npz"
        random_codes(0, 13, 5, 9, 4, True).save(first)
        Codes.load(first).save(second)
        assert first.read_bytes() == second.read_bytes()
        assert {info.date_time[0] for info in zipfile.ZipFile(first).infolist()} == {1980}

    def test_numpy_reads_it(self, path):
        codes = random_codes(0, 13, 5, 9, 4, True)
        codes.save(path)
        with np.load(path, allow_pickle=False) as arrays:
            assert arrays["bits"].dtype == np.int64
            assert arrays["bits"] == 13
            unpacked = np.unpackbits(arrays["query_codes"], axis=1, count=13)
        assert np.array_equal(np.where(unpacked, 1, -1), random_arrays(0, 13, 5, 9, 4, True)[0])

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("bits", np.array(12), "has bits set beyond bit 12"),
            ("bits", np.array(17), r"query_codes is uint8 \(5, 2\); uint8 \(5, 3\) is needed"),
            ("bits", np.array(0), "bits must be one whole number"),
            ("query_codes", np.zeros((5, 3), np.uint8), r"query_codes is uint8 \(5, 3\)"),
            ("query_codes", np.zeros((5, 2), np.int8), "query_codes is int8"),
            ("query_codes", np.full((5, 2), 255, np.uint8), "query_codes has bits set beyond bit"),
            ("database_labels", np.full((9, 4), 2, np.uint8), "database_labels has values other"),
            ("database_labels", np.zeros((9, 3), np.uint8), "query_labels has 4 classes"),
            ("database_labels", np.zeros(9, np.uint8), "database_labels must be filled"),
            ("query_rows", np.arange(4), r"query_rows is int64 \(4,\)"),
            ("query_rows", np.arange(5.0), "query_rows is float64"),
        ],
    )
    def test_wrong_array_is_named(self, path, name, value, message):
        codes = random_codes(0, 13, 5, 9, 4, True)
        arrays = {key: getattr(codes, key) for key in ARRAYS} | {"bits": np.array(13)}
        np.savez(path, **(arrays | {name: value}))
        with pytest.raises(MedhashError, match=message) as error:
            Codes.load(path)
        assert str(path) in str(error.value)

    def test_missing_array_is_named(self, path):
        np.savez(path, bits=np.array(8))
        with pytest.raises(MedhashError, match=r"query_codes, .* is missing; the file has bits"):
            Codes.load(path)


SHAPES = (21, 11, 30, 5)  # bits, queries, items, classes


def single_label_forms():
    """The same codes and labels in every form that is accepted."""
    query, database, query_matrix, database_matrix = random_arrays(1, *SHAPES, False)
    query_ids, database_ids = query_matrix.argmax(axis=1), database_matrix.argmax(axis=1)
    names = np.array(["COVID", "Lung opacity", "Normal", "Viral", "ø"])
    floats = np.random.default_rng(2).uniform(0.01, 3.0, 21)
    codes = {
        "signs int8": (query.astype(np.int8), database.astype(np.int8)),
        "signs float32": (query.astype(np.float32), database.astype(np.float32)),
        "zero-one uint8": ((query > 0).astype(np.uint8), (database > 0).astype(np.uint8)),
        "zero-one int64": ((query > 0).astype(int), (database > 0).astype(int)),
        "zero-one float": ((query > 0).astype(float), (database > 0).astype(float)),
        "booleans": (query > 0, database > 0),
        "floats to be signed": (query * floats, database * floats),
        "float16": ((query * floats).astype(np.float16), (database * floats).astype(np.float16)),
        "sign() with zeros": (np.where(query > 0, 1, 0), np.where(database > 0, 1, -1)),
        "Fortran order": (np.asfortranarray(query), np.asfortranarray(database)),
        "big endian": (query.astype(">i4"), database.astype(">f8")),
        "packed": (pack(query), pack(database)),
        "packed query only": (pack(query), database),
    }
    labels = {
        "ids": (query_ids, database_ids),
        "ids from 10, negative": (10 - 7 * query_ids, 10 - 7 * database_ids),
        "ids uint64 and int8": (query_ids.astype(np.uint64), database_ids.astype(np.int8)),
        "ids as floats": (query_ids.astype(float), database_ids),
        "one column of ids": (query_ids[:, None], database_ids[:, None]),
        "text": (names[query_ids], names[database_ids]),
        "bytes": (np.char.encode(names, "utf-8")[query_ids], names[database_ids]),
        "matrix": (query_matrix, database_matrix),
        "matrix of booleans": (query_matrix > 0, database_matrix > 0),
        "matrix of floats": (query_matrix.astype(float), database_matrix.astype(np.float32)),
    }
    forms = [(name, pair, labels["ids"]) for name, pair in codes.items()]
    return forms + [(name, codes["booleans"], pair) for name, pair in labels.items()]


class TestForeign:
    @pytest.mark.parametrize(
        ("codes", "labels"),
        [(c, lab) for _, c, lab in single_label_forms()],
        ids=[name for name, _, _ in single_label_forms()],
    )
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_every_form_gives_the_same_numbers(self, path, codes, labels, save):
        bits = {"bits": 21} if codes[0].dtype == np.uint8 and codes[0].shape[1] == 3 else {}
        save(
            path,
            query_codes=codes[0],
            database_codes=codes[1],
            query_labels=labels[0],
            database_labels=labels[1],
            **bits,
        )
        foreign = read_foreign(path)
        assert foreign.bits == 21
        expected = evaluate(random_codes(1, *SHAPES, False))
        assert evaluate(foreign).metrics == expected.metrics
        assert np.array_equal(evaluate(foreign).per_query_ap, expected.per_query_ap)

    def test_multi_label_matrix(self, path):
        save_foreign(path, dict(zip(NAMES, random_arrays(4, *SHAPES, True), strict=True)))
        expected = evaluate(random_codes(4, *SHAPES, True)).metrics
        assert evaluate(read_foreign(path)).metrics == expected

    def test_own_file(self, path):
        codes = random_codes(4, *SHAPES, True)
        codes.save(path)
        assert evaluate(read_foreign(path)).metrics == evaluate(codes).metrics

    def test_bits_beside_unpacked_codes(self, path):
        save_foreign(path, valid() | {"bits": np.array(8)})
        assert read_foreign(path).bits == 8

    @pytest.mark.parametrize(("one", "expected"), [(1, 128), (128, 128), (0, 0)])
    def test_one_bit_packed_or_not(self, path, one, expected):
        codes = np.array([[0], [one]], dtype=np.uint8)
        save_foreign(
            path,
            valid()
            | {
                "query_codes": codes,
                "database_codes": codes,
                "database_labels": np.array([0, 1]),
                "bits": np.array([1]),
            },
        )
        assert read_foreign(path).query_codes.tolist() == [[0], [expected]]

    def test_all_ones_are_bits(self, path):
        save_foreign(path, valid() | {"query_codes": np.ones((2, 8), np.uint8)})
        assert read_foreign(path).query_codes.tolist() == [[255], [255]]

    def test_zero_is_minus_one(self, path):
        save_foreign(path, valid() | {"query_codes": np.array([[0.0] * 8, [-0.5] * 7 + [0.5]])})
        assert read_foreign(path).query_codes.tolist() == [[0], [1]]

    def test_one_side_may_be_positive_floats(self, path):
        save_foreign(path, valid() | {"query_codes": np.full((2, 8), 0.3)})
        assert read_foreign(path).query_codes.tolist() == [[255], [255]]
        signed = np.linspace(-1, 1, 24).reshape(3, 8)
        arrays = {"query_codes": np.full((2, 8), 0.3), "database_codes": signed}
        save_foreign(path, valid() | arrays)
        assert read_foreign(path).query_codes.tolist() == [[255], [255]]

    def test_large_ids_are_not_mixed_up(self, path):
        save_foreign(
            path,
            valid()
            | {
                "query_labels": np.array([2**53, 2**53 + 1]),
                "database_labels": np.array([2**53 + 1] * 3, dtype=np.uint64),
            },
        )
        assert evaluate(read_foreign(path)).metrics["queries_without_relevant"] == 1


NAMES = ("query_codes", "database_codes", "query_labels", "database_labels")


def valid() -> dict[str, np.ndarray]:
    """Two queries and three items of 8 bits."""
    rng = np.random.default_rng(0)
    return {
        "query_codes": rng.choice([-1, 1], (2, 8)),
        "database_codes": rng.choice([-1, 1], (3, 8)),
        "query_labels": np.array([0, 1]),
        "database_labels": np.array([0, 1, 1]),
    }


def save_foreign(path, arrays):
    np.savez(path, **arrays)


BAD = {
    "nan": ({"query_codes": np.full((2, 8), np.nan)}, "query_codes holds NaN"),
    "infinite": ({"database_codes": np.full((3, 8), np.inf)}, "database_codes holds NaN or inf"),
    "probabilities": (
        {"query_codes": np.full((2, 8), 0.3), "database_codes": np.full((3, 8), 0.7)},
        "none is negative.*0.5",
    ),
    "other numbers": (
        {"query_codes": np.full((2, 8), 3)},
        "query_codes holds whole numbers other",
    ),
    "packed without bits": (
        {"query_codes": np.full((2, 1), 77, np.uint8)},
        "query_codes holds whole numbers .* need the scalar bits",
    ),
    "packed width": (
        {"query_codes": np.full((2, 3), 77, np.uint8), "bits": 16},
        r"query_codes is 3 wide: with bits = 16 it must be uint8 of width 2 \(packed\)",
    ),
    "packed as int8": (
        {"query_codes": np.full((2, 2), 7, np.int8), "bits": 16},
        "query_codes is 2",
    ),
    "padding": (
        {"query_codes": np.full((2, 1), 255, np.uint8), "bits": 7},
        "query_codes has bits set beyond bit 7",
    ),
    "bits too few": ({"bits": 5}, "query_codes is 8 wide: with bits = 5"),
    "bits zero": ({"bits": 0}, "bits must be one whole number from 1 to 65535, not 0"),
    "bits fraction": ({"bits": 7.5}, "bits must be one whole number .* not 7.5"),
    "bits list": ({"bits": [8, 8]}, "bits must be one whole number"),
    "bits text": ({"bits": "8"}, "bits must be one whole number"),
    "different bits": (
        {"database_codes": np.ones((3, 16), int)},
        "query_codes has 8 bits, database_codes 16",
    ),
    "text codes": ({"query_codes": np.array([["a"] * 8] * 2)}, "query_codes is of type <U1"),
    "complex codes": ({"query_codes": np.ones((2, 8), complex)}, "query_codes is of type complex"),
    "flat codes": ({"query_codes": np.ones(8)}, r"query_codes must be a filled array.*\(8,\)"),
    "no queries": ({"query_codes": np.ones((0, 8))}, r"query_codes must be a filled array"),
    "no items": ({"database_codes": np.ones((0, 8))}, "database_codes must be a filled array"),
    "no bits": ({"query_codes": np.ones((2, 0))}, "query_codes must be a filled array"),
    "too many bits": (
        {"query_codes": np.ones((2, 65536), bool)},
        "query_codes has 65536 bits; at most 65535",
    ),
    "label count": (
        {"database_labels": np.array([0, 1])},
        "database_codes has 3 items, database_labels 2",
    ),
    "query label count": (
        {"query_labels": np.array([0])},
        "query_codes has 2 items, query_labels 1",
    ),
    "no labels": ({"query_labels": np.array([], int)}, "query_labels must be filled"),
    "nan labels": ({"query_labels": np.array([0, np.nan])}, "query_labels holds NaN"),
    "fractional labels": (
        {"query_labels": np.array([0, 0.5])},
        "query_labels holds NaN, inf.*fra",
    ),
    "complex labels": ({"query_labels": np.ones(2, complex)}, "query_labels is of type complex"),
    "cube of labels": ({"query_labels": np.ones((2, 2, 2))}, "query_labels must be filled"),
    "numbers and text": ({"query_labels": np.array(["0", "1"])}, "differ in kind: numbers and t"),
    "ids and matrix": ({"query_labels": np.eye(2)}, "query_labels .* differ in kind"),
    "classes differ": (
        {"query_labels": np.eye(2), "database_labels": np.eye(3)},
        "query_labels has 2 classes, database_labels 3",
    ),
    "signed label matrix": (
        {"query_labels": 2 * np.eye(2) - 1, "database_labels": np.ones((3, 2))},
        "query_labels is a matrix .* other than 0 and 1",
    ),
    "matrix of ids": (
        {"query_labels": np.eye(2), "database_labels": np.full((3, 2), 7)},
        "database_labels is a matrix .* class ids must be a flat array",
    ),
    "column of zeros and ones": (
        {"query_labels": np.array([[0], [1]]), "database_labels": np.array([[0], [1], [1]])},
        "one column of 0 and 1",
    ),
}


class TestBadForeignFile:
    @pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
    def test_array_is_named_with_its_file(self, path, change, message):
        save_foreign(path, valid() | change)
        with pytest.raises(MedhashError, match=message) as error:
            read_foreign(path)
        assert str(error.value).startswith(f"{path}: ")

    @pytest.mark.parametrize("name", NAMES)
    def test_missing_array(self, path, name):
        arrays = valid()
        del arrays[name]
        save_foreign(path, arrays)
        with pytest.raises(MedhashError, match=f"array {name} is missing; the file has "):
            read_foreign(path)

    def test_objects_are_never_unpickled(self, path, tmp_path):
        class Bomb:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "executed"),)

        save_foreign(path, valid() | {"query_labels": np.array([Bomb(), Bomb()], dtype=object)})
        with pytest.raises(MedhashError, match="query_labels cannot be read"):
            read_foreign(path)
        assert not (tmp_path / "executed").exists()

    def test_too_many_classes(self, path, monkeypatch):
        monkeypatch.setattr("medhash.retrieval.foreign._MOST_LABEL_CELLS", 10)
        save_foreign(path, valid())
        read_foreign(path)
        monkeypatch.setattr("medhash.retrieval.foreign._MOST_LABEL_CELLS", 9)
        with pytest.raises(MedhashError, match="name 2 classes: too many"):
            read_foreign(path)

    def test_no_file(self, path):
        with pytest.raises(MedhashError, match="there is no such file"):
            read_foreign(path)

    def test_a_folder(self, tmp_path):
        with pytest.raises(MedhashError, match="there is no such file"):
            read_foreign(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x93NUMPY\x01\x00"])
    def test_not_a_zip(self, path, content):
        path.write_bytes(content)
        with pytest.raises(MedhashError, match=r"the \.npz file cannot be read"):
            read_foreign(path)

    def test_cut_short(self, path):
        save_foreign(path, valid())
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(MedhashError, match=r"the \.npz file cannot be read"):
            read_foreign(path)

    def test_damaged_list_of_contents(self, path):
        save_foreign(path, valid())
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\x01\x02")] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(MedhashError, match=r"the \.npz file cannot be read"):
            read_foreign(path)

    def test_damaged_inside(self, path):
        random_codes(0, 8, 50, 50, 3, False).save(path)
        content = bytearray(path.read_bytes())
        place = content.index(b"query_labels.npy") + 200
        content[place] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(MedhashError, match=r"query_labels cannot be read \(Bad CRC-32"):
            read_foreign(path)

    def test_zip_of_something_else(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "codes")
        with pytest.raises(MedhashError, match=r"is missing; the file has readme\.txt"):
            read_foreign(path)

    def test_member_that_is_no_array(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                archive.writestr(f"{name}.npy", "0,1,1")
        with pytest.raises(MedhashError, match="query_codes cannot be read"):
            read_foreign(path)

    def test_header_that_promises_petabytes(self, path):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
        )
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                archive.writestr(f"{name}.npy", header.getvalue())
        with pytest.raises(MedhashError, match="query_codes cannot be read"):
            read_foreign(path)


@pytest.mark.parametrize(
    "module", ["medhash.retrieval.evaluation", "medhash.analysis.numbers.statistics"]
)
def test_torch_is_not_imported(module):
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
