// Part of the player library's bundle: styles of its elements without `<style>` elements, which the page's
// Content-Security-Policy refuses. Each becomes a constructed style sheet, which it allows.

/** Shadow roots of elements within, for servers; each element makes its own. */
const NESTED = /<template shadowrootmode[^]*?<\/template>/g;

const STYLE = /<style>([^]*?)<\/style>/g;

/**
 * Fills a shadow root with the library's own template.
 * @param {ShadowRoot} root
 * @param {string} template
 */
export function fillShadow(root, template) {
  const texts = [];
  root.innerHTML = template.replace(NESTED, "").replace(STYLE, (_, text) => {
    texts.push(text);
    return "";
  });
  root.adoptedStyleSheets = texts.map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
}

/**
 * The sheets into which the library writes rules, in the shape of style elements.
 * @param {ShadowRoot} root
 */
export function stylesOf(root) {
  return [...(root.adoptedStyleSheets ?? [])].map((sheet) => ({ sheet }));
}
