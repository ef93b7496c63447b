"""COVID-19 Radiograph: ``<class>/images/``; the lung masks and tables beside are not read."""

from __future__ import annotations

from medhash.data.readers import class_folders


class Reader(class_folders.Reader):
    """Class folders with the images in a folder of their own."""

    inside = "images"
