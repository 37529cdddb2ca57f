# SPDX-License-Identifier: Apache-2.0
"""Networks of others, re-implemented to be compared with at equal input."""
