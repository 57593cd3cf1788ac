"""What Fashion-MNIST is: its four files, their pinned digests and where they are published.

Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747) is 60 000 training and 10 000 test images of
28 x 28 grey pixels in ten classes, in the idx format of LeCun's MNIST.

How the digests were pinned: the idx files were taken from Debian's package ``dataset-fashion-mnist``
(0.0~git20200523.55506a9-1, signed by Debian). Debian strips the file name and time out of the gzip header and
leaves the deflate stream alone; putting the original header back gives files with exactly the MD5 sums that the
authors publish in their README. So the content below is the authors' content. The digests are of the raw idx
content, so that a file may arrive compressed in any way, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CLASSES",
    "DEBIAN_FOLDER",
    "DEBIAN_PACKAGE",
    "DOWNLOAD_URL",
    "FILES",
    "IMAGE_SIDE",
    "NAME",
    "REAL_KEY",
    "IdxFile",
]

NAME = "fashion-mnist"
IMAGE_SIDE = 28
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

DOWNLOAD_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"

# The folder name of the real files below ``sources/``.
REAL_KEY = "fashion-mnist-c59f468a2f672dc8"


@dataclass(frozen=True)
class IdxFile:
    """One of the four files: its name without ``.gz``, its size in bytes and the hex SHA-256 of the raw content."""

    name: str
    size: int
    sha256: str


FILES = (
    IdxFile(
        "train-images-idx3-ubyte",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
