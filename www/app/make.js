// @ts-check
// Elements that the late parts of the page are made of: the player library's, buttons, icons.

import { element } from "./dom.js";

/**
 * An element of the player library, or any other, with attributes.
 * @param {string} name
 * @param {Record<string, string>} [attributes]
 * @param {...Node} children
 */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/**
 * A button with words.
 * @param {string} words
 * @param {() => void} onClick
 */
export function button(words, onClick) {
  const made = element("button", { className: "button", text: words });
  made.type = "button";
  made.onclick = onClick;
  return made;
}

/**
 * A picture of 24 by 24 for a button of the player.
 * @param {string} path
 */
export function icon(path) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(namespace, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}
