# SPDX-License-Identifier: Apache-2.0
"""Pre-training of the 3D backbone against pictures: shapes, pictures, method, probes."""
