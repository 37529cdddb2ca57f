# %% [markdown]
# # What the network sees
#
# <!-- SPDX-License-Identifier: Apache-2.0 -->
#
# This tutorial draws what happens between points and labels: voxels and tokens, tubes over time,
# the influence of the adapters, and the transport plan that aligns a sensor with 3D shapes. It
# needs the extras `train` and `pretrain`.

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
# ## Voxels and tokens
#
# Preparation turns a cloud into voxels that grow with range. Farthest point sampling picks the
# token centres, and each token takes the nearest voxels as its patch. The number of tokens is
# fixed, so the cost of a frame is fixed, too. Here every voxel has the colour of its nearest
# token.

# %%
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.geometry import frame_geometry

preparer = FramePreparer(PreparationConfig.from_dict(bundle.manifest.preparation))
metres = preparer.config.scale_m
prepared = [preparer.prepare(frame.points) for frame in frames]
geometries = [frame_geometry(p.points[None], None, network.config.geometry) for p in prepared]

voxels = prepared[-1].points.numpy() * metres
centres = geometries[-1].centres[0].numpy() * metres
nearest = geometries[-1].interpolation_index[0, :, 0].numpy()
print(f'{len(frames[-1].points)} points, {len(voxels)} voxels, {len(centres)} tokens')

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
        network.config.geometry.tube_radius,
    )[0].numpy()
    linked = parents >= 0
    links += linked.sum()
    start, end = before.centres[0].numpy()[parents[linked]], now.centres[0].numpy()[linked]
    axes.plot(*(np.stack([start, end])[..., i] * metres for i in (0, 1)), c='tab:red', lw=1)
print(f'{links / (len(frames) - 1):.0f} of {len(centres)} tokens continue a tube')
show(axes, 'tubes over eight frames')
plt.show()

# %% [markdown]
# ## Influence of the adapters
#
# A video adapter adds something to each token. How much, relative to the token, block by block? A
# forward hook measures it while a session streams the frames.

# %%
shares = {block: [] for block in range(len(network.adapters))}


def measure(block):
    """A hook that keeps the relative size of what an adapter adds."""

    def hook(module, inputs, output):
        token = inputs[0]
        shares[block].append(((output - token).norm() / token.norm()).item())

    return hook


hooks = [a.register_forward_hook(measure(b)) for b, a in enumerate(network.adapters)]
session = pta.StreamingSession(bundle)
streamed = [session.step(frame.points, frame.stamp_ns) for frame in frames]
for hook in hooks:
    hook.remove()

figure, axes = plt.subplots(figsize=(6, 3))
axes.bar(list(shares), [100 * np.mean(values) for values in shares.values()])
axes.set(xlabel='block', ylabel='change by the adapter (%)')
figure.tight_layout()
plt.show()

# %% [markdown]
# Does the past change the labels? A fresh session sees the last frame alone. Where its prediction
# differs, history has an influence.

# %%
alone = pta.StreamingSession(bundle).step(frames[-1].points, frames[-1].stamp_ns)
changed = alone.labels != streamed[-1].labels
points = frames[-1].points
print(f'history changes {100 * changed.mean():.1f} % of the labels')

figure, axes = plt.subplots(figsize=(7, 7))
axes.scatter(points[:, 0], points[:, 1], c='lightgrey', s=1)
axes.scatter(points[changed, 0], points[changed, 1], c='tab:red', s=2)
show(axes, 'labels that history changes')
plt.show()

# %% [markdown]
# ## The transport plan
#
# Stage 1 of training brings the tokens of a sensor close to tokens of 3D shapes. The measure is
# an optimal transport distance: the cheapest plan that moves one set of features to the other.
# Here are the plans between tokens of the street and tokens of shapes, summed by class and by
# group of shapes.
#
# The tokens of the street come from the default bundle's embedder, those of the shapes from the
# frozen patch encoder of the backbone.

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
    geometry = frame_geometry(points[None], None, network.config.geometry)
    return embedder(points[None], None, geometry.centres, geometry.patch_index)[0], geometry


rng = np.random.default_rng(0)
shape_tokens, families = [], []
for number, family in enumerate(FAMILIES):
    samples = sample_surface(generate(family, seed=1), 1024, rng)
    found, _ = tokens_of(embedder, torch.from_numpy(samples.points).float())
    shape_tokens.append(found[::4])
    families += [number] * len(shape_tokens[-1])
shape_tokens, families = torch.cat(shape_tokens), np.array(families)
street_tokens, geometry = tokens_of(network.embedder, prepared[-1].points)

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
