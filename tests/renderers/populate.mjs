/**
 * Fills in forms with `@aehrc/sdc-populate`: reads situations as one JSON list from standard input, writes the results.
 *
 * What the library itself prints goes to standard error. Each situation's `now` is what the clock says meanwhile.
 */

import { text } from "node:stream/consumers";
import { populated } from "./populated.mjs";

console.log = console.info = console.error;
const RealDate = Date;

const results = [];
for (const situation of JSON.parse(await text(process.stdin))) {
  globalThis.Date = stoppedAt(situation.now);
  results.push(await populated(situation));
}
// The library leaves timers of half a minute behind.
process.stdout.write(JSON.stringify(results), () => process.exit());

function stoppedAt(now) {
  return class extends RealDate {
    constructor(...given) {
      super(...(given.length ? given : [now]));
    }

    static now() {
      return RealDate.parse(now);
    }
  };
}
