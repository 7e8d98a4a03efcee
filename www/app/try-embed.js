// @ts-check
// The page for trying the embed out: `try-embed#SWARM`.

import "../embed.js";
import { byId, element, setText } from "./dom.js";
import { translatePage } from "./say.js";
import { say } from "./words.js";

/** @typedef {HTMLElement & {player?: import("../embed.js").TributaryPlayer}} PlayerElement */

/** Lines of what the player says that are kept. */
const LINES_MAX = 40;

/** Characters of one line. */
const LINE_CHARS_MAX = 300;

const EVENTS = ["ready", "playbackStatusChange", "volumeChange", "consentRequired", "error"];

/** Choices that hold unless the address says otherwise; the others are off. */
const USUALLY_ON = ["controls", "showtitle", "p2p"];

const form = byId("options", HTMLFormElement);
const link = byId("link", HTMLInputElement);

/** @type {PlayerElement | undefined} */
let shown;

translatePage();
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", show);
for (const button of byId("calls").querySelectorAll("button")) button.addEventListener("click", () => void call(button));
addEventListener("hashchange", takeAddress);
takeAddress();

/** Shows the content that the address of this page names. */
function takeAddress() {
  link.value = location.hash.slice(1);
  show();
}

/** Shows the player as the form describes it, and the two ways to write it. */
function show() {
  const content = link.value.slice(link.value.indexOf("#") + 1);
  const isGood = /^[0-9a-f]{64}(&|$)/i.test(content);
  setText(byId("note"), say("try_none"));
  byId("note").hidden = isGood;
  byId("place").replaceChildren();
  byId("said").replaceChildren();
  setText(byId("as-element"), "");
  setText(byId("as-frame"), "");
  if (!isGood) return;
  const player = /** @type {PlayerElement} */ (document.createElement("tributary-player"));
  const [swarm, ...settings] = content.split("&");
  player.setAttribute("src", `${new URL("./", location.href).href}#${[swarm, ...settings].join("&")}`);
  for (const [name, value] of chosen()) player.setAttribute(name, value);
  for (const name of EVENTS) {
    player.addEventListener(name, (event) => hear(name, /** @type {CustomEvent} */ (event).detail));
  }
  byId("place").append(player);
  shown = player;
  const frame = player.shadowRoot?.querySelector("iframe");
  const attributes = [...player.attributes].map(({ name, value }) => ` ${name}="${value}"`).join("");
  const script = new URL("embed.js", new URL("./", location.href)).href;
  setText(byId("as-element"), `<script type="module" src="${script}"></script>\n<tributary-player${attributes}></tributary-player>`);
  setText(byId("as-frame"), `<iframe src="${frame?.src}" width="640" height="360" allow="${frame?.allow}" allowfullscreen></iframe>`);
}

/** @returns {[string, string][]} attributes that differ from what holds without them */
function chosen() {
  /** @type {[string, string][]} */
  const attributes = [];
  for (const control of form.elements) {
    if (!(control instanceof HTMLInputElement) || control === link) continue;
    const { name, type, checked, value } = control;
    if (type === "checkbox" && checked !== USUALLY_ON.includes(name)) attributes.push([name, checked ? "1" : "0"]);
    if (type === "text" && value.trim() !== "") attributes.push([name, value.trim()]);
  }
  return attributes;
}

/** @param {HTMLButtonElement} button */
async function call(button) {
  const { call: name = "", value } = button.dataset;
  const player = /** @type {any} */ (shown?.player);
  if (!player) return;
  try {
    hear(`${name}()`, await player[name](...(value === undefined ? [] : [Number(value)])));
  } catch (error) {
    hear(`${name}()`, error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {string} name
 * @param {unknown} detail
 */
function hear(name, detail) {
  const words = JSON.stringify(detail ?? null).slice(0, LINE_CHARS_MAX);
  const lines = byId("said");
  lines.prepend(element("li", { text: words === "null" ? name : say("try_said", { name, detail: words }) }));
  while (lines.childElementCount > LINES_MAX) lines.lastElementChild?.remove();
}
