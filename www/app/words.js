// @ts-check
// Says every message of the page. Scripts that import this run only once the viewer's language is here.

import { FIRST, REST } from "../messages/en.js";
import { settledSoon } from "./language.js";
import { speaker } from "./say.js";

await settledSoon;

export const say = speaker({ ...FIRST, ...REST });
