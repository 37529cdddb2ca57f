# SPDX-License-Identifier: Apache-2.0
"""Training of adapters and heads on prepared clips."""
