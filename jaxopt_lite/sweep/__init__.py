"""Sweeps: many trainings at once, in one compiled program, on every device.

A configuration is a mapping of hyperparameters, a lane one training of it with one
seed. `run` trains all lanes of a space; `successive_halving` gives up on most of them
early; `population_based_training` lets them learn from each other.
"""

from jaxopt_lite.sweep.distributions import choice as choice
from jaxopt_lite.sweep.distributions import integers as integers
from jaxopt_lite.sweep.distributions import log_uniform as log_uniform
from jaxopt_lite.sweep.distributions import uniform as uniform
from jaxopt_lite.sweep.halving import Halving as Halving
from jaxopt_lite.sweep.halving import Rung as Rung
from jaxopt_lite.sweep.halving import successive_halving as successive_halving
from jaxopt_lite.sweep.population import Population as Population
from jaxopt_lite.sweep.population import (
    population_based_training as population_based_training,
)
from jaxopt_lite.sweep.result import Configuration as Configuration
from jaxopt_lite.sweep.result import Result as Result
from jaxopt_lite.sweep.result import load as load
from jaxopt_lite.sweep.run import run as run
from jaxopt_lite.sweep.sample import sample as sample
from jaxopt_lite.sweep.sample import sobol as sobol
from jaxopt_lite.sweep.space import Space as Space
from jaxopt_lite.sweep.space import grid as grid
from jaxopt_lite.sweep.space import zipped as zipped
from jaxopt_lite.sweep.stack import stack as stack
