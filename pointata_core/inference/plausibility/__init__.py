# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether the clouds of a stream have the unit, the axes and the byte order that they should."""
