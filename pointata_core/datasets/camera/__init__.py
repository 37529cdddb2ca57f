# SPDX-License-Identifier: Apache-2.0
"""Data sets of a camera beside a LiDAR: frames, projection, class maps, augmentation, import.

``frames`` says what a frame is, one module per data set lists and reads its public layout,
``samples`` turns frames into what a network takes, ``exported`` is our own format on disk and
``xmuda_pickles`` brings the pickles of xMUDA and FtD++ into it.
"""
