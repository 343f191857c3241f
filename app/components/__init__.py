"""Parts with a look and a script of their own, which know no session: what they show is given."""
