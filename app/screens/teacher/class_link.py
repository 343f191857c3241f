"""What a link for a class is made of: the address of this server, a screen, hidden controls."""

import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from app.session import page_url, pages, properties

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+(/[A-Za-z0-9.\-_~/]*)?")
_ONLY_HERE = re.compile(r"localhost|127\.[0-9.]+|::1|0\.0\.0\.0")


def own_address() -> str:
    """Where this browser has found the app, without the page; a likely one if that would lead
    nobody else here."""
    here = str(st.context.url or "http://localhost:8501")
    parts = urlsplit(here)
    path = parts.path.rstrip("/").rpartition("/")[0]
    if only_here(here) and not listens_here_only():
        address, port = _machine_address(), parts.port
        if address:
            return f"{parts.scheme}://{address}{f':{port}' if port else ''}{path}"
    return f"{parts.scheme}://{parts.netloc}{path}"


def only_here(address: str) -> bool:
    """Whether an address means the machine of whoever types it."""
    return bool(_ONLY_HERE.fullmatch(urlsplit(address).hostname or ""))


def listens_here_only() -> bool:
    """Whether this server answers nobody but its own machine."""
    address = str(st.get_option("server.address") or "")
    return bool(address) and address != "0.0.0.0" and bool(_ONLY_HERE.fullmatch(address))


def checked_address(text: str) -> str:
    """An address that links can begin with. Raises BadValueError."""
    address = text.strip().rstrip("/")
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    if not host or not _ADDRESS.fullmatch(address):
        raise properties.BadValueError(
            "an address such as http://192.168.1.20:8501, without a ? or #"
        )
    return address


def class_link(address: str, page: str, values: Mapping[str, Any]) -> tuple[str, bool]:
    """The whole link, and whether this server has to keep a part of it.

    page: as code names it. values: properties that differ from their defaults.
    """
    query = page_url.query_of(values, {})
    kept = any(text.startswith("@") for text in query.values())
    end = f"?{urlencode(query)}" if query else ""
    return f"{address}/{pages.address(page)}{end}", kept


def _machine_address() -> str:
    """This machine's address in its network, as far as it knows; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is kept free for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return ""
