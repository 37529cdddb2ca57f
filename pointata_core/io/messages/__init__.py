# SPDX-License-Identifier: Apache-2.0
"""ROS messages, decoded and filled without ROS."""
