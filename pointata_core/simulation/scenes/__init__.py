# SPDX-License-Identifier: Apache-2.0
"""Procedural scenes: streets, yards and rooms, filled with objects and people."""
