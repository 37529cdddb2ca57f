# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``ament_copyright`` needs to accept the two-line headers of this package.

The tool compares headers with licence texts that packages register as entry points
(``ament_copyright.licenses``). It has the long header of the Apache licence alone.
"""

from __future__ import annotations

from typing import NamedTuple


class Licence(NamedTuple):
    """A licence as ``ament_copyright`` takes it.

    Attributes:
        name: For people.
        spdx: Identifier of SPDX.
        file_headers: What stands at the top of a source file.
        license_files: What stands in ``LICENSE``.
        contributing_files: What stands in ``CONTRIBUTING.md``.
    """

    name: str
    spdx: str
    file_headers: tuple[str, ...]
    license_files: tuple[str, ...]
    contributing_files: tuple[str, ...]


HOLDER = 'the pointata_ros contributors'
APACHE = Licence(
    name='Apache License, Version 2.0, by its SPDX identifier',
    spdx='Apache-2.0',
    file_headers=('{copyright}\nSPDX-License-Identifier: Apache-2.0',),
    license_files=(),
    contributing_files=('Contributions are licensed under [Apache-2.0](LICENSE).',),
)
