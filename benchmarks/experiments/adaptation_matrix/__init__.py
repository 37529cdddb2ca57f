# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks/experiments/adaptation.py``: methods, one run, the results on disk and their report."""
