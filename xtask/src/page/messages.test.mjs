// The checks of messages.mjs find what they are for.

import assert from "node:assert/strict";
import { test } from "node:test";

import { differences, hardCoded, readPage, readScript, strangers, unused } from "./messages.mjs";

test("a translation that lacks a message, a value or a form is found", () => {
  const english = { a: "A {x}", b: "B", c: { one: "{count} c", other: "{count} cs" } };
  assert.deepEqual(differences("de", english, { a: "A {x}", b: "B", c: { one: "{count} c", other: "{count} cs" } }), []);
  const found = differences("de", english, { a: "A {y}", c: { other: "{count}" }, d: "D" });
  assert.deepEqual(found, [
    "de: a has the values y, not x", "de: b is missing", "de: c lacks the forms one", "de: d is not an English message",
  ]);
  assert.match(differences("pl", english, { a: "{x}", b: "B", c: { one: "{count}", other: "{count}" } }).join(), /few,many/);
});

test("a message that nothing says is found, but not one whose name is put together", () => {
  const used = readScript("a.js", "say('a'); say(`kind_${kind}`);");
  assert.deepEqual(unused(["a", "kind_x", "b"], used), ["nothing says b"]);
});

test("a reason that the sources no longer give is found, and so is a value that it does not have", () => {
  const sources = 'format!("it failed: {error}")\n"in two \\\n    lines"\n';
  assert.deepEqual(strangers({ "it failed: {why}": "{why}", "in two lines": "zwei" }, sources), []);
  assert.equal(strangers({ "it broke": "kaputt" }, sources).length, 1);
  assert.equal(strangers({ "it failed: {why}": "{other}" }, sources).length, 1);
});

test("a sentence or a label in a script is found, and what nobody reads is not", () => {
  const script = `
    import { a } from "./some thing.js";
    setText(line, "Please wait"); button("Close", act); line.textContent = "Done"; notice("x", \`Lost \${n} of them\`);
    element("p", { className: "button is-main", text: key }); key("Enter"); if (key === "Home" || "one " + "two") go();`;
  const { texts } = readScript("a.js", script);
  assert.deepEqual(texts, ["Please wait", "Close", "Done", "Lost {} of them", "one two"]);
  assert.equal(hardCoded("a.js", texts, ["Lost {count} of them"]).length, 4);
});

test("English in a page that differs from its message, or has none, is found", () => {
  const english = { a: "Press", b: "Name" };
  assert.deepEqual(readPage("a.html", '<p data-say="a">Press</p><input aria-label="Name" data-say-aria-label="b"> 5 MB', english).found, []);
  const { found } = readPage("a.html", '<p data-say="a">Push</p><p>Hello</p><input placeholder="Your name">', english);
  assert.equal(found.length, 3);
});
