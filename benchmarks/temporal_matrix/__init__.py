# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks/temporal_context.py``: arms, one run, and the table."""
