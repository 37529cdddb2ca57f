# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: speed, robustness and experiments, with one results store."""
