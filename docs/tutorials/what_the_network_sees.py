# %% [markdown]
# # What the network sees
#
# <!--
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
# -->
#
# This tutorial draws what happens between points and labels: voxels, the local ground, the map of
# the scene encoder and what earlier frames add to it; then what the frozen backbone works with:
# tokens, tubes over time, and the transport plan that aligns a sensor with 3D shapes. It needs the
# extras `train` and `pretrain`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import pointata_core as pta

bundle = pta.load_bundle('default')
network, classes = bundle.network, bundle.manifest.segmentation_classes
frames = list(pta.simulate('traffic', 'vlp16', seed=4, duration_s=0.8))


def show(axes, title, half=25):
    """A square view from above, in metres."""
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect='equal', title=title)
    axes.set(xlabel='x (m)', ylabel='y (m)')


# %% [markdown]
# ## Voxels and the ground
#
# Preparation turns a cloud into voxels that grow with range. The scene encoder then estimates how
# high the ground is under each of them: a low quantile of every patch of cells, bounded by its
# neighbourhood. Heights over this ground separate kerbs, cars and trees, whatever the slope.

# %%
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.scene.birds_eye import place
from pointata_core.models.scene.ground import ground_height

preparer = FramePreparer(PreparationConfig.from_dict(bundle.manifest.preparation))
metres = preparer.config.scale_m
prepared = [preparer.prepare(f.points, {'intensity': f.intensity}) for f in frames]
scene = network.config.scene

points = prepared[-1].points[None]
grid = place(points, None, scene)
height = (points[..., 2] - ground_height(points, None, grid, scene.ground_cells))[0] * metres
voxels = prepared[-1].points.numpy() * metres
print(f'{len(frames[-1].points)} points, {len(voxels)} voxels')

figure, axes = plt.subplots(figsize=(7, 7))
dots = axes.scatter(voxels[:, 0], voxels[:, 1], c=height.numpy(), vmin=0, vmax=4, s=3)
figure.colorbar(dots, label='height over the ground (m)')
show(axes, 'voxels from above')
plt.show()

# %% [markdown]
# ## The map
#
# Features of voxels are pooled into cells that grow with range, and a U-Net gives each cell its
# surroundings. Here its finest map, three main components of its channels as colours, in the
# compressed axes of the grid.

# %%
local = network.segmentation_head.local
with torch.inference_mode():
    described = local(points, prepared[-1].features[None], None)
channels = described.fine[0].flatten(1).T
_, _, components = torch.pca_lowrank(channels, q=3)
colours = (channels - channels.mean(0)) @ components
colours = (0.5 + colours / (4 * colours.std(0))).clamp(0, 1)

figure, axes = plt.subplots(figsize=(6, 6))
axes.imshow(colours.view(scene.cells, scene.cells, 3).numpy(), origin='lower')
axes.set(title='the map of one frame', xlabel='cells, forward', ylabel='cells, left')
plt.show()

# %% [markdown]
# Does the past change the labels? A session compares this map with those of earlier frames. A fresh
# session sees the last frame alone. Where its prediction differs, history has an influence.

# %%
session = pta.StreamingSession(bundle)
streamed = [session.step(f.points, f.stamp_ns, {'intensity': f.intensity}) for f in frames]
last = frames[-1]
alone = pta.StreamingSession(bundle).step(last.points, last.stamp_ns, {'intensity': last.intensity})
changed = alone.labels != streamed[-1].labels
print(f'history changes {100 * changed.mean():.1f} % of the labels')

figure, axes = plt.subplots(figsize=(7, 7))
axes.scatter(last.points[:, 0], last.points[:, 1], c='lightgrey', s=1)
axes.scatter(last.points[changed, 0], last.points[changed, 1], c='tab:red', s=2)
show(axes, 'labels that history changes')
plt.show()

# %% [markdown]
# ## Tokens
#
# A skill that builds on the frozen backbone sees tokens. Farthest point sampling picks their
# centres, and each token takes the nearest voxels as its patch. The number of tokens is fixed, so
# the cost of a frame is fixed, too. Here every voxel has the colour of its nearest token.

# %%
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import frame_geometry

layout = GeometryConfig(tokens=128, patch_size=24, range_knee=1.0, tube_radius=0.12)
geometries = [frame_geometry(p.points[None], None, layout) for p in prepared]
centres = geometries[-1].centres[0].numpy() * metres
nearest = geometries[-1].interpolation_index[0, :, 0].numpy()

