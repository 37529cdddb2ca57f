# SPDX-License-Identifier: Apache-2.0
"""Pictures of shapes: cameras, rendering, point-to-pixel maps, shards, contact sheets.

```python
from pointata_core.shapes.rendering import PictureSettings, procedural_sources, write_pictures

folder = write_pictures('pictures', procedural_sources(10_000, seed=0), PictureSettings(size=96))
shape = folder[0]                          # PicturedShape: points, grey, pixels, cameras, ...
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
    picture_of_parts,
    picture_of_points,
    write_png,
)
from pointata_core.shapes.rendering.correspondence import pixel_cells, point_pixels
from pointata_core.shapes.rendering.folders import PictureFolder, write_pictures
from pointata_core.shapes.rendering.ray_casting import Hits, RayCaster
from pointata_core.shapes.rendering.rendered_shape import PicturedShape, picture_shape
from pointata_core.shapes.rendering.rendering import Renderings, render
from pointata_core.shapes.rendering.settings import PictureSettings
from pointata_core.shapes.rendering.shards import PictureShard, PictureShardError
from pointata_core.shapes.rendering.sources import (
    ProceduralSource,
    Source,
    procedural_sources,
)

__all__ = [
    'Cameras',
    'Hits',
    'PictureFolder',
    'PictureSettings',
    'PictureShard',
    'PictureShardError',
    'PicturedShape',
    'ProceduralSource',
    'RayCaster',
    'Renderings',
    'Source',
    'cameras_around',
    'contact_sheet',
    'fibonacci_sphere',
    'look_at',
    'perspective',
    'picture_of_parts',
    'picture_of_points',
    'picture_shape',
    'pixel_cells',
    'point_pixels',
    'procedural_sources',
    'render',
    'viewpoints',
    'write_pictures',
    'write_png',
]
