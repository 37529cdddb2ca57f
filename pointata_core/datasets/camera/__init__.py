# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of a camera beside a LiDAR.

* ``frames`` defines a frame: an image and the points that it shows.
* ``samples`` turns frames into network inputs, with augmentation.
* ``class_maps`` gives the classes that two data sets share.
* ``exported`` stores frames in our own format.

Each further module lists and reads one public data set, or simulates one.
"""
