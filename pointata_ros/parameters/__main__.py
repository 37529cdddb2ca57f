# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m pointata_ros.parameters``: write or check the files made from the table."""

from pointata_ros.parameters.files import main

main()
