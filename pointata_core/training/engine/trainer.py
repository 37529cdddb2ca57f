# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one set-up of Lightning: device, precision, processes, logs, checkpoints, resuming.

An epoch of Lightning is the stretch of steps between two checkpoints. Batches are a function of the
step, so a run that was stopped and goes on ends with the weights of one that was not.
"""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, Dataset

from pointata_core.errors import ConfigError
from pointata_core.models.linear import has_fast_bfloat16
from pointata_core.safe_files import write_atomically
from pointata_core.training.engine.options import RunOptions
from pointata_core.training.engine.run_folder import CHECKPOINT, PREVIOUS
from pointata_core.training.engine.sampler import StepSampler

log = logging.getLogger(__name__)


def chosen_device(options: RunOptions) -> torch.device:
    """Return the device of this process.

    Raises:
        ConfigError: The options require a GPU and there is none.
    """
    cuda = torch.cuda.is_available()
    if options.device == 'gpu' and not cuda:
        raise ConfigError('device is gpu, and torch finds none', 'Choose device=auto or cpu')
    if options.device != 'cpu' and cuda:
        return torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))
    return torch.device('cpu')


def uses_bf16(options: RunOptions, device: torch.device) -> bool:
    """Whether to compute in bfloat16; ``auto`` depends on the device's instructions."""
    if options.precision != 'auto':
        return options.precision == 'bf16'
    return has_fast_bfloat16(device)


def processes() -> int:
    """Processes that train together, as torchrun starts them."""
    return int(os.environ.get('WORLD_SIZE', 1))


