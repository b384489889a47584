"""How the state and the parameters are kept between steps in few bytes."""
