// Puts a text on the clipboard. The clipboard API needs https or localhost; in a classroom's plain
// http the old way still works.
function oldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.appendChild(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export async function toClipboard(text, question) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    done = oldWay(text);
  }
  if (!done) window.prompt(question, text);
  return done;
}
