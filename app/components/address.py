"""The browser's address, corrected without a new entry in its history. What it says to Streamlit
alone (embed) stays."""

import streamlit as st

# Streamlit's own way of setting the query adds an entry, and a turn to another page has just
# added one without any query: a step back would stop there, at a screen that nobody has seen.
_JS = """
export default function ({ data }) {
  const { pathname, search } = window.location;
  const embeds = [...new URLSearchParams(search)].filter(([name]) => name.startsWith("embed"));
  const whole = [data.query, String(new URLSearchParams(embeds))].filter(Boolean).join("&");
  const wanted = whole && "?" + whole;
  if (search === wanted || pathname.split("/").pop() !== data.page) return;
  window.history.replaceState(window.history.state, "", pathname + wanted);
}
"""

_component = st.components.v2.component("munkey_address", js=_JS, isolate_styles=False)


def correct_address(page: str, query: str) -> None:
    """Make the address of this page end in this query, encoded; once, and if it is still there.

    page: the last part of the path, empty for the first page.
    """
    _component(key="munkey-address", data={"page": page, "query": query})
