# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks/experiments/temporal_context.py``: arms, one run, and the table."""
