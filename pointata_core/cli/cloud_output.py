# SPDX-License-Identifier: Apache-2.0
"""Write labelled clouds in the formats that viewers and tools read.

========  ====================================================================================
ply       x y z, red green blue, class_id, probability; MeshLab, CloudCompare
pcd       x y z, rgb, class_id, probability; PCL, Open3D
npy       structured array with x y z, class_id, probability
npz       arrays points (N, 3), labels (N,), probabilities (N,), classes
label     SemanticKITTI's layout: one uint32 per point, the class id; 65535 = unlabelled
========  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pointata_core.evaluation.colours import colours_of_labels
from pointata_core.io.files.cloud_files import write_cloud
from pointata_core.io.messages.cloud_encoding import pack_rgb, rgb_as_float


def write_labelled_cloud(
    path: Path,
    points: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write points ``(N, 3)`` with labels ``(N,)`` uint16, in the format of the file extension.

    Raises:
        CloudFileError: It cannot be written.
    """
    predictions = {'class_id': labels, 'probability': probabilities}
    colours = colours_of_labels(labels, classes)
    if path.suffix == '.label':
        path.write_bytes(labels.astype('<u4').tobytes())
    elif path.suffix == '.npz':
        names = np.array(classes)
        np.savez(path, points=points, labels=labels, probabilities=probabilities, classes=names)
    elif path.suffix == '.ply':
        channels = dict(zip(('red', 'green', 'blue'), colours.T, strict=True))
        write_cloud(path, points, {**channels, **predictions})
    elif path.suffix == '.pcd':
        write_cloud(path, points, {'rgb': rgb_as_float(pack_rgb(colours)), **predictions})
    else:
        write_cloud(path, points, predictions)
