# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks domain-adaptation`` and ``benchmarks simulation-to-real``."""
