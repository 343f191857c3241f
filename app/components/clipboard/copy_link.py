"""A button that puts a link on the clipboard: the address of the present screen, or another."""

from pathlib import Path

import streamlit as st

_CLIPBOARD = (Path(__file__).parent / "clipboard.js").read_text(encoding="utf-8")
_HTML = '<button type="button"><span class="text">Copy link</span></button>'
_CSS = """
button {
  width: 100%;
  padding: 7px 12px;
  border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius, 8px);
  background: var(--st-background-color);
  color: var(--st-text-color);
  font: inherit;
  font-family: var(--st-font);
  font-size: 0.875rem;
  cursor: pointer;
}
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 3px solid var(--st-text-color); outline-offset: 2px; }
"""
_JS = """
export default function (component) {
  const button = component.parentElement.querySelector("button");
  const text = button.querySelector(".text");
  button.onclick = async () => {
    const link = component.data?.link || window.location.href;
    const done = await toClipboard(link, "Copy this link:");
    text.textContent = done ? "Link copied" : "Copy link";
    setTimeout(() => (text.textContent = "Copy link"), 2500);
  };
}
"""

_component = st.components.v2.component(
    "munkey_copy_link", html=_HTML, css=_CSS, js=_CLIPBOARD + _JS
)


def copy_link(link: str = "", key: str = "copy-link") -> None:
    """Show the button. Without a link it copies the browser's own address, which can't be behind
    the screen."""
    _component(key=key, data={"link": link})
