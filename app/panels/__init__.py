"""Parts of pages that know the session: they read the state, ask a service, place components."""
