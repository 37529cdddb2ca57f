# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands of ``pointata``: one module each, with NAME, SUMMARY, parser() and run()."""
