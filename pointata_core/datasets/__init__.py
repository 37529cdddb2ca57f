# SPDX-License-Identifier: Apache-2.0
"""Public data sets behind two protocols: clips of point-cloud video, and single frames.

``protocol`` says what a clip, a frame and a data set are, ``registry`` finds one by name,
``sampling`` cuts sequences into clips and clouds into a fixed number of points, ``errors`` says
what is missing. Every data set has one module; it is imported when it is opened.
"""
