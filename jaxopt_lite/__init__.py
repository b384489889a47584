"""Composable gradient transformations for JAX."""

# Optimizers
from jaxopt_lite.optimizers.adaptive import adagrad as adagrad
from jaxopt_lite.optimizers.adaptive import adam as adam
from jaxopt_lite.optimizers.adaptive import adamw as adamw
from jaxopt_lite.optimizers.adaptive import nadam as nadam
from jaxopt_lite.optimizers.adaptive import nadamw as nadamw
from jaxopt_lite.optimizers.adaptive import rmsprop as rmsprop
from jaxopt_lite.optimizers.noisy import dpsgd as dpsgd
from jaxopt_lite.optimizers.noisy import noisy_sgd as noisy_sgd
from jaxopt_lite.optimizers.sgd import sgd as sgd

# Transformations
from jaxopt_lite.combine.decay import add_decayed_weights as add_decayed_weights
from jaxopt_lite.combine.monitoring import measure_with_ema as measure_with_ema
from jaxopt_lite.combine.monitoring import monitor as monitor
from jaxopt_lite.combine.monitoring import snapshot as snapshot
from jaxopt_lite.combine.noise import add_noise as add_noise
from jaxopt_lite.combine.privacy import (
    differentially_private_aggregate as differentially_private_aggregate,
)
from jaxopt_lite.combine.privacy import (
    per_example_global_norm_clip as per_example_global_norm_clip,
)
from jaxopt_lite.combine.privacy import (
    per_example_layer_norm_clip as per_example_layer_norm_clip,
)
from jaxopt_lite.combine.stateless import set_to_zero as set_to_zero
from jaxopt_lite.combine.stateless import stateless as stateless
from jaxopt_lite.combine.stateless import (
    stateless_with_tree_map as stateless_with_tree_map,
)
from jaxopt_lite.core.transformation import identity as identity
from jaxopt_lite.rules.clipping import clip as clip
from jaxopt_lite.rules.clipping import clip_by_global_norm as clip_by_global_norm
from jaxopt_lite.rules.constraints import (
    keep_params_nonnegative as keep_params_nonnegative,
)
from jaxopt_lite.rules.constraints import zero_nans as zero_nans
from jaxopt_lite.rules.adam import scale_by_adam as scale_by_adam
from jaxopt_lite.rules.rms import scale_by_rms as scale_by_rms
from jaxopt_lite.rules.rms import scale_by_rss as scale_by_rss
from jaxopt_lite.rules.rms import scale_by_stddev as scale_by_stddev
from jaxopt_lite.rules.momentum import ema as ema
from jaxopt_lite.rules.momentum import trace as trace
from jaxopt_lite.rules.scaling import scale as scale
from jaxopt_lite.rules.scaling import scale_by_learning_rate as scale_by_learning_rate
from jaxopt_lite.rules.scaling import scale_by_schedule as scale_by_schedule

# Combinators
from jaxopt_lite.combine.chain import chain as chain
from jaxopt_lite.combine.chain import named_chain as named_chain
from jaxopt_lite.combine.accumulation import MultiSteps as MultiSteps
from jaxopt_lite.combine.accumulation import apply_every as apply_every
from jaxopt_lite.combine.averaging import param_ema as param_ema
from jaxopt_lite.combine.condition import conditionally_mask as conditionally_mask
from jaxopt_lite.combine.condition import (
    conditionally_transform as conditionally_transform,
)
from jaxopt_lite.combine.foreign import (
    with_extra_args_support as with_extra_args_support,
)
from jaxopt_lite.combine.guard import apply_if_finite as apply_if_finite
from jaxopt_lite.combine.lookahead import LookaheadParams as LookaheadParams
from jaxopt_lite.combine.lookahead import lookahead as lookahead
from jaxopt_lite.combine.skipping import skip_large_updates as skip_large_updates
from jaxopt_lite.combine.skipping import skip_not_finite as skip_not_finite
from jaxopt_lite.combine.layout import flatten as flatten
from jaxopt_lite.combine.layout import (
    split_real_and_imaginary as split_real_and_imaginary,
)
from jaxopt_lite.combine.masking import freeze as freeze
from jaxopt_lite.combine.masking import masked as masked
from jaxopt_lite.combine.partition import partition as partition
from jaxopt_lite.combine.partition import selective_transform as selective_transform

