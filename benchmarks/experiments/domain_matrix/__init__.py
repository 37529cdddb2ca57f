# SPDX-License-Identifier: Apache-2.0
"""Parts of ``benchmarks/experiments/domain_adaptation.py`` and of ``benchmarks/experiments/simulation_to_real.py``."""
