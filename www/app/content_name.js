// @ts-check
// The last part of the address where the service worker answers for a content. The page and the embed load this as copies of their own, so it
// keeps no state.

/**
 * A name with nothing in it that an address takes for a folder, escaped. `.` and `..` cannot be escaped: an address that ends with them leads
 * to another place.
 * @param {string} name the content's name
 */
export function contentName(name) {
  return encodeURIComponent(name === "." || name === ".." ? "film" : name.replaceAll("/", "_"));
}
