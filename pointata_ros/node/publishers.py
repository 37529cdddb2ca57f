# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The results of a cloud as messages, and the label tables needed to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import Classification, LabelInfo, ObjectHypothesis, VisionClass
from visualization_msgs.msg import MarkerArray

from pointata_core.bundles.manifest_base import ManifestBase
from pointata_core.inference.frames import FrameResult
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode_columns
from pointata_core.taxonomy import UNLABELLED
from pointata_ros.node.colours import ColourTable
from pointata_ros.node.filtered_clouds import FILTERED, ClassFilter, filtered_message
from pointata_ros.node.markers import action_markers, removal
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import latched_profile, output_profile, overrides

_TOPICS = {
    'segmentation': ('output/segmentation', PointCloud2),
    'segmentation_rgb': ('output/segmentation_rgb', PointCloud2),
    **{name: (f'output/{name}', PointCloud2) for name in FILTERED},
    'action': ('output/action', Classification),
    'markers': ('output/markers', MarkerArray),
    'timings': ('debug/timings', DiagnosticArray),
}
_LABEL_TOPICS = {
    'segmentation': 'output/segmentation/label_info',
    'action': 'output/action/label_info',
}


class Outputs:
    """The publishers of one input's results. Messages may be published from any thread.

    Args:
        node: The node that publishes.
        base: What the names of the topics begin with: ``~``, or ``~/NAME`` for a named input.
    """

    def __init__(self, node: Node, base: str = '~') -> None:
        self._node = node
        # Distinguishes inputs and nodes that share a topic.
        self._name = base.replace('~', node.get_fully_qualified_name(), 1)
        self._publishers: dict[str, Publisher] = {}
        self._label_publishers: dict[str, Publisher] = {}
        with ExitStack() as stack:
            stack.callback(self.close)
            for key, (topic, message) in _TOPICS.items():
                self._publishers[key] = node.create_publisher(
                    message,
                    f'{base}/{topic}',
                    output_profile(),
                    qos_overriding_options=overrides(),
                )
            for task, topic in _LABEL_TOPICS.items():
                self._label_publishers[task] = node.create_publisher(
                    LabelInfo, f'{base}/{topic}', latched_profile()
                )
            stack.pop_all()
        self._colours = ColourTable(())
        self._filter = ClassFilter()
        self._absent: set[str] = set()
        self._actions: tuple[str, ...] = ()
        self._is_action_of_people = False
        self._has_segmentation = False

    @property
    def topics(self) -> list[str]:
        """Resolved names of the result topics."""
        return [publisher.topic_name for publisher in self._publishers.values()]

    def announce(
        self, manifest: ManifestBase, settings: NodeSettings, people: tuple[str, ...] = ()
    ) -> None:
        """Publish the label tables of a bundle; what follows is read with them.

        Args:
            manifest: Of the bundle.
            settings: Parameters.
            people: Classes of the person skill, which then gives the action instead.
        """
        classes = manifest.segmentation_classes
        self._has_segmentation = bool(classes)
        self._actions = people or manifest.action_classes
        self._is_action_of_people = bool(people)
        colours = manifest.tasks['segmentation'].colours if classes else ()
        self._colours = ColourTable(classes, colours)
        self._filter = ClassFilter(classes, settings)
        self._publish_labels('segmentation', classes, settings.score_threshold)
        self._publish_labels('action', self._actions, 0.0)

    def publish(
        self,
        message: PointCloud2,
        cloud: Cloud,
        result: FrameResult,
        labels: np.ndarray,
        settings: NodeSettings,
    ) -> None:
        """Publish all that the settings ask for and the bundle predicts.

        Args:
            message: The input; the outputs have the same header.
            cloud: The same, decoded.
            result: Its prediction.
            labels: (N,) uint16, those of the prediction after the score threshold.
            settings: Parameters.
        """
        header = message.header
        if self._has_segmentation:
            if settings.publish_segmentation and self._has_subscribers('segmentation'):
                self._publishers['segmentation'].publish(
                    segmentation_message(
                        header,
                        cloud,
                        _as_type(labels, settings.class_id_type),
                        result.probabilities,
                        self._kept(message, settings.keep_fields),
                    )
                )
            if settings.publish_rgb and self._has_subscribers('segmentation_rgb'):
                self._publishers['segmentation_rgb'].publish(
                    rgb_message(header, cloud, labels, self._colours)
                )
            for name in FILTERED:
                if self._has_subscribers(name):
                    mask = self._filter.mask(name, cloud, labels)
                    self._publishers[name].publish(filtered_message(message, mask))
        if result.action is not None and not self._is_action_of_people:
            hypotheses = sorted_hypotheses(result.action, self._actions)
            self.publish_action(header, hypotheses, settings)

    def publish_action(
        self, header: Header, hypotheses: list[ObjectHypothesis], settings: NodeSettings
    ) -> None:
        """Publish the action as the settings ask for.

        Args:
            header: Of the cloud.
            hypotheses: The most probable first; none where the action is unknown.
            settings: Parameters.
        """
        if settings.publish_action:
            self._publishers['action'].publish(Classification(header=header, results=hypotheses))
        if hypotheses and settings.publish_markers and self._has_subscribers('markers'):
            best, lifetime_s = hypotheses[0], settings.marker_lifetime
            self._publishers['markers'].publish(
                action_markers(self._name, header, best.class_id, best.score, lifetime_s)
            )

    def publish_timings(self, header: Header, timings_ms: Mapping[str, float]) -> None:
        """Publish how long each stage of one cloud took, milliseconds."""
        if not self._has_subscribers('timings'):
            return
        values = [KeyValue(key=stage, value=f'{ms:.4f}') for stage, ms in timings_ms.items()]
        status = DiagnosticStatus(name=f'{self._name.lstrip("/")}: timings', values=values)
        self._publishers['timings'].publish(DiagnosticArray(header=header, status=[status]))

    def remove_markers(self, frame_id: str) -> None:
        """Take the text away."""
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=frame_id)
        self._publishers['markers'].publish(removal(self._name, header))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (*self._publishers.values(), *self._label_publishers.values()):
            self._node.destroy_publisher(publisher)

    def _kept(self, message: PointCloud2, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
        """Fields of the input that the labelled cloud repeats."""
        if not names or not message.width * message.height:
            return []
        limits = CloudLimits(max_points=message.width * message.height)
        columns = decode_columns(message, names, limits=limits)
        if isinstance(columns, Rejected):
            self._report_absent(f'keep_fields has no effect: {columns}')
            return []
        if len(columns) < len(names):
            fields = ', '.join(field.name for field in message.fields)
            self._report_absent(
                f'keep_fields are {", ".join(names)}; the clouds have {fields}, so only '
                f'{", ".join(columns) or "none"} can be kept'
            )
        return list(columns.items())

    def _report_absent(self, text: str) -> None:
        if text not in self._absent:
            self._absent.add(text)
            self._node.get_logger().warning(f'{self._name}: {text}')

    def _has_subscribers(self, key: str) -> bool:
        return self._publishers[key].get_subscription_count() > 0

    def _publish_labels(self, task: str, classes: tuple[str, ...], threshold: float) -> None:
        message = LabelInfo(threshold=threshold)
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=index, class_name=name) for index, name in enumerate(classes)
        ]
        self._label_publishers[task].publish(message)


