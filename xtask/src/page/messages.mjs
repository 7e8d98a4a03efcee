// Checks the page's messages: every language has the same ones with the same values, none is unused, what is translated by its
// English words is still said in the sources, and no sentence stands in a script instead. `cargo xtask check` runs this by npm.

import { readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import ts from "typescript";

/** Two words in a row: a sentence, or a part of one. */
const SENTENCE = /\p{L}{2,}[,.:;]? \p{L}{2,}/u;

/** A word as it would stand on a button. */
const LABEL = /^\p{Lu}\p{Ll}+[ .…!?]*$/u;

/** Properties and attributes whose text people read. */
const READ = new Set(["text", "textContent", "title", "ariaLabel", "alt", "placeholder", "label", "aria-label"]);

/** Functions whose texts people read. */
const SAYING = new Set(["setText", "notice", "button", "copyButton", "tip", "fatal", "waiting", "tracker", "createTextNode"]);

/** Properties whose texts look like sentences and are not. */
const UNREAD = new Set(["className", "class", "allow"]);

/** English that no viewer reads, by its file, and who reads it instead. */
const EXCEPTIONS = {
  "api.js": "the page around the embed",
  "connections.js": "the peer, which tells nobody",
  "dom.js": "who changes the page",
  "embed-player.js": "the page around the embed",
};

/** The same, of single texts in files that say other things to viewers. */
const EXCEPTED = new Set([
  "too many questions at a time", // a script that asks
  "a content is named by 64 hexadecimal digits", "Subtitles {}", "not ready", // sites that build a player
  "the mirror {} sent wrong bytes",
  "(prefers-color-scheme: dark)", "is-audio has-cover", "input[type=text], input:not([type]), select, textarea, [contenteditable]",
  "<iframe src=\"{}\" width=\"640\" height=\"360\" allow=\"{}\" allowfullscreen></iframe>",
  "<script type=\"module\" src=\"{}\"></script>\n<tributary-player{}></tributary-player>",
  "video::cue { font-size: {}; background: {}; color: #fff; {} }", "text-shadow: 0 0 4px #000, 0 0 2px #000;",
]);

/** Texts of the pages that are the same in every language, or said where no script runs. */
const SAME = /^(Tributary|[\d.,]+ (Mbit\/s|[kMGT]B)|\w+\([\d.]*\)|This (page|player) needs JavaScript and WebAssembly\.)$/;

/** @typedef {Record<string, string | Record<string, string>>} Messages */

/**
 * What is wrong with a translation, against the English messages.
 * @param {string} tag
 * @param {Messages} english
 * @param {Messages} translated
 */
export function differences(tag, english, translated) {
  const found = [];
  const categories = new Intl.PluralRules(tag).resolvedOptions().pluralCategories;
  for (const [key, message] of Object.entries(english)) {
    const own = translated[key];
    if (own === undefined) {
      found.push(`${tag}: ${key} is missing`);
      continue;
    }
    const [values, ownValues] = [placeholders(message), placeholders(own)];
    if (values !== ownValues) found.push(`${tag}: ${key} has the values ${ownValues || "–"}, not ${values || "–"}`);
    if (typeof message !== typeof own) found.push(`${tag}: ${key} has forms in one of the two languages only`);
    if (typeof own === "object") {
      const missing = categories.filter((category) => own[category] === undefined);
      if (missing.length > 0) found.push(`${tag}: ${key} lacks the forms ${missing}`);
    }
  }
  for (const key of Object.keys(translated)) if (!Object.hasOwn(english, key)) found.push(`${tag}: ${key} is not an English message`);
  return found;
}

/** @param {string | Record<string, string>} message */
function placeholders(message) {
  const texts = typeof message === "string" ? [message] : Object.values(message);
  const names = texts.flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  return [...new Set(names)].sort().join(", ");
}

/**
 * The messages that nothing says.
 * @param {string[]} keys
 * @param {{literals: string[], prefixes: string[]}} used
 */
export function unused(keys, { literals, prefixes }) {
  const said = new Set(literals);
  return keys.filter((key) => !said.has(key) && !prefixes.some((prefix) => prefix !== "" && key.startsWith(prefix)))
    .map((key) => `nothing says ${key}`);
}

/**
 * Reasons whose English words are not in the sources.
 * @param {Record<string, string>} reasons
 * @param {string} sources
 */
export function strangers(reasons, sources) {
  const joined = sources.replace(/\\\n\s*/g, "");
  const found = [];
  for (const [english, translated] of Object.entries(reasons)) {
    const isSaid = english.split(/\{\w+\}/).every((part) => joined.includes(part));
    if (!isSaid) found.push(`nothing says “${english}”`);
    if (placeholders(translated).split(", ").some((name) => name !== "" && !english.includes(`{${name}}`))) {
      found.push(`“${translated}” has a value that “${english}” has not`);
    }
  }
  return found;
}

/**
 * What a script says: keys of messages that it may use, and texts that people would read.
 * @param {string} name
 * @param {string} script
 */
export function readScript(name, script) {
  /** @type {string[]} */
  const [literals, prefixes, texts] = [[], [], []];
  const visit = (node) => {
    const isText = ts.isStringLiteralLike(node);
    if (isText) literals.push(node.text);
    if (ts.isTemplateExpression(node)) prefixes.push(node.head.text);
    const whole = isText ? node.text : ts.isTemplateExpression(node)
      ? node.head.text + node.templateSpans.map(({ literal }) => `{}${literal.text}`).join("") : undefined;
    if (whole !== undefined && !isPartOfSum(node) && isRead(node, whole)) texts.push(whole);
    if (isSum(node) && !isPartOfSum(node)) {
      const sum = sumOf(node);
      if (sum !== undefined && isRead(node, sum)) texts.push(sum);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(name, script, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS));
  return { literals, prefixes, texts };
}

function isSum(node) {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken;
}

function isPartOfSum(node) {
  return isSum(node.parent);
}

/** The text of literals that are written one behind the other. */
function sumOf(node) {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) return node.head.text + node.templateSpans.map(({ literal }) => `{}${literal.text}`).join("");
  if (!isSum(node)) return undefined;
  const [left, right] = [sumOf(node.left), sumOf(node.right)];
  return left === undefined || right === undefined ? undefined : left + right;
}

/** Whether people read this text, by its form and its place. */
function isRead(node, text) {
  const { parent } = node;
  const property = ts.isPropertyAssignment(parent) && parent.initializer === node ? parent.name.text : undefined;
  if (property !== undefined && UNREAD.has(property)) return false;
  if (ts.isImportDeclaration(parent) || (ts.isPropertyAssignment(parent) && parent.name === node)) return false;
  if (SENTENCE.test(text)) return true;
  if (!LABEL.test(text)) return false;
  if (property !== undefined) return READ.has(property);
  if (ts.isBinaryExpression(parent) && parent.right === node && ts.isPropertyAccessExpression(parent.left)) {
    return READ.has(parent.left.name.text);
  }
  if (!ts.isCallExpression(parent)) return false;
  const called = parent.expression.name?.text ?? parent.expression.text;
  return SAYING.has(called) || (called === "setAttribute" && READ.has(parent.arguments[0]?.text));
}

/**
 * Texts of a script that are neither messages nor known reasons.
 * @param {string} name
 * @param {string[]} texts
 * @param {string[]} reasons
 */
export function hardCoded(name, texts, reasons) {
  if (Object.hasOwn(EXCEPTIONS, name)) return [];
  const known = new Set(reasons.map((reason) => reason.replace(/\{\w+\}/g, "{}")));
  return texts.filter((text) => !known.has(text) && !EXCEPTED.has(text)).map((text) => `${name}: “${text}” is in no file of www/messages/`);
}

/**
 * What is wrong with a page: English that differs from its message, and text without one.
 * @param {string} name
 * @param {string} html
 * @param {Messages} english
 */
export function readPage(name, html, english) {
  const found = [];
  /** @type {string[]} */
  const literals = [];
  const bare = html.replace(/<!--[^]*?-->|<svg[^]*?<\/svg>/g, "");
  for (const [, attributes, text] of bare.matchAll(/<[a-z][\w-]*((?:\s+[\w-]+(?:="[^"]*")?)*)\s*\/?>([^<]*)/g)) {
    const values = Object.fromEntries([...attributes.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
    for (const [attribute, key] of Object.entries(values).filter(([attribute]) => attribute.startsWith("data-say"))) {
      literals.push(key);
      const said = attribute === "data-say" ? text.trim() : values[attribute.slice("data-say-".length)];
      if (said !== english[key]) found.push(`${name}: “${said}” is not ${key}, which is “${english[key]}”`);
    }
    if (values["data-say"] === undefined && /\p{L}/u.test(text) && !SAME.test(text.trim())) {
      found.push(`${name}: “${text.trim()}” has no data-say`);
    }
    for (const attribute of ["aria-label", "placeholder"]) {
      const isSaid = values[`data-say-${attribute}`] !== undefined;
      if (/\p{L}{3,}/u.test(values[attribute] ?? "") && !isSaid) found.push(`${name}: ${attribute}="${values[attribute]}" has no data-say-${attribute}`);
    }
  }
  return { found, literals };
}

const here = (path) => new URL(path, import.meta.url);

/** @param {string} folder @param {string} ending */
async function texts(folder, ending) {
  const names = (await readdir(here(folder), { recursive: true })).filter((name) => name.endsWith(ending)).sort();
  return Promise.all(names.map(async (name) => /** @type {const} */ ([name, await readFile(here(`${folder}/${name}`), "utf8")])));
}

async function run() {
  const { FIRST, REST } = await import(here("../../../www/messages/en.js"));
  const english = { ...FIRST, ...REST };
  const found = Object.keys(FIRST).filter((key) => Object.hasOwn(REST, key)).map((key) => `${key} is there twice`);
  const scripts = await texts("../../../www/app", ".js");
  const used = { literals: [], prefixes: [] };
  const pages = await Promise.all(["index", "embed", "try-embed"].map(async (name) =>
    readPage(`${name}.html`, await readFile(here(`../../../www/${name}.html`), "utf8"), english)));
  for (const page of pages) {
    found.push(...page.found);
    used.literals.push(...page.literals);
  }
  const rust = await Promise.all(["swarm-core", "peer-wasm", "tracker-server"].map((name) => texts(`../../../${name}/src`, ".rs")));
  const own = [...scripts, ["worker.js", await readFile(here("../../../www/worker.js"), "utf8")]].map(([name, text]) => readScript(name, text));
  const said = [...rust.flat().map(([, text]) => text), ...own.flatMap(({ literals, texts }) => [...literals, ...texts])].join("\n");
  const languages = (await texts("../../../www/messages", ".js")).map(([name]) => name.replace(".js", "")).filter((tag) => tag !== "en");
  let reasons = [];
  for (const tag of languages) {
    const { MESSAGES, REASONS } = await import(here(`../../../www/messages/${tag}.js`));
    found.push(...differences(tag, english, MESSAGES), ...strangers(REASONS, said));
    reasons = Object.keys(REASONS);
  }
  for (const [name, script] of scripts) {
    const { literals, prefixes, texts } = readScript(name, script);
    used.literals.push(...literals);
    used.prefixes.push(...prefixes.filter((prefix) => /^[a-z]+_$/.test(prefix)));
    found.push(...hardCoded(name, texts, reasons));
  }
  found.push(...unused(Object.keys(english), used));
  for (const line of found) console.error(`messages: ${line}`);
  if (found.length > 0) process.exit(1);
  console.error(`messages: ${Object.keys(english).length} in English, as many in ${languages.join(", ")}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run();
