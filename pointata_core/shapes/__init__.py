# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes to pre-train on: a procedural generator, mesh files, sampling by area.

```python
from pointata_core.shapes import generate, sample_surface

shape = generate('chair', seed=7)                    # Shape: vertices, faces, face_part, family
samples = sample_surface(shape, 8192, np.random.default_rng(0))
```
"""

from pointata_core.shapes.meshes.files import BrokenMesh, MeshError, read_mesh
from pointata_core.shapes.meshes.folders import MeshFile, find_meshes, read_meshes
from pointata_core.shapes.procedural.generator import (
    FAMILIES,
    balanced_plan,
    generate,
    generate_many,
)
from pointata_core.shapes.sampling import SurfaceSamples, sample_surface
from pointata_core.shapes.shape import Shape

__all__ = [
    'FAMILIES',
    'BrokenMesh',
    'MeshError',
    'MeshFile',
    'Shape',
    'SurfaceSamples',
    'balanced_plan',
    'find_meshes',
    'generate',
    'generate_many',
    'read_mesh',
    'read_meshes',
    'sample_surface',
]
