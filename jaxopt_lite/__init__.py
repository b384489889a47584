"""Composable gradient transformations for JAX."""

# Classic optimizers
from jaxopt_lite.optimizers.sgd import sgd as sgd
from jaxopt_lite.optimizers.adaptive import adagrad as adagrad
from jaxopt_lite.optimizers.adaptive import rmsprop as rmsprop
from jaxopt_lite.optimizers.adaptive import adam as adam
from jaxopt_lite.optimizers.adaptive import adamw as adamw
from jaxopt_lite.optimizers.adaptive import nadam as nadam
from jaxopt_lite.optimizers.adaptive import nadamw as nadamw

# Optimizers akin to Adam
from jaxopt_lite.optimizers.adam_like import radam as radam
from jaxopt_lite.optimizers.maximum import amsgrad as amsgrad
from jaxopt_lite.optimizers.maximum import adamax as adamax
from jaxopt_lite.optimizers.maximum import adamaxw as adamaxw
from jaxopt_lite.optimizers.adam_like import adabelief as adabelief
from jaxopt_lite.optimizers.adam_like import yogi as yogi
from jaxopt_lite.optimizers.adam_like import acprop as acprop
from jaxopt_lite.optimizers.mixtures import adopt as adopt
from jaxopt_lite.optimizers.mixtures import adan as adan
from jaxopt_lite.optimizers.mixtures import ademamix as ademamix
from jaxopt_lite.optimizers.mixtures import simplified_ademamix as simplified_ademamix
from jaxopt_lite.optimizers.optimistic import optimistic_adam as optimistic_adam
from jaxopt_lite.optimizers.optimistic import optimistic_adam_v2 as optimistic_adam_v2

# Optimizers that find their step size
from jaxopt_lite.optimizers.d_adaptation import prodigy as prodigy
from jaxopt_lite.optimizers.d_adaptation import dadapt_adamw as dadapt_adamw
from jaxopt_lite.optimizers.dog import dog as dog
from jaxopt_lite.optimizers.dog import dowg as dowg
from jaxopt_lite.optimizers.polyak import momo as momo
from jaxopt_lite.optimizers.polyak import momo_adam as momo_adam
from jaxopt_lite.optimizers.polyak import polyak_sgd as polyak_sgd
from jaxopt_lite.optimizers.selfscaled import adadelta as adadelta
from jaxopt_lite.optimizers.selfscaled import cocob as cocob
from jaxopt_lite.optimizers.schedule_free import (
    schedule_free_adamw as schedule_free_adamw,
)
from jaxopt_lite.optimizers.schedule_free import schedule_free_sgd as schedule_free_sgd

# Optimizers by sign
from jaxopt_lite.optimizers.mixtures import lion as lion
from jaxopt_lite.optimizers.signs import sign_sgd as sign_sgd
from jaxopt_lite.optimizers.signs import signum as signum
from jaxopt_lite.optimizers.signs import rprop as rprop

# Optimizers by layer
from jaxopt_lite.optimizers.layerwise import lamb as lamb
from jaxopt_lite.optimizers.layerwise import lars as lars
from jaxopt_lite.optimizers.layerwise import novograd as novograd
from jaxopt_lite.optimizers.layerwise import fromage as fromage

# Optimizers of matrices, and with little memory
from jaxopt_lite.optimizers.matrix import muon as muon
from jaxopt_lite.optimizers.adafactor import adafactor as adafactor
from jaxopt_lite.optimizers.came import came as came
from jaxopt_lite.optimizers.sm3 import sm3 as sm3
from jaxopt_lite.optimizers.adam_mini import adam_mini as adam_mini
from jaxopt_lite.optimizers.matrix import galore as galore

# Optimizers with curvature
from jaxopt_lite.optimizers.quasi_newton import lbfgs as lbfgs
from jaxopt_lite.optimizers.curvature import sophia as sophia

# Other optimizers
from jaxopt_lite.optimizers.selfscaled import madgrad as madgrad
from jaxopt_lite.optimizers.optimistic import (
    optimistic_gradient_descent as optimistic_gradient_descent,
)
from jaxopt_lite.optimizers.noisy import noisy_sgd as noisy_sgd
from jaxopt_lite.optimizers.noisy import dpsgd as dpsgd