shuffled = np.random.default_rng(0).permutation(len(centres))
figure, axes = plt.subplots(figsize=(7, 7))
axes.scatter(voxels[:, 0], voxels[:, 1], c=shuffled[nearest], cmap='hsv', s=3, alpha=0.5)
axes.scatter(centres[:, 0], centres[:, 1], c='black', s=12)
show(axes, 'voxels by their nearest token')
plt.show()

# %% [markdown]
# ## Tubes
#
# The backbone looks at one frame alone. Time comes in along *tubes*: each token continues its
# nearest predecessor within a radius. Centres are sampled anew in every frame, so tubes are short
# and jump; this is why the network can use displacement features as well.

# %%
from itertools import pairwise

from pointata_core.models.point.geometry import tube_parents

figure, axes = plt.subplots(figsize=(7, 7))
axes.scatter(voxels[:, 0], voxels[:, 1], c='lightgrey', s=2)
links = 0
for before, now in pairwise(geometries):
    parents = tube_parents(
        now.centres,
        now.token_mask,
        before.centres,
        before.token_mask,
        layout.tube_radius,
    )[0].numpy()
    linked = parents >= 0
    links += linked.sum()
    start, end = before.centres[0].numpy()[parents[linked]], now.centres[0].numpy()[linked]
    axes.plot(*(np.stack([start, end])[..., i] * metres for i in (0, 1)), c='tab:red', lw=1)
print(f'{links / (len(frames) - 1):.0f} of {len(centres)} tokens continue a tube')
show(axes, 'tubes over eight frames')
plt.show()

# %% [markdown]
# ## The transport plan
#
# Stage 1 of training brings the tokens of a sensor close to tokens of 3D shapes. The measure is
# an optimal transport distance: the cheapest plan that moves one set of features to the other.
# Here are the plans between tokens of the street and tokens of shapes, summed by class and by
# group of shapes.
#
# Both come from the frozen patch encoder of the backbone, so this is the plan before stage 1.

# %%
from pointata_core.models.point.align_embedder import AlignEmbedder
from pointata_core.shapes import generate, sample_surface

FAMILIES = ('car', 'truck', 'house', 'tower', 'tree', 'fence', 'human', 'chair', 'table')
embedder = AlignEmbedder(network.backbone, features=0)
embedder.copy_from(network.backbone)
embedder.eval()


@torch.inference_mode()
def tokens_of(embedder, points):
    """Tokens (G, D) of one cloud (N, 3), and its geometry."""
    geometry = frame_geometry(points[None], None, layout)
    return embedder(points[None], None, geometry.centres, geometry.patch_index)[0], geometry


rng = np.random.default_rng(0)
shape_tokens, families = [], []
for number, family in enumerate(FAMILIES):
    samples = sample_surface(generate(family, seed=1), 1024, rng)
    found, _ = tokens_of(embedder, torch.from_numpy(samples.points).float())
    shape_tokens.append(found[::4])
    families += [number] * len(shape_tokens[-1])
shape_tokens, families = torch.cat(shape_tokens), np.array(families)
street_tokens, geometry = tokens_of(embedder, prepared[-1].points)

# %% [markdown]
# Each token gets the class of the voxel at its centre, by the simulator's truth.

# %%
from pointata_core.transport import OtddConfig
from pointata_core.transport.scaling import FeatureScaling
from pointata_core.transport.sinkhorn import couple

voxel_label = np.zeros(len(voxels), int)
voxel_label[prepared[-1].voxel_of_point] = frames[-1].label
truth = voxel_label[geometry.centre_index[0].numpy()]

scaling = FeatureScaling.standardising(shape_tokens.double())
cost = torch.cdist(scaling(shape_tokens.double()), scaling(street_tokens.double())) ** 2 / 2
plan = couple(cost, OtddConfig(label_distance='none'), 'street to shapes').plan.numpy()

seen = np.unique(truth[truth < len(classes)])  # mirrored light has no class
table = np.array(
    [[plan[families == f][:, truth == c].sum() for c in seen] for f in range(len(FAMILIES))]
)
table /= table.sum(axis=0)
figure, axes = plt.subplots(figsize=(7, 5))
image = axes.imshow(table, cmap='viridis')
axes.set_xticks(range(len(seen)), [classes[c] for c in seen], rotation=45)
axes.set_yticks(range(len(FAMILIES)), FAMILIES)
axes.set(title='where the plan takes the tokens of each class')
figure.colorbar(image, label='share of the mass')
figure.tight_layout()
plt.show()

# %% [markdown]
# The plan is not a classifier: transport only matches the two sets as a whole, and a street has
# few tokens that look like a chair. The [experiment on alignment](../experiments/alignment.md)
# tells what it is worth.
