# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Public data sets behind two protocols: clips of point-cloud video, and single frames.

* ``protocol`` defines clips, frames and data sets.
* ``registry`` opens a data set by name.
* ``sampling`` cuts recordings into clips and reduces clouds to a fixed number of points.
* ``errors`` reports missing and damaged files.

Every data set has one module, which is imported when the data set is opened.
"""
