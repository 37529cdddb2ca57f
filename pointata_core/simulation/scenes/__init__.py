# SPDX-License-Identifier: Apache-2.0
"""Procedural scenes: streets, yards and rooms, and what stands in them."""
