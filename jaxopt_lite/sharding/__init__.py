"""Where the state lives: derived from where the parameters live.

`state_sharding` says it, `init_state` makes the state there, and `zero1` splits the
state of each parameter over the devices that hold copies of it.
"""

from jaxopt_lite.sharding.state import init_state as init_state
from jaxopt_lite.sharding.state import state_sharding as state_sharding
from jaxopt_lite.sharding.zero import zero1 as zero1
