# SPDX-License-Identifier: Apache-2.0
"""How Lightning is set up for a run: device, precision, processes, logs, checkpoints."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from pointata_core.errors import ConfigError
from pointata_core.models.linear import has_fast_bfloat16
from pointata_core.training.skill.settings import TrainingSettings

CHECKPOINT = 'last.ckpt'


def chosen_device(settings: TrainingSettings) -> torch.device:
    """Return the device of this process.

    Raises:
        ConfigError: A GPU is asked for and there is none.
    """
    cuda = torch.cuda.is_available()
    if settings.device == 'gpu' and not cuda:
        raise ConfigError('device is gpu, and torch finds none', 'Choose device=auto or cpu')
    if settings.device != 'cpu' and cuda:
        return torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))
    return torch.device('cpu')


def uses_bf16(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether to compute in bfloat16; ``auto`` asks whether the device has instructions for it."""
    if settings.precision != 'auto':
        return settings.precision == 'bf16'
    return has_fast_bfloat16(device)


def make_trainer(
    settings: TrainingSettings, folder: Path, epochs: int, *, quiet: bool = False
) -> lightning.Trainer:
    """Set a trainer up.

    Args:
        settings: Of the run.
        folder: Checkpoint and logs go here.
        epochs: To train for.
        quiet: Show no progress bar.
    """
    # Advertisements and what the settings say anyway.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    device = chosen_device(settings)
    local = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    world = int(os.environ.get('WORLD_SIZE', 1))
    attempt = sum(1 for _ in (folder / 'logs').glob('csv/attempt_*'))
    loggers = [
        CSVLogger(folder / 'logs', name='csv', version=f'attempt_{attempt}'),
        TensorBoardLogger(folder / 'logs', name='tensorboard', version=f'attempt_{attempt}'),
    ]
    callbacks: list[Callback] = [
        LastCheckpoint(folder / CHECKPOINT, settings.checkpoint_epochs),
        LearningRateMonitor('step'),
    ]
    if not quiet:
        callbacks.append(RichProgressBar(leave=False))
    return lightning.Trainer(
        accelerator='gpu' if device.type == 'cuda' else 'cpu',
        devices=local,
        num_nodes=world // local,
        strategy='ddp' if world > 1 else 'auto',
        precision='bf16-mixed' if uses_bf16(settings, device) else '32-true',
        max_epochs=epochs,
        gradient_clip_val=settings.optimiser.clip,
        logger=loggers,
        callbacks=callbacks,
        log_every_n_steps=10,
        deterministic='warn' if device.type == 'cuda' else True,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=not quiet,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )


class LastCheckpoint(Callback):
    """Keeps the state after the last epochs in one file, replaced whole.

    Args:
        path: The file.
        every: Epochs between two writes; the last epoch is always written.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every

    def on_train_epoch_end(self, trainer: lightning.Trainer, module) -> None:
        """Write, if it is time."""
        done = trainer.current_epoch + 1
        if done % self.every and done != trainer.max_epochs:
            return
        partial = self.path.with_suffix('.part')
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self.path)


def fit(trainer: lightning.Trainer, module: lightning.LightningModule, folder: Path) -> None:
    """Train, or go on where the folder's checkpoint ends."""
    last = folder / CHECKPOINT
    with warnings.catch_warnings():
        # Frozen parts evaluate on purpose; batches are made in this process on purpose.
        warnings.filterwarnings('ignore', message='Found .* module')
        warnings.filterwarnings('ignore', message='.*does not have many workers')
        warnings.filterwarnings('ignore', message='.*logging interval')
        warnings.filterwarnings('ignore', message='.*LeafSpec')
        trainer.fit(module, ckpt_path=last if last.exists() else None, weights_only=True)