# Steps
from jaxopt_lite.rules.scaling import scale as scale
from jaxopt_lite.rules.scaling import scale_by_learning_rate as scale_by_learning_rate
from jaxopt_lite.rules.scaling import scale_by_schedule as scale_by_schedule
from jaxopt_lite.combine.decay import add_decayed_weights as add_decayed_weights
from jaxopt_lite.combine.decay import (
    independent_weight_decay as independent_weight_decay,
)
from jaxopt_lite.rules.plateau import reduce_on_plateau as reduce_on_plateau
from jaxopt_lite.core.transformation import identity as identity
from jaxopt_lite.combine.stateless import set_to_zero as set_to_zero
from jaxopt_lite.combine.stateless import stateless as stateless
from jaxopt_lite.combine.stateless import (
    stateless_with_tree_map as stateless_with_tree_map,
)

# Clipping and norms
from jaxopt_lite.rules.clipping import clip as clip
from jaxopt_lite.rules.clipping import clip_by_global_norm as clip_by_global_norm
from jaxopt_lite.rules.unitwise import clip_by_block_rms as clip_by_block_rms
from jaxopt_lite.rules.unitwise import adaptive_grad_clip as adaptive_grad_clip
from jaxopt_lite.rules.unitwise import unitwise_clip as unitwise_clip
from jaxopt_lite.rules.unitwise import unitwise_norm as unitwise_norm
from jaxopt_lite.rules.normalize import normalize as normalize
from jaxopt_lite.rules.normalize import (
    normalize_by_update_norm as normalize_by_update_norm,
)
from jaxopt_lite.rules.norms import scale_by_trust_ratio as scale_by_trust_ratio
from jaxopt_lite.rules.norms import (
    scale_by_param_block_norm as scale_by_param_block_norm,
)
from jaxopt_lite.rules.norms import scale_by_param_block_rms as scale_by_param_block_rms
from jaxopt_lite.rules.norms import centralize as centralize
from jaxopt_lite.rules.constraints import zero_nans as zero_nans
from jaxopt_lite.rules.constraints import (
    keep_params_nonnegative as keep_params_nonnegative,
)

# Directions
from jaxopt_lite.rules.momentum import trace as trace
from jaxopt_lite.rules.momentum import ema as ema
from jaxopt_lite.rules.adam import scale_by_adam as scale_by_adam
from jaxopt_lite.rules.rms import scale_by_rms as scale_by_rms
from jaxopt_lite.rules.rms import scale_by_rss as scale_by_rss
from jaxopt_lite.rules.rms import scale_by_stddev as scale_by_stddev
from jaxopt_lite.rules.radam import scale_by_radam as scale_by_radam
from jaxopt_lite.rules.maximum import scale_by_amsgrad as scale_by_amsgrad
from jaxopt_lite.rules.maximum import scale_by_adamax as scale_by_adamax
from jaxopt_lite.rules.belief import scale_by_belief as scale_by_belief
from jaxopt_lite.rules.yogi import scale_by_yogi as scale_by_yogi
from jaxopt_lite.rules.belief import scale_by_acprop as scale_by_acprop
from jaxopt_lite.rules.adopt import scale_by_adopt as scale_by_adopt
from jaxopt_lite.rules.adan import scale_by_adan as scale_by_adan
from jaxopt_lite.rules.ademamix import scale_by_ademamix as scale_by_ademamix
from jaxopt_lite.rules.ademamix import (
    scale_by_simplified_ademamix as scale_by_simplified_ademamix,
)
from jaxopt_lite.rules.lion import scale_by_lion as scale_by_lion
from jaxopt_lite.rules.sign import scale_by_sign as scale_by_sign
from jaxopt_lite.rules.sign import scale_by_rprop as scale_by_rprop
from jaxopt_lite.rules.novograd import scale_by_novograd as scale_by_novograd
from jaxopt_lite.rules.optimistic import (
    scale_by_optimistic_gradient as scale_by_optimistic_gradient,
)
from jaxopt_lite.rules.adadelta import scale_by_adadelta as scale_by_adadelta
from jaxopt_lite.rules.cocob import scale_by_cocob as scale_by_cocob
from jaxopt_lite.rules.madgrad import scale_by_madgrad as scale_by_madgrad
from jaxopt_lite.rules.distance import (
    scale_by_distance_over_gradients as scale_by_distance_over_gradients,
)
from jaxopt_lite.rules.dog import scale_by_dog as scale_by_dog
from jaxopt_lite.rules.dog import scale_by_dowg as scale_by_dowg
from jaxopt_lite.rules.polyak import scale_by_polyak as scale_by_polyak
from jaxopt_lite.rules.factored import scale_by_factored_rms as scale_by_factored_rms
from jaxopt_lite.rules.came import scale_by_came as scale_by_came
from jaxopt_lite.rules.sm3 import scale_by_sm3 as scale_by_sm3
from jaxopt_lite.rules.adam_mini import scale_by_adam_mini as scale_by_adam_mini
from jaxopt_lite.rules.muon import scale_by_muon as scale_by_muon
from jaxopt_lite.rules.muon import MuonDimensionNumbers as MuonDimensionNumbers
from jaxopt_lite.rules.muon import scale_by_shape as scale_by_shape
from jaxopt_lite.rules.newton_schulz import (
    orthogonalize_via_newton_schulz as orthogonalize_via_newton_schulz,
)
from jaxopt_lite.rules.lbfgs import scale_by_lbfgs as scale_by_lbfgs
from jaxopt_lite.combine.sophia import scale_by_sophia as scale_by_sophia
from jaxopt_lite.combine.sophia import (
    hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian,
)

