// @ts-check
// Says what is said before the first frame: a part of the first script. What is loaded later has words.js.

import { FIRST } from "../messages/en.js";
import { speaker } from "./say.js";

export const say = speaker(FIRST);
