// Makes three files in www/vendor/: start.js and main.js, which are those of www/app/ with all that they need before the first
// frame, and media-chrome.js, the player library. `cargo xtask page` runs this, and Trunk by its hook.
//
// The library writes its styles into `<style>` elements of shadow roots, which need `style-src 'unsafe-inline'`. Three
// kinds of its lines are replaced, so that the page's Content-Security-Policy stays strict; see shadow_styles.js. A
// version in which these lines are others makes this program fail.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const FILL = "this.shadowRoot.setHTMLUnsafe ? this.shadowRoot.setHTMLUnsafe(html) : this.shadowRoot.innerHTML = html;";
const FILL_SHORT = "this.shadowRoot.innerHTML = this.constructor.getTemplateHTML(attrs);";
const FIND = 'styleParent.querySelectorAll("style:not([media])")';

/** Each line with what stands in its place and how often it occurs among the files that are used. */
const CHANGES = [
  { from: FILL, to: "fillShadow(this.shadowRoot, html);", expected: 3, count: 0 },
  {
    from: FILL_SHORT,
    to: "fillShadow(this.shadowRoot, this.constructor.getTemplateHTML(attrs));",
    expected: 7,
    count: 0,
  },
  { from: FIND, to: "stylesOf(styleParent)", expected: 2, count: 0 },
];

const IMPORT = `import { fillShadow, stylesOf } from ${JSON.stringify(here("shadow_styles.js"))};\n`;

const strictStyles = {
  name: "strict-styles",
  setup(run) {
    run.onLoad({ filter: /media-chrome\/dist\/.*\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, "utf8");
      for (const change of CHANGES) {
        const parts = contents.split(change.from);
        change.count += parts.length - 1;
        contents = parts.join(change.to);
      }
      return { contents: IMPORT + contents, loader: "js" };
    });
  },
};

/** What a script of the first frame loads later stays a file of its own, and so does what is loaded before it. */
const onlyFirst = {
  name: "only-first",
  setup(run) {
    run.onResolve({ filter: /^\.\.?\// }, ({ path, kind }) => {
      if (path === "./start.js") return { path, external: true };
      return kind === "dynamic-import" ? { path: path.replace(/^\.\//, "../app/"), external: true } : undefined;
    });
  },
};

const first = await build({
  entryPoints: ["start", "main"].map((name) => here(`../../../www/app/${name}.js`)),
  outdir: here("../../../www/vendor"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  banner: { js: "// @ts-check\n// The scripts of app/ that the page needs before the first frame." },
  plugins: [onlyFirst],
  metafile: true,
});
const result = await build({
  entryPoints: [here("library.js")],
  nodePaths: [here("../../../node_modules")],
  outfile: here("../../../www/vendor/media-chrome.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  banner: { js: "// @ts-check\n// Media Chrome, MIT licence, Copyright (c) 2020 Mux, Inc." },
  plugins: [strictStyles],
  metafile: true,
});
for (const { from, expected, count } of CHANGES) {
  if (count !== expected) throw new Error(`Media Chrome has this line ${count} times, not ${expected}: ${from}`);
}
for (const { metafile } of [first, result]) {
  for (const [path, { bytes }] of Object.entries(metafile.outputs)) console.error(`${path}: ${bytes} bytes`);
}
