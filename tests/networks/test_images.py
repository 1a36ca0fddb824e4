"""Images: the layout of CIFAR-10's files, the photographs, whitening, and what is refused."""

import io
import shutil
import sys
import tarfile

import numpy as np
import pooch
import pytest
from scipy import linalg

from hessrmt.networks import block_average, grayscale, images, load_images, zca_whiten

SOURCES = ["photos", "cifar10"]


def write_batch(path, count, seed):
    """Write a file in CIFAR-10's binary layout; return its records."""
    rng = np.random.default_rng(seed)
    records = [bytes([rng.integers(10)]) + rng.bytes(3072) for _ in range(count)]
    path.write_bytes(b"".join(records))
    return records


@pytest.fixture
def folder(tmp_path):
    """Two files, of 20 and 17 images."""
    folder = tmp_path / "images"
    folder.mkdir()
    write_batch(folder / "data_batch_1.bin", 20, seed=1)
    write_batch(folder / "data_batch_4.bin", 17, seed=4)
    return folder


def level(record, row, column):
    """Gray level of one pixel, straight from the description of the format."""
    red, green, blue = (record[1 + 1024 * plane + 32 * row + column] for plane in range(3))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_cifar10_is_read_pixel_by_pixel(tmp_path):
    records = write_batch(tmp_path / "data_batch_2.bin", 3, seed=0)
    records += write_batch(tmp_path / "data_batch_5.bin", 2, seed=1)
    (tmp_path / "test_batch.bin").write_bytes(b"not an image")  # not part of the training set
    full = np.array([[level(r, i, j) for i in range(32) for j in range(32)] for r in records])
    x = load_images("cifar10", 5, side=32, rng=0, data_dir=tmp_path, whiten=False)
    assert x.shape == (1024, 5)
    assert x.dtype == np.float64
    order = [int(np.argmin(np.abs(full - column).max(axis=1))) for column in x.T]
    assert sorted(order) == [0, 1, 2, 3, 4]  # each image once
    np.testing.assert_allclose(x, full[order].T, rtol=1e-14)

    small = load_images("cifar10", 5, rng=0, data_dir=tmp_path, whiten=False)
    for image, column in zip(full[order].reshape(5, 32, 32), small.T, strict=True):
        blocks = [
            image[i : i + 8, j : j + 8].mean() for i in range(0, 32, 8) for j in range(0, 32, 8)
        ]
        np.testing.assert_allclose(column, blocks, rtol=1e-13)


def test_colours_have_the_weights_of_bt601(tmp_path):
    planes = [bytes([255 * (colour == k)]) * 1024 for k in range(3) for colour in range(3)]
    records = [bytes([9]) + b"".join(planes[3 * k : 3 * k + 3]) for k in range(3)]
    for k, weight in enumerate((0.299, 0.587, 0.114)):
        (tmp_path / "data_batch_1.bin").write_bytes(records[k])
        x = load_images("cifar10", 1, data_dir=tmp_path, whiten=False)
        np.testing.assert_allclose(x, np.full((16, 1), weight))
    np.testing.assert_allclose(grayscale(np.ones((2, 3, 4, 5))), np.ones((2, 4, 5)))


def test_block_average_keeps_places_and_mean():
    image = np.arange(2 * 36.0).reshape(2, 6, 6)
    np.testing.assert_array_equal(block_average(image, 6), image)
    np.testing.assert_allclose(block_average(image, 1)[:, 0, 0], image.mean(axis=(1, 2)))
    assert block_average(image, 2)[1, 0, 1] == image[1, :3, 3:].mean()


def test_the_folder_may_be_inside(folder, tmp_path):
    outer = tmp_path / "outer"
    shutil.copytree(folder, outer / "cifar-10-batches-bin")
    inside = load_images("cifar10", 30, rng=0, data_dir=str(outer))
    np.testing.assert_array_equal(inside, load_images("cifar10", 30, rng=0, data_dir=folder))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("side", [1, 2, 4])
def test_whitened_images_have_identity_covariance(name, side, folder):
    x = load_images(name, 37, side=side, rng=1, data_dir=folder)
    assert x.shape == (side**2, 37)
    np.testing.assert_allclose(x @ x.T / 37, np.eye(side**2), atol=1e-10)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-10)


def test_whitening_is_the_symmetric_root():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 6)) @ rng.standard_normal((6, 50)) + 7
    centred = x - x.mean(axis=1, keepdims=True)
    root = linalg.sqrtm(linalg.inv(np.cov(x, bias=True)))
    np.testing.assert_allclose(zca_whiten(x), root @ centred, rtol=1e-9, atol=1e-9)


