# SPDX-License-Identifier: Apache-2.0
"""Sensors: rays, hits and returns."""
