# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Adapting a camera and LiDAR network to a domain without labels (FtD++ and its relatives).

``losses`` holds the terms and their weighted sum, ``published`` the values of the
papers, ``stylised`` the source in the target's style, ``cross_modal`` module and teacher,
``pseudo_labels`` the labels of the second stage, ``run`` a whole run.
"""
