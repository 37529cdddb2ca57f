# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The interfaces that we build ourselves are those of the ROS distribution."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

rosidl_runtime = pytest.importorskip('rclpy', reason='rclpy is not installed: run make env')
pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[1]

# A workspace has these only where drivers need them.
OPTIONAL = ('livox_ros_driver2', 'point_cloud_interfaces')
# Computed with the Jazzy generators from vision_msgs 4.1.1, tf2_msgs 0.36, livox_ros_driver2 1.2
# and point_cloud_interfaces 5.0.1 as released. Two nodes exchange messages only if these agree.
RELEASED_TYPE_HASHES = {
    'vision_msgs/msg/BoundingBox3D': (
        'RIHS01_bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698'
    ),
    'vision_msgs/msg/Detection3D': (
        'RIHS01_ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b'
    ),
    'vision_msgs/msg/Detection3DArray': (
        'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018'
    ),
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc'
    ),
    'vision_msgs/msg/Classification': (
        'RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143'
    ),
    'vision_msgs/msg/LabelInfo': (
        'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783'
    ),
    'vision_msgs/msg/ObjectHypothesis': (
        'RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90'
    ),
    'vision_msgs/msg/VisionClass': (
        'RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a'
    ),
    'livox_ros_driver2/msg/CustomMsg': (
        'RIHS01_2eb17e5e35bf5a2d6cd079f3c57f33abf95e5bf7d71b42cddc05daace73d815a'
    ),
    'livox_ros_driver2/msg/CustomPoint': (
        'RIHS01_3289ac5e30c215e055e9b48fe0df5c2fb916abbb0c3a75315071bb7d735067f5'
    ),
    'point_cloud_interfaces/msg/CompressedPointCloud2': (
        'RIHS01_4b38df4932a156a54c53e80a7f34e54e2966b20e54a4d14ded34a165a389c0c1'
    ),
    'tf2_msgs/action/LookupTransform': (
        'RIHS01_0b8adf6bc0b5958879e3265b41a457e03558fe523890a81252c70eba97a82c5d'
    ),
    'tf2_msgs/msg/TF2Error': (
        'RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a'
    ),
    'tf2_msgs/msg/TFMessage': (
        'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'
    ),
    'tf2_msgs/srv/FrameGraph': (
        'RIHS01_0d1fbc6222c018ba5f33822904a2fdd4063705289956d3fdde07cd8c50fe8067'
    ),
}


def installed_type_hash(interface: str) -> str:
    """Read the type hash that the build wrote beside the definition."""
    import json

    from ament_index_python.packages import get_package_share_directory

    package, _, relative = interface.partition('/')
    path = Path(get_package_share_directory(package)) / f'{relative}.json'
    entries = json.loads(path.read_text())['type_hashes']
    return next(entry['hash_string'] for entry in entries if entry['type_name'] == interface)


@pytest.mark.parametrize('interface', sorted(RELEASED_TYPE_HASHES))
def test_type_hash_is_that_of_the_released_interface(interface: str) -> None:
    package = interface.partition('/')[0]
    if package in OPTIONAL:
        pytest.importorskip(package, reason=f'{package} is not installed: run make env')
    assert installed_type_hash(interface) == RELEASED_TYPE_HASHES[interface]


def test_classification_survives_serialisation() -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from std_msgs.msg import Header
    from vision_msgs.msg import Classification, ObjectHypothesis

    message = Classification(
        header=Header(frame_id='lidar'),
        results=[
            ObjectHypothesis(class_id='walk', score=0.75),
            ObjectHypothesis(class_id='sitzen ü', score=0.25),
        ],
    )
    assert deserialize_message(serialize_message(message), Classification) == message


def test_transforms_survive_serialisation() -> None:
    from geometry_msgs.msg import TransformStamped
    from rclpy.serialization import deserialize_message, serialize_message
    from tf2_msgs.msg import TFMessage

    transform = TransformStamped(child_frame_id='lidar')
    transform.transform.translation.z = 1.73
    message = TFMessage(transforms=[transform, TransformStamped()])
    assert deserialize_message(serialize_message(message), TFMessage) == message


def build_interfaces(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess:
    import os

    command = [sys.executable, ROOT / 'tools/build_interfaces.py', *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=120
    )


def write_package(folder: Path, name: str, definition: str) -> Path:
    (folder / 'msg').mkdir(parents=True)
    (folder / 'package.xml').write_text(f'<package><name>{name}</name></package>')
    (folder / 'msg/Answer.msg').write_text(definition)
    return folder


def test_a_package_of_the_distribution_is_left_alone(tmp_path: Path) -> None:
    import std_msgs

    package = write_package(tmp_path / 'fake', 'std_msgs', 'string data\n')
    files = sorted(Path(std_msgs.__file__).parent.rglob('*'))
    before = hashlib.sha256(b''.join(f.read_bytes() for f in files if f.is_file())).digest()
    result = build_interfaces(package)
    assert result.returncode == 0
    assert f'std_msgs: left alone, provided by {Path(std_msgs.__file__).parent}' in result.stdout
    after = hashlib.sha256(b''.join(f.read_bytes() for f in files if f.is_file())).digest()
    assert after == before


def test_a_package_on_the_ament_path_is_left_alone(tmp_path: Path) -> None:
    package = write_package(tmp_path / 'ours', 'house_test_msgs', 'string data\n')
    elsewhere = tmp_path / 'opt/share/house_test_msgs'
    elsewhere.mkdir(parents=True)
    (elsewhere / 'package.xml').write_text('<package/>')
    result = build_interfaces(package, AMENT_PREFIX_PATH=str(tmp_path / 'opt'))
    assert result.returncode == 0
    assert f'left alone, provided by {elsewhere}' in result.stdout


def test_a_folder_without_a_package_is_an_error_that_names_it(tmp_path: Path) -> None:
    result = build_interfaces(tmp_path)
    assert result.returncode == 1
    assert str(tmp_path / 'package.xml') in result.stderr
