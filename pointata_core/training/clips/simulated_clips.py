# SPDX-License-Identifier: Apache-2.0
"""Prepared clips straight from the LiDAR simulator, several processes, resumable."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig
from pointata_core.training.clips.prepared_clips import LabelledFrame, prepare_clip, write_clip


@dataclass(frozen=True)
class SceneJob:
    """One clip to simulate.

    Attributes:
        scene: ``street``, ``yard`` or ``indoor``.
        sensor: Name of a sensor preset.
        seed: Of scene and sensor noise.
        frames: Number of frames.
        rate_hz: Frames per second.
    """

    scene: str
    sensor: str
    seed: int
    frames: int
    rate_hz: float = 10.0

    @property
    def name(self) -> str:
        """File stem that tells jobs apart."""
        return f'{self.scene}_{self.sensor}_{self.seed:06d}_{self.frames}f'


def simulated_frames(job: SceneJob) -> Iterable[LabelledFrame]:
    """Run the simulator for one job."""
    from pointata_core.simulation import simulate

    frames = simulate(job.scene, job.sensor, job.seed, job.frames / job.rate_hz, job.rate_hz)
    for frame in frames:
        yield LabelledFrame(frame.points, frame.label, frame.action)


def prepare_jobs(
    directory: Path,
    jobs: Sequence[SceneJob],
    preparation: PreparationConfig,
    geometry: GeometryConfig,
    classes: int,
    processes: int = 2,
) -> list[Path]:
    """Simulate and prepare every job that is not on disk yet; return all files.

    Args:
        directory: Where the prepared clips go.
        jobs: What to simulate.
        preparation: Voxels and normalisation.
        geometry: Tokens and patches.
        classes: Number of segmentation classes.
        processes: Worker processes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f'{job.name}.npz' for job in jobs]
    missing = [
        (job, path, preparation, geometry, classes)
        for job, path in zip(jobs, paths, strict=True)
        if not path.exists()
    ]
    if missing:
        # Spawned, not forked: torch's threads do not survive a fork.
        with multiprocessing.get_context('spawn').Pool(processes, _single_thread) as pool:
            work = pool.imap_unordered(_prepare, missing)
            for _ in track(work, description='simulating', total=len(missing)):
                pass
    return paths


def _single_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _prepare(
    task: tuple[SceneJob, Path, PreparationConfig, GeometryConfig, int],
) -> None:
    job, path, preparation, geometry, classes = task
    frames = simulated_frames(job)
    write_clip(path, prepare_clip(frames, FramePreparer(preparation), geometry, classes))
