"""Plotly's script in the browser, for components that draw with it themselves.

Streamlit keeps its own copy to itself, and loading one from elsewhere would need the internet.
The installed ``plotly`` package carries the script, so it travels once to each browser tab: a
component without anything to see gets it, compressed, as its data. Those data never change, so
Streamlit's cache of messages spares sending them again on the next run of a page. When
``window.Plotly`` is there, ``window`` hears the event ``munkey:plotly``.
"""

import gzip
from functools import cache

import streamlit as st

_SENT = "_plotly_library:sent"
_JS = """
async function load(data) {
  if (window.Plotly || window.munkeyPlotlyLoading) return;
  window.munkeyPlotlyLoading = true;
  const script = document.createElement("script");
  const unpacked = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(unpacked).blob();
  script.src = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  script.onload = () => {
    URL.revokeObjectURL(script.src);
    window.dispatchEvent(new Event("munkey:plotly"));
  };
  document.head.append(script);
}

// When the page has been left alone for a while: reading the script holds up a slow machine for a
// second, which nobody should feel under the pointer.
function whenQuiet(run) {
  let last = performance.now();
  const touched = () => (last = performance.now());
  const events = ["pointermove", "pointerdown", "keydown", "wheel"];
  for (const event of events) window.addEventListener(event, touched, { passive: true });
  const timer = setInterval(() => {
    if (performance.now() - last < 1500) return;
    clearInterval(timer);
    for (const event of events) window.removeEventListener(event, touched);
    (window.requestIdleCallback ?? setTimeout)(run);
  }, 250);
}

export default function ({ data, parentElement }) {
  if (!parentElement.querySelector(".soon")) load(data);
  // Whoever saves data or power has nothing read that no page may ask for.
  else if (!navigator.connection?.saveData) whenQuiet(() => load(data));
}
"""

_now = st.components.v2.component("munkey_plotly", js=_JS, isolate_styles=False)
_soon = st.components.v2.component(
    "munkey_plotly_soon", html='<i class="soon"></i>', js=_JS, isolate_styles=False
)


def plotly_library() -> None:
    """Put Plotly on the page; anywhere on it, once."""
    _now(key="munkey-plotly", data=_packed())


def plotly_library_soon() -> None:
    """Have the browser load Plotly when it has nothing else to do, on a page that does not need
    it: reading the script takes a slow machine a second, for which the map would wait. Once a
    session, at the end of a page."""
    if not st.session_state.get(_SENT):
        _soon(key="munkey-plotly-soon", data=_packed())
        st.session_state[_SENT] = True


@cache
def _packed() -> bytes:
    from plotly.offline import get_plotlyjs  # Takes its time; no first screen should wait for it.

    # No time stamp: the same bytes on every server start, so caches hold.
    return gzip.compress(get_plotlyjs().encode(), compresslevel=6, mtime=0)
