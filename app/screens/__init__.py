"""One folder a page: `page.py` draws it, its own parts and style lie beside it."""