class StepData(lightning.LightningDataModule):
    """Batches from the step that is next up to the next checkpoint.

    Args:
        fetch: Makes a batch of a list of keys. With workers it runs in their processes.
        key: Key of each draw, see :mod:`pointata_core.training.engine.sampler`.
        batch: Draws per step, over all processes together.
        options: Of the run.
        validation: Batches to validate on at each checkpoint, if any.
    """

    def __init__(
        self,
        fetch: Callable[[list[Any]], Any],
        key: Callable[[int], Any],
        batch: int,
        options: RunOptions,
        validation: DataLoader | None = None,
    ) -> None:
        super().__init__()
        self.fetch, self.key, self.batch = fetch, key, batch
        self.options, self.validation = options, validation

    def train_dataloader(self) -> DataLoader:
        """Made anew after each checkpoint."""
        trainer = self.trainer
        assert trainer is not None
        # By steps, not epochs: a run stopped in an epoch's last step counts it as unfinished.
        first, every = trainer.global_step, self.options.checkpoint_steps
        last = min((first // every + 1) * every, trainer.max_steps)
        steps = range(first, max(first, last))
        sampler = StepSampler(self.key, self.batch, steps, trainer.global_rank, trainer.world_size)
        return DataLoader(
            _Fetched(self.fetch), sampler=sampler, batch_size=None, num_workers=self.options.workers
        )

    def val_dataloader(self) -> DataLoader | list:
        """The validation batches."""
        return [] if self.validation is None else self.validation


class _Fetched(Dataset):
    """Data set of a loader without a batch size: one item for each list of keys."""

    def __init__(self, fetch: Callable[[list[Any]], Any]) -> None:
        self.fetch = fetch

    def __getitem__(self, keys: list[Any]) -> Any:
        return self.fetch(keys)


def train(
    module: lightning.LightningModule,
    data: StepData,
    folder: Path,
    *,
    steps: int,
    clip: float | None = None,
    callbacks: Sequence[Callback] = (),
    quiet: bool = True,
) -> lightning.Trainer:
    """Train to the last step, or go on where the folder's checkpoint ends.

    Args:
        module: What is trained.
        data: Its batches; the options of the run are theirs.
        folder: Checkpoint and logs go here.
        steps: Optimiser steps of the whole run.
        clip: Largest norm of the gradient.
        callbacks: Called before a checkpoint is written; their states go into it.
        quiet: Show no progress bar.

    Raises:
        KeyboardInterrupt: The run was stopped before its last step.
    """
    trainer = make_trainer(data, folder, steps=steps, clip=clip, callbacks=callbacks, quiet=quiet)
    checkpoint = newest_checkpoint(folder)
    try:
        with warnings.catch_warnings():
            # Frozen parts evaluate on purpose; batches are made in this process on purpose.
            warnings.filterwarnings('ignore', message='Found .* module')
            warnings.filterwarnings('ignore', message='.*does not have many workers')
            warnings.filterwarnings('ignore', message='.*logging interval')
            warnings.filterwarnings('ignore', message='.*LeafSpec')
            warnings.filterwarnings('ignore', message='You have overridden `transfer_batch')
            warnings.filterwarnings('ignore', message='You passed in a `val_dataloader`')
            # A run that ended at a checkpoint has an epoch of no batches before it goes on.
            warnings.filterwarnings('ignore', message='.*Total length of .* is zero')
            warnings.filterwarnings('ignore', message='.*ended before the epoch ended')
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        # Lightning exits with status 1 after Ctrl-C, which would look like a failure.
        raise KeyboardInterrupt from error
    if trainer.interrupted or trainer.global_step < steps:
        raise KeyboardInterrupt
    return trainer


def newest_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint that can be read, with a warning where that is the one before the last.

    Returns:
        None where there is no checkpoint.

    Raises:
        ConfigError: None of those that are there can be read.
    """
    broken = []
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            torch.load(path, map_location='cpu', weights_only=True, mmap=True)
        except Exception as error:  # damaged bytes raise anything
            found = f'{path.stat().st_size} bytes, {type(error).__name__}'
            broken.append(f'{path} cannot be read ({found})')
        else:
            if broken:
                log.warning('%s; the run goes on from %s', broken[0], path)
            return path
    if broken:
        raise ConfigError(
            '; '.join(broken), f'Delete it to begin again at step 0: rm {folder}/*.ckpt'
        )
    return None


def make_trainer(
    data: StepData,
    folder: Path,
    *,
    steps: int,
    clip: float | None,
    callbacks: Sequence[Callback],
    quiet: bool,
) -> lightning.Trainer:
    """Set Lightning's trainer up, see :func:`train`."""
    # Hides advertisements and repeated settings.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    options = data.options
    device, world = chosen_device(options), processes()
    local = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    attempt = f'attempt_{sum(1 for _ in (folder / "logs").glob("csv/attempt_*"))}'
    bars = [] if quiet else [RichProgressBar(leave=False)]
    last = LastCheckpoint(folder / CHECKPOINT)
    return lightning.Trainer(
        accelerator='gpu' if device.type == 'cuda' else 'cpu',
        devices=local,
        num_nodes=world // local,
        strategy='ddp' if world > 1 else 'auto',
        precision='bf16-mixed' if uses_bf16(options, device) else '32-true',
        max_steps=steps,
        max_epochs=-1,
        gradient_clip_val=clip,
        logger=[
            CSVLogger(folder / 'logs', name='csv', version=attempt),
            TensorBoardLogger(folder / 'logs', name='tensorboard', version=attempt),
        ],
        callbacks=[*callbacks, LearningRateMonitor('step'), *bars, last],
        log_every_n_steps=10,
        deterministic='warn' if device.type == 'cuda' else True,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=not quiet,
        num_sanity_val_steps=0,
        limit_val_batches=None if data.validation else 0,
    )


class Steps(Callback):
    """Reports how many steps are done, of how many."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Report one step."""
        self.report(trainer.global_step, trainer.max_steps)


class LastCheckpoint(Callback):
    """Keeps the state after the last checkpoint in one file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Write; processes beside the first take part in collecting the state."""
        if trainer.is_global_zero:
            if self.path.is_file():
                # A second name for the file that the next step replaces.
                spare = self.path.with_name(f'.{PREVIOUS}')
                spare.unlink(missing_ok=True)
                os.link(self.path, spare)
                os.replace(spare, self.path.with_name(PREVIOUS))
            write_atomically(self.path, lambda stream: _save(trainer, stream.name))
        else:
            trainer.save_checkpoint(self.path)


def _save(trainer: lightning.Trainer, path: str) -> None:
    try:
        trainer.save_checkpoint(path)
    except RuntimeError as error:
        # torch reports a full disk in this way.
        if 'write' not in str(error):
            raise
        raise OSError(errno.ENOSPC, f'torch: {str(error).splitlines()[0]}', path) from error
