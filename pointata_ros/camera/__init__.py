# SPDX-License-Identifier: Apache-2.0
"""The camera of an input."""