def test_whitening_survives_bad_conditioning():
    # Standard deviations 1 to 1e-7: through the eigenvalues of the covariance, 1e-2 would be lost.
    x = np.random.default_rng(0).standard_normal((8, 100)) * np.logspace(0, -7, 8)[:, None]
    white = zca_whiten(x)
    np.testing.assert_allclose(white @ white.T / 100, np.eye(8), atol=1e-10)


def test_photographs_are_real():
    x = load_images("photos", 2000, side=8, rng=0, whiten=False)
    assert 0 <= x.min() < 0.1 < 0.9 < x.max() <= 1
    assert 0.33 < x.mean() < 0.47
    assert len(np.unique(x, axis=1).T) == 2000
    pixels = x.reshape(8, 8, 2000)
    near = np.corrcoef(pixels[4, 3], pixels[4, 4])[0, 1]
    far = np.corrcoef(pixels[0, 0], pixels[7, 7])[0, 1]
    assert 1 > near > 0.9 > far > 0  # not noise


def test_photo_patches_are_cut_where_they_are_drawn():
    from sklearn.datasets import load_sample_images

    photos = [grayscale(np.moveaxis(p, -1, 0)) / 255 for p in load_sample_images().images]
    patch = load_images("photos", 1, side=32, rng=5, whiten=False).reshape(32, 32)
    corners = [
        (p, i, j)
        for p, photo in enumerate(photos)
        for i, j in np.argwhere(np.isclose(photo[:-31, :-31], patch[0, 0]))
        if np.allclose(photo[i : i + 32, j : j + 32], patch)
    ]
    assert len(corners) == 1


def test_gaussian_images_are_left_as_they_are():
    x = load_images("gaussian", 5000, side=3, rng=0)
    assert x.shape == (9, 5000)
    assert np.abs(x.mean(axis=1)).max() < 5 / np.sqrt(5000)
    distance = np.abs(x @ x.T / 5000 - np.eye(9)).max()
    assert 1e-3 < distance < 5 * np.sqrt(2 / 5000)
    white = load_images("gaussian", 5000, side=3, rng=0, whiten=True)
    np.testing.assert_array_equal(white, zca_whiten(x))
    assert load_images("gaussian", 3, side=5).shape == (25, 3)  # fewer images than pixels


@pytest.mark.parametrize("name", [*SOURCES, "gaussian"])
def test_images_depend_on_the_generator_alone(name, folder):
    def draw(rng):
        return load_images(name, 30, rng=rng, data_dir=folder)

    np.testing.assert_array_equal(draw(3), draw(np.random.default_rng(3)))
    assert not np.allclose(draw(3), draw(4))


@pytest.mark.parametrize(
    "name, arguments, error, match",
    [
        ("mnist", {}, ValueError, r"name must be one of photos \| cifar10 \| gaussian"),
        (None, {}, TypeError, "name must be"),
        ("photos", {"images": 0}, ValueError, r"images must be in \[1, inf\), got 0"),
        ("photos", {"images": 2.0}, TypeError, "images must be an integer"),
        ("photos", {"images": 16}, ValueError, "images must be more than 16, .* got 16"),
        ("photos", {"images": 482_329}, ValueError, "images must be at most 482328"),
        ("cifar10", {"images": 38}, ValueError, "images must be at most 37, .* got 38"),
        ("cifar10", {"data_dir": 3}, TypeError, "data_dir must be a path, got 3"),
        ("photos", {"side": 5}, ValueError, "side must divide 32, got 5"),
        ("photos", {"side": 64}, ValueError, "side must divide 32, got 64"),
        ("gaussian", {"side": 0}, ValueError, r"side must be in \[1, inf\), got 0"),
    ],
)
def test_bad_arguments_are_named(name, arguments, error, match, folder):
    with pytest.raises(error, match=match):
        load_images(name, **{"images": 20, "rng": 0, "data_dir": folder, **arguments})


