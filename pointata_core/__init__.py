# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks, streaming inference, evaluation and training for point-cloud video, without ROS.

The names in ``__all__`` are the public interface:

```python
import pointata_core as pta

session = pta.StreamingSession(pta.load_bundle('models/default'))
for cloud in pta.read_bag('my_bag'):
    result = session.step(cloud.points, cloud.stamp_ns, features=cloud.features)
    print(result.labels, result.action)
```

A name is imported from its module when it is first used, so ``import pointata_core`` is fast and
loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointata_core.bundles.bundle import Bundle, load_bundle, save_bundle
    from pointata_core.bundles.manifest import Manifest
    from pointata_core.bundles.verify import verify_bundle
    from pointata_core.datasets.registry import dataset_info, open_dataset
    from pointata_core.errors import (
        BagError,
        BundleError,
        CloudFileError,
        ConfigError,
        PointataError,
    )
    from pointata_core.evaluation.bag_evaluation import evaluate_bag
    from pointata_core.evaluation.report.page import write_report
    from pointata_core.evaluation.sequence_evaluation import evaluate_sequence
    from pointata_core.inference.camera_session import CameraSession
    from pointata_core.inference.frames import CameraView, Frame, FrameResult, Skipped
    from pointata_core.inference.loading import LoadedBundle, open_bundle
    from pointata_core.inference.placement import Placement
    from pointata_core.inference.session import StreamingSession
    from pointata_core.io.bags.reader import BagReader, read_bag
    from pointata_core.io.bags.writer import BagWriter
    from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
    from pointata_core.io.files.cloud_files import read_cloud, write_cloud
    from pointata_core.io.messages.point_cloud2 import decode
    from pointata_core.models.camera.camera_lidar import CameraLidarNetwork
    from pointata_core.models.checkpoints.conversion import convert_checkpoint
    from pointata_core.models.point.align_embedder import AlignEmbedder
    from pointata_core.models.point.backbone import Backbone
    from pointata_core.models.point.config import (
        BackboneConfig,
        GeometryConfig,
        NetworkConfig,
        preset_config,
    )
    from pointata_core.models.point.context_encoder import ContextEncoder
    from pointata_core.models.point.heads.action_head import ActionHead
    from pointata_core.models.point.heads.segmentation_head import SegmentationHead
    from pointata_core.models.point.pointata import PointATA
    from pointata_core.models.point.video_adapter import VideoAdapter
    from pointata_core.simulation.scanning import SimulatedFrame, simulate
    from pointata_core.simulation.sensing.sensors import SENSORS, SensorModel
    from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, UNLABELLED
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.pretrain.run import run_pretraining
    from pointata_core.training.pretrain.settings import PretrainingSettings
    from pointata_core.training.skill.settings import TrainingSettings
    from pointata_core.training.skill.training import run_train
    from pointata_core.transport.alignment import alignment_loss
    from pointata_core.transport.otdd import OtddConfig, OtddLoss

__version__ = '0.1.0'

__all__ = [
    'ACTION_CLASSES',
    'ActionHead',
    'AlignEmbedder',
    'Backbone',
    'BackboneConfig',
    'BagError',
    'BagReader',
    'BagWriter',
    'Bundle',
    'BundleError',
    'CameraLidarNetwork',
    'CameraSession',
    'CameraView',
    'Cloud',
    'CloudFileError',
    'CloudLimits',
    'ConfigError',
    'ContextEncoder',
    'Frame',
    'FrameResult',
    'GeometryConfig',
    'LoadedBundle',
    'Manifest',
    'NetworkConfig',
    'OtddConfig',
    'OtddLoss',
    'Placement',
    'PointATA',
    'PointataError',
    'PretrainingSettings',
    'Rejected',
    'SEGMENTATION_CLASSES',
    'SENSORS',
    'SegmentationHead',
    'SensorModel',
    'SimulatedFrame',
    'Skipped',
    'StreamingSession',
    'TrainingSettings',
    'UNLABELLED',
    'VideoAdapter',
    '__version__',
    'alignment_loss',
    'convert_checkpoint',
    'dataset_info',
    'decode',
    'evaluate_bag',
    'evaluate_sequence',
    'load_bundle',
    'open_bundle',
    'open_dataset',
    'preset_config',
    'read_bag',
    'read_cloud',
    'read_settings',
    'run_pretraining',
    'run_train',
    'save_bundle',
    'simulate',
    'verify_bundle',
    'write_cloud',
    'write_report',
]

# Where the public names are, as in the imports above; a test compares the two.
_NAMES = {
    'pointata_core.bundles.bundle': 'Bundle load_bundle save_bundle',
    'pointata_core.bundles.manifest': 'Manifest',
    'pointata_core.bundles.verify': 'verify_bundle',
    'pointata_core.datasets.registry': 'dataset_info open_dataset',
    'pointata_core.errors': 'BagError BundleError CloudFileError ConfigError PointataError',
    'pointata_core.evaluation.bag_evaluation': 'evaluate_bag',
    'pointata_core.evaluation.report.page': 'write_report',
    'pointata_core.evaluation.sequence_evaluation': 'evaluate_sequence',
    'pointata_core.inference.camera_session': 'CameraSession',
    'pointata_core.inference.frames': 'CameraView Frame FrameResult Skipped',
    'pointata_core.inference.loading': 'LoadedBundle open_bundle',
    'pointata_core.inference.placement': 'Placement',
    'pointata_core.inference.session': 'StreamingSession',
    'pointata_core.io.bags.reader': 'BagReader read_bag',
    'pointata_core.io.bags.writer': 'BagWriter',
    'pointata_core.io.cloud': 'Cloud CloudLimits Rejected',
    'pointata_core.io.files.cloud_files': 'read_cloud write_cloud',
    'pointata_core.io.messages.point_cloud2': 'decode',
    'pointata_core.models.camera.camera_lidar': 'CameraLidarNetwork',
    'pointata_core.models.checkpoints.conversion': 'convert_checkpoint',
    'pointata_core.models.point.align_embedder': 'AlignEmbedder',
    'pointata_core.models.point.backbone': 'Backbone',
    'pointata_core.models.point.config': (
        'BackboneConfig GeometryConfig NetworkConfig preset_config'
    ),
    'pointata_core.models.point.context_encoder': 'ContextEncoder',
    'pointata_core.models.point.heads.action_head': 'ActionHead',
    'pointata_core.models.point.heads.segmentation_head': 'SegmentationHead',
    'pointata_core.models.point.pointata': 'PointATA',
    'pointata_core.models.point.video_adapter': 'VideoAdapter',
    'pointata_core.simulation.scanning': 'SimulatedFrame simulate',
    'pointata_core.simulation.sensing.sensors': 'SENSORS SensorModel',
    'pointata_core.taxonomy': 'ACTION_CLASSES SEGMENTATION_CLASSES UNLABELLED',
    'pointata_core.training.engine.settings': 'read_settings',
    'pointata_core.training.pretrain.run': 'run_pretraining',
    'pointata_core.training.pretrain.settings': 'PretrainingSettings',
    'pointata_core.training.skill.settings': 'TrainingSettings',
    'pointata_core.training.skill.training': 'run_train',
    'pointata_core.transport.alignment': 'alignment_loss',
    'pointata_core.transport.otdd': 'OtddConfig OtddLoss',
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what the module has and what it can import."""
    return sorted({*globals(), *__all__})
