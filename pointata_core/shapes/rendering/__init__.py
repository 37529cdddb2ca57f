# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images of shapes: cameras, rendering, point-to-pixel maps, shards, contact sheets.

```python
from pointata_core.shapes.rendering import RenderSettings, procedural_sources, write_renderings

folder = write_renderings('images', procedural_sources(10_000, seed=0), RenderSettings(size=96))
shape = folder[0]                          # RenderedShape: points, images, pixels, cameras, ...
shape.cells(stride=32)                     # (views, points) cell of a feature map, -1 = hidden
```
"""

from pointata_core.shapes.rendering.cameras import (
    Cameras,
    cameras_around,
    fibonacci_sphere,
    look_at,
    perspective,
    viewpoints,
)
from pointata_core.shapes.rendering.contact_sheets import (
    contact_sheet,
    image_of_parts,
    image_of_points,
    write_png,
)
from pointata_core.shapes.rendering.correspondence import pixel_cells, point_pixels
from pointata_core.shapes.rendering.folders import RenderingFolder, write_renderings
from pointata_core.shapes.rendering.ray_casting import Hits, RayCaster
from pointata_core.shapes.rendering.rendered_shape import RenderedShape, render_shape
from pointata_core.shapes.rendering.rendering import Renderings, render
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.rendering.shards import RenderingShard, RenderingShardError
from pointata_core.shapes.rendering.sources import (
    ProceduralSource,
    Source,
    procedural_sources,
)

__all__ = [
    'Cameras',
    'Hits',
    'RenderingFolder',
    'RenderSettings',
    'RenderingShard',
    'RenderingShardError',
    'RenderedShape',
    'ProceduralSource',
    'RayCaster',
    'Renderings',
    'Source',
    'cameras_around',
    'contact_sheet',
    'fibonacci_sphere',
    'look_at',
    'perspective',
    'image_of_parts',
    'image_of_points',
    'render_shape',
    'pixel_cells',
    'point_pixels',
    'procedural_sources',
    'render',
    'viewpoints',
    'write_renderings',
    'write_png',
]
