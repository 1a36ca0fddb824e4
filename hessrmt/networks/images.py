"""Images as the networks take them: one column per image, one row per pixel.

Figure 2 of the paper is made with 150 images of CIFAR-10, grayscale, 4 by 4 pixels and whitened.
https://www.cs.toronto.edu/~kriz/cifar.html describes the files, here those of the binary version.
"""

from __future__ import annotations

import math
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessrmt.optional import require
from hessrmt.validation import choice, generator, integer, real_array

__all__ = ["block_average", "grayscale", "load_images", "zca_whiten"]

Real = NDArray[np.float64]

CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_HASH = "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
PATCH = 32  # pixels on a side, of CIFAR-10's images and of the photo patches
LARGEST = 2**28  # bytes of a file; CIFAR-10's have 31 million
RECORD = 1 + 3 * PATCH**2  # bytes: the label, then the red, green and blue planes


def load_images(
    name: str,
    images: int,
    *,
    side: int = 4,
    rng: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
    whiten: bool | None = None,
) -> Real:
    r"""Draw grayscale images of `side` by `side` pixels, as the columns of a matrix.

    Colour images of 32 by 32 pixels become gray levels in [0, 1] (`grayscale`), are averaged over
    square blocks (`block_average`), centred and whitened (`zca_whiten`): over the m images drawn,
    :math:`\sum_i x_i = 0` and :math:`\frac1m \sum_i x_i x_i^T = 1`. None is drawn twice.

    Parameters
    ----------
    name : {"photos", "cifar10", "gaussian"}
        ``photos``: patches from random places of `sklearn.datasets.load_sample_images`; they may
        overlap. ``cifar10``: its training images. ``gaussian``: independent N(0, 1) entries.
    images : int
        Number m of images, >= 1, and more than the side**2 pixels if they are whitened.
    side : int
        Pixels on a side; a divisor of 32 (any positive number for ``gaussian``).
    rng : int, numpy.random.Generator or None
        Seed or generator of the draw, which depends on nothing else.
    data_dir : path, optional
        For ``cifar10``: a folder with data_batch_1.bin to data_batch_5.bin, or some of them, or
        with their folder cifar-10-batches-bin. By default pooch downloads them once (170 MB).
    whiten : bool, optional
        By default, all but ``gaussian``: there the covariance is the identity in expectation and
        a Wishart matrix, whose fluctuations whitening would remove. False: not centred either.

    Returns
    -------
    (side**2, images) ndarray of float64, pixels row by row

    Raises
    ------
    TypeError, ValueError
        For arguments outside their domains, more images than there are, and damaged files.
    FileNotFoundError, ImportError
        If `data_dir` has none of the files, the download fails, or the extra is not installed.

    Examples
    --------
    >>> x = load_images("photos", 150, rng=0)
    >>> x.shape, bool(np.allclose(x @ x.T / 150, np.eye(16)))
    ((16, 150), True)
    """
    name = choice("name", name, "photos | cifar10 | gaussian")
    images = integer("images", images, "[1, inf)")
    side = integer("side", side, "[1, inf)")
    if name != "gaussian" and PATCH % side:
        raise ValueError(f"side must divide {PATCH}, got {side}")
    whiten = name != "gaussian" if whiten is None else whiten
    if whiten and images <= side**2:
        raise ValueError(f"images must be more than {side**2}, the pixels to whiten, got {images}")
    rng = generator("rng", rng)
    if name == "gaussian":
        x: Real = rng.standard_normal((side**2, images))
    else:
        pool = _photo_patches() if name == "photos" else _cifar10(data_dir)
        places = pool.shape[:-3]
        if images > (available := math.prod(places)):
            raise ValueError(f"images must be at most {available}, all there are, got {images}")
        drawn = np.unravel_index(rng.choice(available, size=images, replace=False), places)
        x = block_average(grayscale(pool[drawn]) / 255, side).reshape(images, -1).T
    return zca_whiten(x) if whiten else x


def grayscale(rgb: ArrayLike) -> Real:
    """Gray levels of colour images: the luma 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601.

    Parameters
    ----------
    rgb : (..., 3, height, width) array_like
        Red, green and blue planes.

    Returns
    -------
    (..., height, width) ndarray of float64, in the unit of `rgb`

    Raises
    ------
    TypeError, ValueError
        If `rgb` is not made of real numbers or has another shape.

    Examples
    --------
    >>> grayscale([[[255.0]], [[0.0]], [[0.0]]]).round(3)
    array([[76.245]])
    """
    rgb = real_array("rgb", rgb)
    if rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rgb must have shape (..., 3, height, width), got {rgb.shape}")
    return np.asarray(np.einsum("c,...chw->...hw", (0.299, 0.587, 0.114), rgb))


