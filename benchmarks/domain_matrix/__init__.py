# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks/domain_adaptation.py`` and of ``benchmarks/simulation_to_real.py``."""