# Line searches
from jaxopt_lite.linesearch.backtracking import (
    scale_by_backtracking_linesearch as scale_by_backtracking_linesearch,
)
from jaxopt_lite.linesearch.zoom import (
    scale_by_zoom_linesearch as scale_by_zoom_linesearch,
)
from jaxopt_lite.linesearch.value import (
    value_and_grad_from_state as value_and_grad_from_state,
)

# Noise and privacy
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

# Looking at updates
from jaxopt_lite.combine.recording import record as record
from jaxopt_lite.report.metrics import metrics as metrics
from jaxopt_lite.combine.monitoring import monitor as monitor
from jaxopt_lite.combine.monitoring import snapshot as snapshot
from jaxopt_lite.combine.monitoring import measure_with_ema as measure_with_ema

# Chains and groups
from jaxopt_lite.combine.chain import chain as chain
from jaxopt_lite.combine.chain import named_chain as named_chain
from jaxopt_lite.combine.masking import masked as masked
from jaxopt_lite.combine.partition import partition as partition
from jaxopt_lite.combine.masking import freeze as freeze
from jaxopt_lite.combine.partition import selective_transform as selective_transform
from jaxopt_lite.combine.unfreezing import unfreeze as unfreeze
from jaxopt_lite.combine.foreign import (
    with_extra_args_support as with_extra_args_support,
)

# When to step
from jaxopt_lite.combine.guard import apply_if_finite as apply_if_finite
from jaxopt_lite.combine.spikes import skip_spikes as skip_spikes
from jaxopt_lite.combine.accumulation import MultiSteps as MultiSteps
from jaxopt_lite.combine.microbatches import accumulate as accumulate
from jaxopt_lite.combine.accumulation import apply_every as apply_every
from jaxopt_lite.combine.skipping import skip_not_finite as skip_not_finite
from jaxopt_lite.combine.skipping import skip_large_updates as skip_large_updates
from jaxopt_lite.combine.condition import (
    conditionally_transform as conditionally_transform,
)
from jaxopt_lite.combine.condition import conditionally_mask as conditionally_mask

# Averages and points to evaluate at
from jaxopt_lite.combine.evaluation import eval_params as eval_params
from jaxopt_lite.combine.averaging import param_ema as param_ema
from jaxopt_lite.combine.lookahead import lookahead as lookahead
from jaxopt_lite.combine.lookahead import LookaheadParams as LookaheadParams
from jaxopt_lite.combine.schedule_free import schedule_free as schedule_free
from jaxopt_lite.combine.schedule_free import (
    schedule_free_eval_params as schedule_free_eval_params,
)
from jaxopt_lite.combine.sam import sam as sam
from jaxopt_lite.combine.mechanize import mechanize as mechanize

# Layouts
from jaxopt_lite.combine.layout import flatten as flatten
from jaxopt_lite.combine.layout import (
    split_real_and_imaginary as split_real_and_imaginary,
)
from jaxopt_lite.combine.galore import scale_by_galore as scale_by_galore
from jaxopt_lite.combine.galore import GaLoreDimensionNumbers as GaLoreDimensionNumbers

# By path
from jaxopt_lite.core.paths import by_path as by_path
from jaxopt_lite.core.paths import weights_only as weights_only
from jaxopt_lite.schedules.layers import layerwise_decay as layerwise_decay

# Hyperparameters
from jaxopt_lite.report.hyperparameters import get_hyperparams as get_hyperparams
from jaxopt_lite.report.hyperparameters import set_hyperparams as set_hyperparams
from jaxopt_lite.combine.inject import inject_hyperparams as inject_hyperparams
from jaxopt_lite.schedules.stateful import StatefulSchedule as StatefulSchedule
from jaxopt_lite.schedules.stateful import WrappedSchedule as WrappedSchedule

