"""Every rule, optimizer and schedule again in NumPy float64, written from its formula.

Nothing here imports JAX, Optax or the package that it judges.
"""
