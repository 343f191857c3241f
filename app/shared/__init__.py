"""Parts that several pages have: they read the state, ask the session, place components."""
