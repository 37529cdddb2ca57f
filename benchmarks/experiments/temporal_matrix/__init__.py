# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks temporal-context``: variants, one run, motion before any training."""