def block_average(pixels: ArrayLike, side: int) -> Real:
    """Shrink square images to `side` by `side` pixels, each the mean over a square block.

    Parameters
    ----------
    pixels : (..., p, p) array_like
        Images.
    side : int
        A divisor of p.

    Returns
    -------
    (..., side, side) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If `pixels` are not square images of real numbers, or `side` does not divide p.

    Examples
    --------
    >>> block_average([[1, 3, 0, 0], [1, 3, 0, 0], [4, 4, 6, 6], [4, 4, 6, 6]], 2)
    array([[2., 0.],
           [4., 6.]])
    """
    pixels, side = real_array("pixels", pixels), integer("side", side, "[1, inf)")
    if pixels.ndim < 2 or pixels.shape[-1] != pixels.shape[-2] or pixels.shape[-1] == 0:
        raise ValueError(f"pixels must have shape (..., p, p), got {pixels.shape}")
    *stack, _, p = pixels.shape
    if p % side:
        raise ValueError(f"side must divide {p}, got {side}")
    return np.asarray(pixels.reshape(*stack, side, p // side, side, p // side).mean(axis=(-3, -1)))


def zca_whiten(x: ArrayLike) -> Real:
    r"""Centre each pixel over the images and whiten, changing the images as little as possible.

    Centred images :math:`X = U S V^T` of covariance :math:`C = X X^T/m` (1/m, not 1/(m-1)) become
    :math:`C^{-1/2} X = \sqrt m\, U V^T`, with the symmetric root (zero-phase component analysis).

    Parameters
    ----------
    x : (pixels, images) array_like
        One column per image, more images than pixels.

    Returns
    -------
    (pixels, images) ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If the covariance is singular (too few images, constant or dependent pixels).

    Examples
    --------
    >>> zca_whiten([[1.0, 2.0, 3.0, 6.0], [0.0, 2.0, -2.0, 0.0]]).var(axis=1).round(12)
    array([1., 1.])
    """
    x = real_array("x", x)
    if x.ndim != 2 or not 0 < x.shape[0] < x.shape[1]:
        raise ValueError(f"x must have shape (pixels, images), images > pixels, got {x.shape}")
    pixels, images = x.shape
    U, S, Vt = np.linalg.svd(x - x.mean(axis=1, keepdims=True), full_matrices=False)
    # Centring leaves rounding errors in proportion to x itself, not to its deviations.
    rounding = np.finfo(np.float64).eps * images * np.sqrt(x.size) * np.abs(x).max()
    if (rank := int(np.sum(rounding < S))) < pixels:
        raise ValueError(f"x must have {pixels} linearly independent rows once centred, got {rank}")
    return np.asarray(np.sqrt(images) * (U @ Vt))


def _photo_patches() -> NDArray[np.uint8]:
    """A view (photo, row, column, 3, 32, 32) of the patches at all places of all photographs."""
    require("PIL", "Pillow")  # scikit-learn reads its photographs with it
    photos = np.stack(require("sklearn.datasets", "scikit-learn").load_sample_images().images)
    return np.lib.stride_tricks.sliding_window_view(photos, (PATCH, PATCH), axis=(1, 2))


def _cifar10(data_dir: Any) -> NDArray[np.uint8]:
    """All training images (image, 3, 32, 32) of the files there are."""
    files = _download() if data_dir is None else _read_folder(data_dir)
    for source, data in files.items():
        if not data or len(data) % RECORD:
            raise ValueError(f"{source} must be records of {RECORD} bytes, got {len(data)} bytes")
        if (label := max(data[::RECORD])) > 9:
            raise ValueError(f"{source} must have labels 0 to 9 every {RECORD} bytes, got {label}")
    records = np.frombuffer(b"".join(files.values()), dtype=np.uint8).reshape(-1, RECORD)
    return records[:, 1:].reshape(-1, 3, PATCH, PATCH)


def _read_folder(data_dir: Any) -> dict[str, bytes]:
    if not isinstance(data_dir, str | os.PathLike):
        raise TypeError(f"data_dir must be a path, got {data_dir!r}")
    for folder in (Path(data_dir), Path(data_dir) / CIFAR10_FOLDER):
        paths = [folder / file for file in CIFAR10_FILES if (folder / file).is_file()]
        for path in paths:  # all are held in memory
            if (size := path.stat().st_size) > LARGEST:
                raise ValueError(f"{path} must have at most {LARGEST} bytes, got {size}")
        if paths:
            return {str(path): path.read_bytes() for path in paths}
    wanted = f"{CIFAR10_FILES[0]} to {CIFAR10_FILES[-1]} of CIFAR-10's binary version"
    raise FileNotFoundError(f"data_dir must hold {wanted}, got {os.fspath(data_dir)!r} with none")


def _download() -> dict[str, bytes]:
    """Read the files out of pooch's copy of the archive; nothing is unpacked to disk."""
    pooch = require("pooch", "pooch")
    try:
        path = pooch.retrieve(CIFAR10_URL, CIFAR10_HASH)
    except (OSError, ValueError) as error:  # OSError: all of requests'; ValueError: another hash
        kind = FileNotFoundError if isinstance(error, OSError) else ValueError
        raise kind(f"cannot get {CIFAR10_URL}, and no data_dir was given: {error}") from None
    with tarfile.open(path) as tar:
        members = {file: tar.extractfile(f"{CIFAR10_FOLDER}/{file}") for file in CIFAR10_FILES}
        return {file: member.read() for file, member in members.items() if member is not None}
