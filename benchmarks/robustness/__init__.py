# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What breaks: fuzzing, soak tests and life cycles."""