@pytest.mark.parametrize(
    "content, match",
    [
        (b"", "must be records of 3073 bytes, got 0 bytes"),
        (bytes(3072), "must be records of 3073 bytes, got 3072 bytes"),
        (bytes(10 * 3073 + 1), "must be records of 3073 bytes, got 30731 bytes"),
        (bytes(3073) + b"\x0a" * 3073, "must have labels 0 to 9 every 3073 bytes, got 10"),
    ],
)
def test_damaged_files_are_named(content, match, folder):
    (folder / "data_batch_4.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"data_batch_4\.bin {match}$"):
        load_images("cifar10", 17, data_dir=folder)


def test_folders_without_the_files_are_named(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"the pickled version")
    (tmp_path / "data_batch_1.bin").mkdir()
    for missing in (tmp_path, tmp_path / "nowhere", tmp_path / "data_batch_1"):
        with pytest.raises(FileNotFoundError, match="data_dir must hold data_batch_1") as e:
            load_images("cifar10", 17, data_dir=missing)
        assert str(missing) in str(e.value)


def test_whitening_tells_rounding_from_variation_at_any_scale():
    x = np.random.default_rng(0).standard_normal((3, 14))
    np.testing.assert_allclose(zca_whiten(1e-30 * x), zca_whiten(x), atol=1e-10)
    x[1] = 1e8 / 3  # constant, yet not equal to its rounded mean
    assert x[1, 0] != x[1].mean()
    with pytest.raises(ValueError, match=r"x must have 3 linearly independent rows .* got 2"):
        zca_whiten(x)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: grayscale(np.ones((4, 4))), "rgb must have shape"),
        (lambda: grayscale(np.ones((4, 4, 3))), "rgb must have shape"),
        (lambda: block_average(np.ones((4, 5)), 2), "pixels must have shape"),
        (lambda: block_average(np.ones(4), 2), "pixels must have shape"),
        (lambda: block_average(np.ones((4, 4)), 3), "side must divide 4, got 3"),
        (lambda: zca_whiten(np.ones(4)), "x must have shape"),
        (lambda: zca_whiten(np.eye(4)), r"x must have shape .* got \(4, 4\)"),
        (lambda: zca_whiten([[1.0, np.nan, 2.0]]), "x must be in"),
        (lambda: zca_whiten(np.full((2, 9), 0.1)), "2 linearly independent rows .* got 0"),
        (lambda: zca_whiten([[0.1] * 4, [1, 2, 3, 5]]), "2 linearly independent rows .* got 1"),
        (lambda: zca_whiten([[1, 2, 4], [3, 5, 9]]), "2 linearly independent rows .* got 1"),
    ],
)
def test_helpers_name_what_they_refuse(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A small archive in place of the network: what pooch downloads is copied from it."""
    archive, calls = tmp_path / "archive.tar.gz", []
    with tarfile.open(archive, "w:gz") as tar:
        for i in range(1, 6):
            write_batch(tmp_path / f"data_batch_{i}.bin", 10, seed=i)
            tar.add(tmp_path / f"data_batch_{i}.bin", f"cifar-10-batches-bin/data_batch_{i}.bin")
        tar.addfile(tarfile.TarInfo("../outside.bin"), io.BytesIO())  # must never be unpacked

    def download(url, output_file, pooch):
        calls.append(url)
        shutil.copy(archive, output_file)

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda url, progressbar: download)
    monkeypatch.setattr(pooch.core, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(images, "CIFAR10_HASH", f"sha256:{pooch.file_hash(str(archive))}")
    return calls


def test_download_is_made_once_and_nothing_is_unpacked(server, tmp_path):
    first = load_images("cifar10", 50, rng=0)
    np.testing.assert_array_equal(first, load_images("cifar10", 50, rng=0))
    assert server == ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
    np.testing.assert_array_equal(first, load_images("cifar10", 50, rng=0, data_dir=tmp_path))
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert not list(tmp_path.rglob("outside.bin"))


def test_another_hash_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "CIFAR10_HASH", "sha256:" + 64 * "0")
    with pytest.raises(ValueError, match=r"cannot get https.*data_dir.*hash"):
        load_images("cifar10", 50)
    assert not list((tmp_path / "cache").iterdir())


def test_failed_download_points_to_data_dir(monkeypatch):
    def retrieve(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(FileNotFoundError, match=r"cannot get https.*data_dir.*no route to host"):
        load_images("cifar10", 50)


@pytest.mark.parametrize(
    "name, module, package",
    [
        ("photos", "sklearn.datasets", "scikit-learn"),
        ("photos", "PIL", "Pillow"),
        ("cifar10", "pooch", "pooch"),
    ],
)
def test_missing_packages_are_named(name, module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{package} is needed: pip install .*\[networks\]'"):
        load_images(name, 50)


def test_a_file_that_memory_might_not_hold_is_named(folder):
    with (folder / "data_batch_2.bin").open("wb") as file:
        file.truncate(2**32)  # no disk is used
    with pytest.raises(ValueError, match=r"data_batch_2\.bin must have at most 268435456 bytes"):
        load_images("cifar10", 17, data_dir=folder)