# By path
from jaxopt_lite.core.paths import by_path as by_path
from jaxopt_lite.core.paths import weights_only as weights_only

# Schedules
from jaxopt_lite.schedules.curves import constant_schedule as constant_schedule
from jaxopt_lite.schedules.curves import cosine_decay_schedule as cosine_decay_schedule
from jaxopt_lite.schedules.curves import exponential_decay as exponential_decay
from jaxopt_lite.schedules.curves import linear_schedule as linear_schedule
from jaxopt_lite.schedules.curves import (
    piecewise_constant_schedule as piecewise_constant_schedule,
)
from jaxopt_lite.schedules.joined import join_schedules as join_schedules
from jaxopt_lite.schedules.joined import (
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
)

# Writing your own
from jaxopt_lite.core.hyperparameters import Schedule as Schedule
from jaxopt_lite.core.leafwise import leafwise as leafwise
from jaxopt_lite.core.rule import Rule as Rule
from jaxopt_lite.core.rule import SharedRule as SharedRule
from jaxopt_lite.core.transformation import (
    GradientTransformation as GradientTransformation,
)
from jaxopt_lite.core.types import Exact as Exact
from jaxopt_lite.core.types import NonNegative as NonNegative
from jaxopt_lite.core.types import PerAxis as PerAxis
from jaxopt_lite.core.types import Signed as Signed

# Using and looking
from jaxopt_lite.core.numerics import global_norm as global_norm
from jaxopt_lite.core.transformation import apply_updates as apply_updates
from jaxopt_lite.combine.evaluation import eval_params as eval_params
from jaxopt_lite.report.summary import summary as summary

# States
from jaxopt_lite.combine.accumulation import ApplyEvery as ApplyEvery
from jaxopt_lite.combine.accumulation import MultiStepsState as MultiStepsState
from jaxopt_lite.combine.averaging import ParamEmaState as ParamEmaState
from jaxopt_lite.combine.condition import (
    ConditionallyMaskState as ConditionallyMaskState,
)
from jaxopt_lite.combine.condition import (
    ConditionallyTransformState as ConditionallyTransformState,
)
from jaxopt_lite.combine.guard import ApplyIfFiniteState as ApplyIfFiniteState
from jaxopt_lite.combine.lookahead import LookaheadState as LookaheadState
from jaxopt_lite.combine.layout import (
    SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays,
)
from jaxopt_lite.combine.layout import (
    SplitRealAndImaginaryState as SplitRealAndImaginaryState,
)
from jaxopt_lite.combine.monitoring import MonitorState as MonitorState
from jaxopt_lite.combine.monitoring import SnapshotState as SnapshotState
from jaxopt_lite.combine.noise import AddNoiseState as AddNoiseState
from jaxopt_lite.combine.privacy import (
    DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState,
)
from jaxopt_lite.rules.constraints import ZeroNansState as ZeroNansState
from jaxopt_lite.combine.masking import MaskedState as MaskedState
from jaxopt_lite.combine.partition import PartitionState as PartitionState
from jaxopt_lite.core.rule import CountedState as CountedState
from jaxopt_lite.core.rule import ScaleByScheduleState as ScaleByScheduleState
from jaxopt_lite.core.transformation import EmptyState as EmptyState
from jaxopt_lite.core.trees import MaskedNode as MaskedNode
from jaxopt_lite.rules.adam import ScaleByAdamState as ScaleByAdamState
from jaxopt_lite.rules.rms import ScaleByRmsState as ScaleByRmsState
from jaxopt_lite.rules.rms import (
    ScaleByRmsWithCountState as ScaleByRmsWithCountState,
)
from jaxopt_lite.rules.rms import ScaleByRssState as ScaleByRssState
from jaxopt_lite.rules.rms import ScaleByRStdDevState as ScaleByRStdDevState
from jaxopt_lite.rules.rms import (
    ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState,
)
from jaxopt_lite.rules.momentum import EmaState as EmaState
from jaxopt_lite.rules.momentum import TraceState as TraceState
from jaxopt_lite.rules.scaling import WeightDecaySchedule as WeightDecaySchedule

__version__ = "0.1.0"
