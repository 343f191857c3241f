"""A link as a QR code, dark on white in both modes, because many cameras read no other."""

from __future__ import annotations

from html import escape

import segno
import streamlit as st


def qr_code(link: str) -> None:
    """Draw it, as large as its place allows. link: at most some 2,000 characters."""
    picture = segno.make(link, error="m", micro=False).svg_data_uri(scale=4, border=4, light="#fff")
    text = escape(f"QR code that opens {link}", quote=True)
    st.html(f'<img class="mk-qr" src="{picture}" alt="{text}">')
