// @ts-check
// For people who build their own player: `import { watch } from "https://TRACKER/tributary.js"`. What the module promises is in
// docs/embedding.md; all else behind it may change.

export { watch } from "./app/watch.js";
