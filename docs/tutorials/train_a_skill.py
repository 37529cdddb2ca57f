# %% [markdown]
# # Train a skill on your data
#
# <!--
# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
# -->
#
# This tutorial teaches the frozen backbone of the default bundle five new actions and streams a
# recording through the result. It needs the extras `train` and `pretrain`.
#
# ## 1. Data
#
# The shortest way to train on your data is to write them in a layout that the package can read.
# Here we write synthetic radar recordings in the layout of RadHAR: a blob of points that moves
# forward, back, up, down or not at all. A recording is one `.npz` file with its class in the
# name.

# %%
import tempfile
from pathlib import Path

import numpy as np

from pointata_core.datasets.actions.radhar import CLASSES

root = Path(tempfile.mkdtemp())
VELOCITIES = np.array([(0.06, 0, 0), (-0.06, 0, 0), (0, 0, 0.06), (0, 0, -0.06), (0, 0, 0)])
FRAMES, POINTS = 16, 32


def recording(label, number):
    """One recording: a list of clouds (POINTS, 3) in metres."""
    rng = np.random.default_rng([label, number])
    start = np.array([2.0, 0.0, 1.0]) + rng.normal(0, 0.1, 3)
    noise = rng.normal(0, 0.1, (FRAMES, POINTS, 3))
    return start + VELOCITIES[label] * np.arange(FRAMES)[:, None, None] + noise


(root / 'data').mkdir()
for label, name in enumerate(CLASSES):
    for number in range(10):
        clouds = recording(label, number)
        points = np.zeros((FRAMES * POINTS, 8), np.float32)  # x, y, z and five radar fields
        points[:, :3] = clouds.reshape(-1, 3)
        np.savez(
            root / 'data' / f'Train__{name}__run_{number}.npz',
            points=points,
            frame_start=np.arange(FRAMES, dtype=np.int32) * POINTS,
            frame_time=np.arange(FRAMES) / 30.0,
        )
print(f'{len(list((root / "data").iterdir()))} recordings of {len(CLASSES)} classes')

# %% [markdown]
# ## 2. Settings
#
# Settings come from YAML and from words `name.of.field=value`, as on the command line. The
# recipes in `config/training` are a good start. These settings are small, to train within
# seconds.
#
# * `preparation` fits the sensor: metres stay metres, voxels of 2 cm, one origin for the stream.
# * `geometry`: 8 tokens of 6 points are enough for so small clouds.
# * `adapted_blocks: 2` puts adapters in the last two blocks. All before them is computed once.
# * `motion_lags` adds displacement features from one and three frames before.

# %%
import yaml

import pointata_core as pta

settings_file = root / 'gestures.yaml'
settings_file.write_text(
    yaml.safe_dump(
        {
            'name': 'gestures',
            'tasks': ['clip'],
            'data': {
                'name': 'radhar',
                'sampling': {'window': 'uniform', 'frames': 8, 'pick': 'middle'},
                'variants': 2,
            },
            'preparation': {
                'origin': 'first_frame',
                'scale_m': 1.0,
                'voxel_size_m': 0.02,
                'range_knee_m': 0.0,
                'max_voxels': 64,
            },
            'augmentation': {'up_axis': 'z', 'rotation_deg': 10.0, 'scale': [0.95, 1.05]},
            'network': {
                'backbone': 'models/default',
                'geometry': {
                    'tokens': 8,
                    'patch_size': 6,
                    'tube_radius': 0.5,
                    'context_neighbours': 4,
                },
                'adapted_blocks': 2,
                'motion_lags': [1, 3],
                'readout_frames': 8,
                'position_width': 32,
            },
            'optimiser': {'epochs': 8, 'batch': 8, 'learning_rate': 2.0e-3},
            'align': {'shapes': 60, 'points': 256, 'epochs': 3, 'otdd': {'label_distance': 'none'}},
        }
    )
)
settings = pta.read_settings(
    pta.TrainingSettings,
    settings_file,
    [f'data.root={root / "data"}', f'data.cache={root / "cache"}', f'output={root / "run"}'],
)

# %% [markdown]
# ## 3. Train
#
# `run_train` prepares the clips, aligns the embedder, trains adapters and head,
# scores the validation split and leaves a bundle. The same call continues an interrupted run.

# %%
result = pta.run_train(settings)
score = result.score
print(f'{score.right} of {score.total} held-out recordings right')
print(f'OTDD before {result.align.before.otdd:.2f}, after {result.align.after.otdd:.2f}')

# %% [markdown]
# ## 4. Look at it
#
# Rows are true classes, columns predictions.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(4, 4))
axes.imshow(score.confusion, cmap='Blues')
axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45)
axes.set_yticks(range(len(CLASSES)), CLASSES)
axes.set(xlabel='prediction', ylabel='truth')
figure.tight_layout()
plt.show()

# %% [markdown]
# ## 5. Use it
#
# The bundle is ready for the node (`bundle:=...`), for `pointata evaluate` and for Python. Here a
# new recording goes through a session, cloud by cloud. The first clouds tell little about a
# motion.

# %%
bundle = pta.load_bundle(result.bundle)
session = pta.StreamingSession(bundle)
names = bundle.manifest.action_classes
for number, cloud in enumerate(recording(label=2, number=99)):
    step = session.step(cloud, stamp_ns=number * 33_000_000)
    best = int(np.argmax(step.action))
    print(f'cloud {number:2}: {names[best]:8} {step.action[best]:.2f}')
print(f'true class: {CLASSES[2]}')

# %% [markdown]
# ## Next
#
# * Compare with `tuning.mode=probe` and `tuning.mode=full`: the [training guide](../training.md)
#   lists all modes and settings.
# * `pointata train --config FILE` does the same from the command line.
# * [What the network sees](what_the_network_sees.py) looks inside.
