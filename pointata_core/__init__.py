# SPDX-License-Identifier: Apache-2.0
"""Models, streaming and training for point-cloud video; knows nothing of ROS."""

__version__ = '0.1.0'
