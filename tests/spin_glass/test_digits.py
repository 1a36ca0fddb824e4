"""Digits: shapes, splits, the IDX format, and what is said of bad input."""

import gzip
import tracemalloc

import numpy as np
import pooch
import pytest
from sklearn import datasets

from hessrmt.spin_glass import load_digits


def write_idx(path, array, magic):
    head = np.array([magic, *array.shape], dtype=">u4").tobytes()
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def mnist(tmp_path):
    rng = np.random.default_rng(0)
    for part, count, ending in (("train", 60, ".gz"), ("t10k", 30, "")):
        images, labels = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
        images[:, 0, 0] = labels  # so that rows can be told apart from each other's labels
        images[:, :14] = labels[:, None, None] * 20
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", images, 2051)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{ending}", labels, 2049)
    return tmp_path


def test_digits_keep_their_labels_and_are_drawn_once():
    x, labels, x_test, labels_test = load_digits(train=1500, test=297, side=8, rng=3)
    data = datasets.load_digits()
    both = np.concatenate([x, x_test])
    order = np.lexsort(both.T)
    original = data.data / 16
    np.testing.assert_allclose(both[order], original[np.lexsort(original.T)], atol=1e-7)
    targets = np.concatenate([labels, labels_test])[order]
    np.testing.assert_array_equal(targets, data.target[np.lexsort(original.T)])


def test_enlarged_digits_keep_their_brightness():
    small, large = (load_digits(train=200, test=1, side=side, rng=1).x for side in (8, 10))
    assert large.shape == (200, 100)
    assert np.corrcoef(small.mean(axis=1), large.mean(axis=1))[0, 1] > 0.99
    assert large.min() >= 0 <= large.max() <= 1


def test_the_draw_follows_from_the_seed():
    first, second, other = (load_digits(train=5, test=5, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, second.x)
    assert not np.array_equal(first.x, other.x)


def test_mnist_from_a_folder(mnist):
    x, labels, x_test, labels_test = load_digits("mnist", 60, 30, data_dir=mnist, rng=0)
    assert x.shape == (60, 100)
    assert x_test.shape == (30, 100)
    for images, targets in ((x, labels), (x_test, labels_test)):
        np.testing.assert_allclose(images[:, 25], targets * 20 / 255, atol=1e-6)


def test_bad_input_is_named(mnist, tmp_path):
    with pytest.raises(ValueError, match=r"name must be one of digits \| mnist, got 'letters'"):
        load_digits("letters")
    with pytest.raises(ValueError, match=r"train \+ test must be in \[1, 1797\], got 1900"):
        load_digits(train=1000, test=900)
    with pytest.raises(ValueError, match=r"test must be in \[1, 30\], got 31"):
        load_digits("mnist", 60, 31, data_dir=mnist)
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(b"no such file")
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte must be an IDX file"):
        load_digits("mnist", 60, 30, data_dir=mnist)
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold train-images"):
        load_digits("mnist", data_dir=tmp_path / "nowhere")


@pytest.mark.parametrize(
    "raised, kind",
    [(ConnectionError("no route to host"), FileNotFoundError), (ValueError("hash"), ValueError)],
)
def test_a_failed_download_points_to_data_dir(raised, kind, monkeypatch):
    def retrieve(*args, **kwargs):
        raise raised

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(kind, match=rf"cannot get https.*ubyte\.gz, and no data_dir.*{raised}"):
        load_digits("mnist")


def test_a_download_is_read_like_a_folder(mnist, monkeypatch):
    for path in mnist.glob("t10k*"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(pooch, "retrieve", lambda url, hash, fname: str(mnist / fname))
    for mine, theirs in zip(
        load_digits("mnist", 60, 30, rng=0),
        load_digits("mnist", 60, 30, rng=0, data_dir=mnist),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_a_cut_file_is_named(mnist):
    cut = mnist / "train-labels-idx1-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz must be a whole gzip file"):
        load_digits("mnist", 60, 30, data_dir=mnist)


def damages():
    labels, images = "train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz"
    head = np.array([2051, 60, 28, 28], dtype=">u4").tobytes()
    huge = np.array([2051, 60_000, 280, 280], dtype=">u4").tobytes()
    pixels = bytes(60 * 28 * 28)
    yield labels, idx(np.full(60, 10), 2049), "must hold labels 0 to 9, got 10"
    yield labels, idx(np.full(60, 255), 2049), "must hold labels 0 to 9, got 255"
    yield labels, idx(np.zeros(61), 2049), "must hold 60 labels, .* got 61"
    yield labels, idx(np.zeros(59), 2049), "must hold 60 labels, .* got 59"
    yield labels, b"abc", "must be an IDX file that begins with 2049, got 3 bytes"
    yield labels, b"", "must be an IDX file that begins with 2049, got 0 bytes"
    yield images, idx(np.zeros((60, 0, 28)), 2051), r"images with pixels, got shape \(60, 0, 28\)"
    yield images, idx(np.zeros((60, 28, 0)), 2051), r"images with pixels, got shape \(60, 28, 0\)"
    yield images, idx(np.zeros((0, 28, 28)), 2051), r"images with pixels, got shape \(0, 28, 28\)"
    yield images, head + pixels[1:], "must hold the 47040 bytes that it announces, got 47039"
    yield images, head + pixels + b"\0", "must hold the 47040 bytes that it announces, got more"
    yield images, huge, "must announce at most 268435456 bytes, got 4704000000"
    yield images, idx(np.zeros(60), 2049), "must be an IDX file that begins with 2051, got another"


def idx(array, magic):
    head = np.array([magic, *array.shape], dtype=">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("name", "data", "message"), list(damages()))
def test_a_damaged_file_is_named(mnist, name, data, message, packed):
    path = mnist / name
    path.write_bytes(gzip.compress(data))
    if not packed:
        path.unlink()
        path = path.with_suffix("")
        path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^{path} .*{message}"):
        load_digits("mnist", 60, 30, data_dir=mnist)


def test_an_archive_that_unpacks_to_more_than_it_announces_is_not_unpacked(mnist):
    """A gigabyte of zeros in a megabyte, in one tenth of its memory."""
    with gzip.open(mnist / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(np.array([2051, 60, 28, 28], dtype=">u4").tobytes())
        for _ in range(1024):
            file.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="that it announces, got more"):
        load_digits("mnist", 60, 30, data_dir=mnist)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**30 / 10


def test_the_folder_must_be_a_path():
    with pytest.raises(TypeError, match="data_dir must be a path, got 3"):
        load_digits("mnist", data_dir=3)
