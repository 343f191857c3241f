// One tooltip for all terms of a page, and for whatever carries its explanation in data-help.

import { element } from "../dom.js";

const TERM = 'a[href^="#term-"]';
const EXPLAINED = `${TERM}, [data-help]`;
const SHOW_AFTER_MS = 120; // A pointer that passes by asks for nothing.
const HIDE_AFTER_MS = 180; // Long enough to move onto the tooltip, to read or to select.
const GAP = 6;

class TermTips {
  constructor() {
    this.terms = {};
    this.owner = null; // the element that is explained now
    this.timer = null;
    this.tip = element("div", "mk-tip", "", { role: "tooltip" });
    // Above popovers and dialogs, wherever they stand; without it the z-index has to do.
    if ("popover" in this.tip) this.tip.popover = "manual";
    else this.tip.hidden = true;
    this.tip.addEventListener("pointerenter", () => clearTimeout(this.timer));
    this.tip.addEventListener("pointerleave", () => this.hideSoon());
    const on = (name, act) => document.addEventListener(name, act, true);
    on("pointerover", (event) => this.pointed(event));
    on("focusin", (event) => this.focused(event));
    on("focusout", () => this.hide());
    on("click", (event) => this.clicked(event));
    on("keydown", (event) => this.pressed(event));
    on("scroll", () => this.place());
    window.addEventListener("resize", () => this.place());
    new MutationObserver(() => this.nameSoon()).observe(document.body, {
      childList: true,
      subtree: true,
    });
  }

  // A term is a link for Markdown's sake; it leads nowhere, and says what it means.
  nameSoon() {
    this.naming ??= setTimeout(() => {
      this.naming = null;
      for (const node of document.querySelectorAll(`${TERM}:not([role])`)) this.name(node);
      if (this.owner && !this.owner.isConnected) this.hide();
    }, 200);
  }

  name(node) {
    node.setAttribute("role", "button");
    const found = this.terms[node.getAttribute("href").slice(6)];
    if (found) node.setAttribute("aria-description", found[2]);
  }

  ownerOf(event) {
    return event.composedPath().find((node) => node.matches?.(EXPLAINED)) ?? null;
  }

  pointed(event) {
    const owner = this.ownerOf(event);
    if (owner === this.owner || this.tip.contains(event.target)) {
      if (owner) clearTimeout(this.timer);
      return;
    }
    if (!owner) {
      this.hideSoon();
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(owner), SHOW_AFTER_MS);
  }

  focused(event) {
    const owner = this.ownerOf(event);
    // A click on a button that is explained focuses it, too, and wants something else.
    if (owner && (owner.matches(TERM) || owner.matches(":focus-visible"))) this.show(owner);
  }

  clicked(event) {
    const owner = this.ownerOf(event);
    if (!owner?.matches(TERM)) return;
    event.preventDefault(); // The address is the screen's.
    this.show(owner);
  }

  pressed(event) {
    if (event.key === "Escape" && this.owner) {
      this.hide();
      event.stopPropagation();
    } else if (event.key === " " && this.ownerOf(event)?.matches(TERM)) {
      event.preventDefault();
      this.show(this.ownerOf(event));
    }
  }

  show(owner) {
    clearTimeout(this.timer);
    const content = this.contentOf(owner);
    if (!content.length || !owner.isConnected) return;
    this.owner = owner;
    const home = document.querySelector(".stApp") ?? document.body;
    if (this.tip.parentElement !== home) home.append(this.tip);
    this.tip.replaceChildren(...content);
    this.tip.hidden = false;
    if (this.tip.popover && !this.tip.matches(":popover-open")) this.tip.showPopover();
    this.place();
  }

  contentOf(owner) {
    if (!owner.matches(TERM)) return [owner.dataset.help];
    const found = this.terms[owner.getAttribute("href").slice(6)];
    if (!found) return [];
    const [name, field, plain] = found;
    const head = [element("b", "", name)];
    if (field) head.push(element("i", "", ` (${field})`));
    return [...head, element("br"), plain];
  }

  hideSoon() {
    clearTimeout(this.timer);
    if (this.owner) this.timer = setTimeout(() => this.hide(), HIDE_AFTER_MS);
  }

  hide() {
    clearTimeout(this.timer);
    this.owner = null;
    if (this.tip.popover && this.tip.matches(":popover-open")) this.tip.hidePopover();
    if (!this.tip.popover) this.tip.hidden = true;
  }

  // Below the term, above it where there is no room.
  place() {
    if (!this.owner) return;
    const at = this.owner.getClientRects()[0];
    if (!at) {
      this.hide();
      return;
    }
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const left = Math.max(12, Math.min(at.left, window.innerWidth - width - 12));
    const below = at.bottom + GAP;
    const top = below + height > window.innerHeight ? at.top - GAP - height : below;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${Math.max(4, top)}px`;
  }
}

export default function ({ data }) {
  window.munkeyTermTips ??= new TermTips();
  window.munkeyTermTips.terms = data;
  window.munkeyTermTips.nameSoon();
}