def segmentation_message(
    header: Header,
    cloud: Cloud,
    labels: np.ndarray,
    probabilities: np.ndarray,
    kept: Sequence[tuple[str, np.ndarray]] = (),
) -> PointCloud2:
    """The labelled cloud: x, y, z as they came, ``class_id``, ``probability``, and kept fields."""
    own = [('class_id', labels), ('probability', probabilities)]
    return _cloud_message(header, cloud, [*own, *kept])


def _as_type(labels: np.ndarray, name: str) -> np.ndarray:
    """Labels (N,) uint16 in the type that ``class_id_type`` names."""
    if name == 'uint16':
        return labels
    unlabelled = np.iinfo(np.uint8).max
    return np.where(labels == UNLABELLED, unlabelled, labels).astype(np.uint8)


def rgb_message(
    header: Header, cloud: Cloud, labels: np.ndarray, colours: ColourTable
) -> PointCloud2:
    """The coloured cloud for viewers."""
    return _cloud_message(header, cloud, [('rgb', colours.packed(labels))])


def _cloud_message(
    header: Header, cloud: Cloud, columns: list[tuple[str, np.ndarray]]
) -> PointCloud2:
    encoded = encode_fields(
        xyz_columns(cloud.points) + columns,
        width=cloud.width,
        height=cloud.height,
        is_dense=bool(cloud.finite.all()),
    )
    return fill_message(PointCloud2(), encoded, header, PointField)


def sorted_hypotheses(scores: np.ndarray, classes: tuple[str, ...]) -> list[ObjectHypothesis]:
    """All classes, the most probable first; ``class_id`` is the class name.

    Args:
        scores: (A,) probabilities.
        classes: Names in order of class id.
    """
    order = np.argsort(-scores, kind='stable')
    return [ObjectHypothesis(class_id=classes[i], score=float(scores[i])) for i in order]
