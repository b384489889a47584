"""The conformance battery: the laws that every gradient transformation keeps.

`check_transformation(tx)` proves them for any transformation, ours, Optax's or a
user's own, and reports all that fail.
"""

from jaxopt_lite.testing.battery import LawViolation as LawViolation
from jaxopt_lite.testing.battery import check_transformation as check_transformation
from jaxopt_lite.testing.compare import Problem as Problem
from jaxopt_lite.testing.laws import LAWS as LAWS
