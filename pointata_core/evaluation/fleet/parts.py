# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long recordings in parts that run side by side, with the results of one run.

A prediction depends on a bounded number of frames. So a part first takes up the frames before its
own, and then stands where the part before it ends. This is checked: each part keeps a digest of the
state at its begin and at its end. Parts whose states differ are not joined.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard

from pointata_core.evaluation.bag_run import Part, truth_notes
from pointata_core.evaluation.fleet.task import FleetTask, stored_part
from pointata_core.evaluation.recorded import Recorded
from pointata_core.evaluation.recorder import RunFacts, RunRecorder
from pointata_core.evaluation.results import EvaluationResults

_PIECE_BYTES = 1 << 20


def split(frames: int, most: int) -> list[Part | None]:
    """Parts of a stream, about equally long; ``[None]`` for the whole.

    Args:
        frames: Of the stream.
        most: Frames of a part; 0 = do not split.
    """
    count = math.ceil(frames / most) if most else 1
    if count < 2:
        return [None]
    starts = [frames * number // count for number in range(count)]
    stops: list[int | None] = [*starts[1:], None]
    return [Part(start, stop) for start, stop in zip(starts, stops)]


def join(parts: Sequence[FleetTask]) -> EvaluationResults | None:
    """Results of a stream from those of its parts; ``None`` where the parts do not meet.

    Raises:
        PointataError: A part is absent or damaged.
    """
    facts = [stored_part(part) for part in parts]
    stored = [one for one in facts if one is not None]
    meet = (a['stop_sha256'] == b['start_sha256'] for a, b in pairwise(stored))
    if len(stored) < len(parts) or not all(meet):
        return None
    last = stored[-1]['run']
    bundle = last['bundle']
    recorder = RunRecorder(bundle['segmentation_classes'], bundle['action_classes'], 0)
    digest = hashlib.sha256()
    for part, one in zip(parts, stored):
        recorded = Recorded.load(part.file('.npz'), recorder.segmentation_classes)
        if not _add_labels(digest, part.file('.labels.zst'), one['labels_sha256']):
            return None
        recorder.recorded.extend(recorded)
    recorder.recorded.thin_snapshots()
    stream = parts[0].stream
    bad_truth: Counter[str] = Counter()
    for one in stored:
        bad_truth.update(one['bad_truth'])
    unusable = truth_notes(bad_truth)
    run = RunFacts(
        kind='bag',
        source=stream.recording.path,
        topic=stream.topic,
        frames=sum(one['frames'] for one in stored),
        wall_s=sum(one['wall_s'] for one in stored),
        bundle=bundle,
        device=last['device'],
        state_bytes=last['state_bytes'],
        peak_rss_bytes=max(one['run']['peak_rss_bytes'] or 0 for one in stored) or None,
        notes=(*dict.fromkeys(note for one in stored for note in one['notes']), *unusable),
    )
    return recorder.results(run, digest.hexdigest())


def _add_labels(digest: Any, file: Path, expected: str) -> bool:
    own = hashlib.sha256()
    try:
        with (
            file.open('rb') as packed,
            zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as labels,
        ):
            while piece := labels.read(_PIECE_BYTES):
                digest.update(piece)
                own.update(piece)
    except (OSError, zstandard.ZstdError):
        return False
    return own.hexdigest() == expected
