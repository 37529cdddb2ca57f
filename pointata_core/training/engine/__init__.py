# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine of every training: trainer, optimiser, batches, run folder, provenance."""
