# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the files that ship with the package: configuration, models, launch files.

The package is installed in four ways, and each puts these files somewhere else:

=======================  =====================================================
source tree, editable    the repository root (``config/``, ``models/``, ...)
``pip install .``        ``PREFIX/share/pointata_ros``
``colcon build``         ``install/pointata_ros/share/pointata_ros``
Debian's dist-packages   ``/usr[/local]/share/pointata_ros``
=======================  =====================================================

Looking beside the running code first means that files and code are of one version, whatever else
is on ``AMENT_PREFIX_PATH``.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from pathlib import Path

from pointata_core.errors import PointataError

__all__ = ['DEFAULT_BUNDLE', 'DEFAULT_PEOPLE', 'ResourceError', 'resource_path', 'resource_roots']

PACKAGE = 'pointata_ros'
DEFAULT_BUNDLE = 'models/default'
DEFAULT_PEOPLE = 'models/people'
# PREFIX/lib/python3.X/site-packages/pointata_core is four levels below PREFIX; colcon's
# symlinked build tree and Debian's PREFIX/local/lib need one or two more.
_LEVELS_TO_PREFIX = 6


class ResourceError(PointataError):
    """A file that ships with the package is not where the package is installed."""


def resource_path(relative: str | Path) -> Path:
    """Return the absolute path of a file or folder that ships with the package.

    Args:
        relative: Path below the share folder, for example ``'config/perception.yaml'``,
            ``'config/dds/fastdds_large_clouds.xml'`` or ``'models/default'``.

    Returns:
        The path in the first root that has it; it exists.

    Raises:
        ResourceError: No root has it; the message lists those that were searched.
    """
    roots = list(resource_roots())
    for root in roots:
        if (root / relative).exists():
            return root / relative
    searched = ', '.join(str(root) for root in roots) or 'no share folder at all'
    raise ResourceError(
        f"'{relative}' does not exist below {searched}",
        'Install the package again (make env, pip install . or colcon build)',
    )


def resource_roots() -> Iterator[Path]:
    """Yield the folders that hold shipped files, nearest to the running code first."""
    seen = set()
    for root in _candidates():
        if root not in seen and (root / 'package.xml').is_file():
            seen.add(root)
            yield root


def _candidates() -> Iterator[Path]:
    for parent in list(Path(__file__).resolve().parents)[1 : 1 + _LEVELS_TO_PREFIX]:
        if (parent / 'resource' / PACKAGE).is_file():
            yield parent  # the source tree
        yield parent / 'share' / PACKAGE
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    for prefix in [*filter(None, prefixes), sys.prefix, site.getuserbase()]:
        yield Path(prefix).resolve() / 'share' / PACKAGE
