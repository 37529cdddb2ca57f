# %% [markdown]
# # Label a bag in ten lines
#
# <!--
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
# -->
#
# This tutorial labels every point of a recording with the default bundle, without ROS.
#
# We have no recording yet, so we simulate one: a yard with people, a LiDAR with 16 rings, two
# seconds at 10 Hz. With a recording of your own, skip this cell and give its path below.

# %%
import tempfile
from pathlib import Path

import pointata_core as pta
from pointata_core.simulation import write_bag

bag = Path(tempfile.mkdtemp()) / 'yard'
write_bag(bag, pta.simulate('yard', 'vlp16', seed=3, duration_s=2.0), sensor='vlp16')

# %% [markdown]
# ## The ten lines
#
# A bundle holds network, classes and preparation. A session keeps the temporal state of one
# stream: it takes one cloud after the other and labels each of its points, in the order of the
# points.

# %%
bundle = pta.load_bundle('default')
session = pta.StreamingSession(bundle)
classes = bundle.manifest.segmentation_classes
clouds, results = [], []
for cloud in pta.read_bag(bag):
    result = session.step(cloud.points, cloud.stamp_ns, features=cloud.features)
    clouds.append(cloud)
    results.append(result)
print(f'{len(results)} clouds, {len(results[-1].labels)} points in the last one')

# %% [markdown]
# ## What is in it
#
# `labels` index `segmentation_classes`. Points that are not finite or out of range have the label
# `UNLABELLED` (65535). `action` holds one score for each action class.

# %%
import numpy as np

last = results[-1]
for index, name in enumerate(classes):
    share = np.mean(last.labels == index)
    if share > 0.01:
        print(f'{name:12} {100 * share:5.1f} % of the points')
action = bundle.manifest.action_classes[int(np.argmax(last.action))]
print(f'action: {action}')

# %% [markdown]
# ## From above

# %%
import matplotlib.pyplot as plt

from pointata_core.evaluation.colours import palette

points, colours = clouds[-1].points, palette(classes) / 255
labels = np.minimum(last.labels, len(classes))  # the last colour is for unlabelled points
figure, axes = plt.subplots(figsize=(7, 7))
axes.scatter(points[:, 0], points[:, 1], c=colours[labels], s=1)
for index in np.unique(labels[labels < len(classes)]):
    axes.scatter([], [], color=colours[index], label=classes[index])
axes.set(xlim=(-20, 20), ylim=(-20, 20), aspect='equal', xlabel='x (m)', ylabel='y (m)')
axes.legend(loc='upper right', fontsize='small')
plt.show()

# %% [markdown]
# ## How good is it?
#
# The simulated recording carries ground truth, so `evaluate_bag` scores it. With your own
# recording, pass `labels_field` or `labels_topic`. One recording is no measure: the
# [experiments](../experiments/default_bundle.md) score many.

# %%
scores = pta.evaluate_bag(bag)
print(f'mean IoU {100 * scores.segmentation.miou:.1f} %')
print(f'action right in {100 * scores.action.accuracy:.0f} % of the frames')
print(f'median latency {scores.latency["total"].p50:.0f} ms')
report = pta.write_report(scores, bag.parent / 'report')
print(f'report: {report.name}')

# %% [markdown]
# ## Next
#
# * `pointata evaluate --bag BAG` does the same from the command line.
# * The node does the same live, with the same session: its labels are equal bit for bit.
# * [Train a skill on your data](train_a_skill.py) teaches other classes.
