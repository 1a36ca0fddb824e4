"""Handwritten digits with their labels, at the 10 by 10 pixels of Choromanska et al. (2015).

``digits`` are the 1,797 images of 8 by 8 pixels that scikit-learn ships, enlarged; ``mnist`` is the
data set of the paper, which is read from a folder or downloaded once.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessrmt.optional import require
from hessrmt.validation import choice, generator, integer

__all__ = ["Digits", "load_digits"]

Real = NDArray[np.float64]

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_FILES = {  # in the order images, labels of the training and of the test set
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049  # how files of the IDX format begin
LARGEST = 2**28  # bytes that a file may announce; the largest of MNIST's has 47 million


class Digits(NamedTuple):
    """Images, one row each with pixels in [0, 1], and labels 0 to 9: for training and for tests."""

    x: Real  # (train, side**2)
    labels: NDArray[np.int64]  # (train,)
    x_test: Real
    labels_test: NDArray[np.int64]


def load_digits(
    name: str = "digits",
    train: int = 1000,
    test: int = 797,
    *,
    side: int = 10,
    rng: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Digits:
    """Draw images for training and for tests, and bring them to `side` by `side` pixels.

    Parameters
    ----------
    name : {"digits", "mnist"}
        scikit-learn's digits, or MNIST.
    train, test : int
        How many images of each; of MNIST's own training and test set, or of the 1,797 digits.
    side : int
        Pixels on a side after bilinear interpolation.
    rng : int, numpy.random.Generator or None
        Seed or generator of the draw; no image is drawn twice.
    data_dir : path, optional
        For ``mnist``: a folder with the four files of the IDX format, compressed or not. By
        default pooch downloads them once (11 MB).

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, more images than there are, or files of another kind
        or size.
    FileNotFoundError
        If a file is missing in `data_dir`, or cannot be downloaded.
    ImportError
        If scikit-learn, pillow or pooch is missing.

    Examples
    --------
    >>> x, labels, x_test, labels_test = load_digits(train=20, test=10, rng=0)
    >>> x.shape, bool(x.min() >= 0), bool(x.max() <= 1), labels_test.shape
    ((20, 100), True, True, (10,))
    """
    name = choice("name", name, "digits | mnist")
    train = integer("train", train, "[1, inf)")
    test = integer("test", test, "[1, inf)")
    side = integer("side", side, "[1, inf)")
    rng = generator("rng", rng)
    if name == "digits":
        data = require("sklearn.datasets", "scikit-learn").load_digits()
        pool, white = [(data.images, data.target)] * 2, 16.0
        order = _draw("train + test", train + test, len(data.target), rng)
        chosen = [order[:train], order[train:]]
    else:
        pool, white = _mnist(data_dir), 255.0
        chosen = [
            _draw(part, count, len(labels), rng)
            for part, count, (_, labels) in zip(("train", "test"), (train, test), pool, strict=True)
        ]
    (x, labels), (x_test, labels_test) = (
        (_resize(images[rows] / white, side), targets[rows].astype(np.int64))
        for (images, targets), rows in zip(pool, chosen, strict=True)
    )
    return Digits(x, labels, x_test, labels_test)


def _draw(name: str, count: int, there: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if count > there:
        raise ValueError(f"{name} must be in [1, {there}], got {count}")
    return rng.permutation(there)[:count]


def _resize(images: NDArray[Any], side: int) -> Real:
    """Bilinear interpolation, with a wider kernel where the image shrinks, as pillow does it."""
    image = require("PIL.Image", "pillow")
    scaled = [
        np.asarray(
            image.fromarray(one.astype(np.float32)).resize((side, side), image.Resampling.BILINEAR)
        )
        for one in images
    ]
    return np.clip(np.stack(scaled).reshape(len(images), -1).astype(np.float64), 0.0, 1.0)


def _mnist(data_dir: str | os.PathLike[str] | None) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Images and labels, as bytes, of the training and of the test set."""
    paths = [_find(name, data_dir) for name in MNIST_FILES]
    sets = []
    for images, labels in (paths[:2], paths[2:]):
        pixels, targets = _parse(images, IMAGES_MAGIC), _parse(labels, LABELS_MAGIC)
        if not pixels.size:
            raise ValueError(f"{images} must hold images with pixels, got shape {pixels.shape}")
        if len(targets) != len(pixels):
            raise ValueError(
                f"{labels} must hold {len(pixels)} labels, one for each image of {images.name}, "
                f"got {len(targets)}"
            )
        if (largest := int(targets.max())) > 9:
            raise ValueError(f"{labels} must hold labels 0 to 9, got {largest}")
        sets.append((pixels, targets))
    return sets


def _find(name: str, data_dir: str | os.PathLike[str] | None) -> Path:
    if data_dir is None:
        pooch = require("pooch", "pooch")
        try:
            return Path(pooch.retrieve(MNIST_URL + name, MNIST_FILES[name], fname=name))
        except (OSError, ValueError) as error:  # all of requests' are the first; another hash
            kind = FileNotFoundError if isinstance(error, OSError) else ValueError
            url = MNIST_URL + name
            raise kind(f"cannot get {url}, and no data_dir was given: {error}") from None
    if not isinstance(data_dir, str | os.PathLike):
        raise TypeError(f"data_dir must be a path, got {data_dir!r}")
    folder = Path(data_dir)
    for path in (folder / name, folder / name.removesuffix(".gz")):
        if path.is_file():
            return path
    raise FileNotFoundError(f"data_dir must hold {name} or {path.name}, got {folder}")


def _parse(path: Path, magic: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: a number that says what it is, the lengths, the values.

    No more is read, and unpacked, than the lengths announce.
    """
    axes = magic - 2048
    wanted = f"{path} must be an IDX file that begins with {magic}"
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            head = file.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes:
                raise ValueError(f"{wanted}, got {len(head)} bytes")
            first, *shape = (int(number) for number in np.frombuffer(head, dtype=">u4"))
            if first != magic:
                raise ValueError(f"{wanted}, got another file")
            if (size := math.prod(shape)) > LARGEST:
                raise ValueError(f"{path} must announce at most {LARGEST} bytes, got {size}")
            data = file.read(size + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} must be a whole gzip file: {error}") from None
    if len(data) != size:
        much = "more" if len(data) > size else str(len(data))
        raise ValueError(f"{path} must hold the {size} bytes that it announces, got {much}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
