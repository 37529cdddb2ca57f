# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far apart two sets of labelled features are: OTDD by POT, with MMD and means as controls.

Everything is a callable of target features (B, D) and labels (B,) that returns a differentiable
scalar (`AlignmentLoss`); the source set is given once, and what depends on it alone is kept.
"""

from pointata_core.transport.alignment import AlignmentLoss, PerClass, alignment_loss
from pointata_core.transport.controls import MeanLoss, MmdLoss
from pointata_core.transport.labelled import TransportError
from pointata_core.transport.otdd import OtddConfig, OtddLoss, OtddMeasurement
from pointata_core.transport.scaling import FeatureScaling
from pointata_core.transport.sinkhorn import ConvergenceWarning

__all__ = [
    'AlignmentLoss',
    'ConvergenceWarning',
    'FeatureScaling',
    'MeanLoss',
    'MmdLoss',
    'OtddConfig',
    'OtddLoss',
    'OtddMeasurement',
    'PerClass',
    'TransportError',
    'alignment_loss',
]