# Schedules
from jaxopt_lite.schedules.curves import constant_schedule as constant_schedule
from jaxopt_lite.schedules.curves import cosine_decay_schedule as cosine_decay_schedule
from jaxopt_lite.schedules.curves import exponential_decay as exponential_decay
from jaxopt_lite.schedules.curves import linear_schedule as linear_schedule
from jaxopt_lite.schedules.curves import polynomial_schedule as polynomial_schedule
from jaxopt_lite.schedules.piecewise import (
    piecewise_constant_schedule as piecewise_constant_schedule,
)
from jaxopt_lite.schedules.piecewise import (
    piecewise_interpolate_schedule as piecewise_interpolate_schedule,
)
from jaxopt_lite.schedules.onecycle import (
    cosine_onecycle_schedule as cosine_onecycle_schedule,
)
from jaxopt_lite.schedules.onecycle import (
    linear_onecycle_schedule as linear_onecycle_schedule,
)
from jaxopt_lite.schedules.warmup import inverse_sqrt_schedule as inverse_sqrt_schedule
from jaxopt_lite.schedules.warmup import (
    warmup_constant_schedule as warmup_constant_schedule,
)
from jaxopt_lite.schedules.warmup import (
    warmup_cosine_decay_schedule as warmup_cosine_decay_schedule,
)
from jaxopt_lite.schedules.warmup import (
    warmup_exponential_decay_schedule as warmup_exponential_decay_schedule,
)
from jaxopt_lite.schedules.cooldown import cooldown_schedule as cooldown_schedule
from jaxopt_lite.schedules.cooldown import (
    warmup_stable_decay_schedule as warmup_stable_decay_schedule,
)
from jaxopt_lite.schedules.joined import join_schedules as join_schedules
from jaxopt_lite.schedules.joined import sgdr_schedule as sgdr_schedule

# State in few bytes
from jaxopt_lite.storage.store import store_state as store_state
from jaxopt_lite.storage.store import offload_state as offload_state
from jaxopt_lite.storage.blocks import Blocks as Blocks
from jaxopt_lite.storage.floats import Bfloat16 as Bfloat16
from jaxopt_lite.storage.floats import Float32 as Float32

# Parameters in bfloat16
from jaxopt_lite.storage.rounding import stochastic_rounding as stochastic_rounding
from jaxopt_lite.storage.rounding import kahan as kahan
from jaxopt_lite.storage.rounding import master_weights as master_weights

# Writing your own
from jaxopt_lite.core.codec import Codec as Codec
from jaxopt_lite.core.hyperparameters import Schedule as Schedule
from jaxopt_lite.core.leafwise import leafwise as leafwise
from jaxopt_lite.core.rule import Rule as Rule
from jaxopt_lite.core.rule import SharedRule as SharedRule
from jaxopt_lite.core.transformation import (
    GradientTransformation as GradientTransformation,
)
from jaxopt_lite.core.types import Exact as Exact
from jaxopt_lite.core.types import Kind as Kind
from jaxopt_lite.core.types import NonNegative as NonNegative
from jaxopt_lite.core.types import PerAxis as PerAxis
from jaxopt_lite.core.types import Signed as Signed

# Using and looking
from jaxopt_lite.core.numerics import abs_sq as abs_sq
from jaxopt_lite.core.numerics import global_norm as global_norm
from jaxopt_lite.core.numerics import safe_increment as safe_increment
from jaxopt_lite.core.numerics import safe_norm as safe_norm
from jaxopt_lite.core.numerics import safe_root_mean_squares as safe_root_mean_squares
from jaxopt_lite.core.transformation import apply_updates as apply_updates
from jaxopt_lite.tree.updates import incremental_update as incremental_update
from jaxopt_lite.tree.updates import periodic_update as periodic_update
from jaxopt_lite.report.summary import summary as summary
from jaxopt_lite.report.explain import explain as explain

# Trees
from jaxopt_lite import projections as projections
from jaxopt_lite import tree as tree

# Sweeps
from jaxopt_lite import sweep as sweep

# Sharded state
from jaxopt_lite import sharding as sharding

