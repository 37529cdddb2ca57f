# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects of scenes: furniture, plants, structures and vehicles, made of solids."""
