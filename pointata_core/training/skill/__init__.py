# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of skills: settings, network, stages, scores and report of a run."""
