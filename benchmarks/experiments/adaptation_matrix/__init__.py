# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks adaptation``: methods, settings, one run, plots."""