# States
from jaxopt_lite.core.codec import Coded as Coded
from jaxopt_lite.storage.rounding import RoundedState as RoundedState
from jaxopt_lite.combine.inject import (
    InjectStatefulHyperparamsState as InjectStatefulHyperparamsState,
)
from jaxopt_lite.schedules.stateful import WrappedScheduleState as WrappedScheduleState
from jaxopt_lite.combine.galore import GaLoreState as GaLoreState
from jaxopt_lite.combine.sam import SAMState as SAMState
from jaxopt_lite.combine.schedule_free import ScheduleFreeState as ScheduleFreeState
from jaxopt_lite.combine.sophia import HutchinsonState as HutchinsonState
from jaxopt_lite.combine.sophia import SophiaState as SophiaState
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
from jaxopt_lite.combine.spikes import SkipSpikesState as SkipSpikesState
from jaxopt_lite.combine.lookahead import LookaheadState as LookaheadState
from jaxopt_lite.combine.layout import (
    SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays,
)
from jaxopt_lite.combine.layout import (
    SplitRealAndImaginaryState as SplitRealAndImaginaryState,
)
from jaxopt_lite.combine.recording import RecordState as RecordState
from jaxopt_lite.combine.monitoring import MonitorState as MonitorState
from jaxopt_lite.combine.monitoring import SnapshotState as SnapshotState
from jaxopt_lite.combine.noise import AddNoiseState as AddNoiseState
from jaxopt_lite.combine.privacy import (
    DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState,
)
from jaxopt_lite.rules.constraints import ZeroNansState as ZeroNansState
from jaxopt_lite.rules.dadapt import DAdaptAdamWState as DAdaptAdamWState
from jaxopt_lite.rules.dog import DoGState as DoGState
from jaxopt_lite.rules.dog import DoWGState as DoWGState
from jaxopt_lite.rules.momo import MomoAdamState as MomoAdamState
from jaxopt_lite.rules.momo import MomoState as MomoState
from jaxopt_lite.rules.plateau import (
    ReduceLROnPlateauState as ReduceLROnPlateauState,
)
from jaxopt_lite.rules.prodigy import ProdigyState as ProdigyState
from jaxopt_lite.combine.masking import MaskedState as MaskedState
from jaxopt_lite.combine.mechanize import MechanicState as MechanicState
from jaxopt_lite.combine.partition import PartitionState as PartitionState
from jaxopt_lite.core.rule import CountedState as CountedState
from jaxopt_lite.core.rule import ScaleByScheduleState as ScaleByScheduleState
from jaxopt_lite.core.transformation import EmptyState as EmptyState
from jaxopt_lite.core.trees import MaskedNode as MaskedNode
from jaxopt_lite.rules.adam import ScaleByAdamState as ScaleByAdamState
from jaxopt_lite.rules.adam_mini import ScaleByAdamMiniState as ScaleByAdamMiniState
from jaxopt_lite.rules.adan import ScaleByAdanState as ScaleByAdanState
from jaxopt_lite.rules.ademamix import ScaleByAdemamixState as ScaleByAdemamixState
from jaxopt_lite.rules.ademamix import (
    ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState,
)
from jaxopt_lite.rules.belief import ScaleByBeliefState as ScaleByBeliefState
from jaxopt_lite.rules.lion import ScaleByLionState as ScaleByLionState
from jaxopt_lite.rules.maximum import ScaleByAmsgradState as ScaleByAmsgradState
from jaxopt_lite.rules.came import ScaleByCAMEState as ScaleByCAMEState
from jaxopt_lite.rules.factored import FactoredState as FactoredState
from jaxopt_lite.rules.muon import MuonState as MuonState
from jaxopt_lite.rules.sm3 import ScaleBySM3State as ScaleBySM3State
from jaxopt_lite.linesearch.backtracking import (
    ScaleByBacktrackingLinesearchState as ScaleByBacktrackingLinesearchState,
)
from jaxopt_lite.linesearch.zoom import (
    ScaleByZoomLinesearchState as ScaleByZoomLinesearchState,
)
from jaxopt_lite.linesearch.zoom import ZoomLinesearchInfo as ZoomLinesearchInfo
from jaxopt_lite.rules.lbfgs import ScaleByLBFGSState as ScaleByLBFGSState
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
from jaxopt_lite.rules.adadelta import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from jaxopt_lite.rules.cocob import COCOBState as COCOBState
from jaxopt_lite.rules.distance import (
    ScaleByDistanceOverGradientsState as ScaleByDistanceOverGradientsState,
)
from jaxopt_lite.rules.madgrad import MadgradState as MadgradState
from jaxopt_lite.rules.novograd import ScaleByNovogradState as ScaleByNovogradState
from jaxopt_lite.rules.optimistic import (
    ScaleByOptimisticGradientState as ScaleByOptimisticGradientState,
)
from jaxopt_lite.rules.sign import ScaleByRpropState as ScaleByRpropState

__version__ = "0.1.0"
