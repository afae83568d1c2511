/**
 * Captions 16 × 16 RGB bytes with two threads if permitted. Arguments: MODEL PHOTO.
 */
import { open } from "../../src/mod.ts";

const [model, photo] = Deno.args;
await using session = await open(model, { threads: 2 });
console.log(`${session.info.threads} threads`);
const image = { width: 16, height: 16, data: await Deno.readFile(photo) };
const { text } = await session.caption(image, { maxTokens: 8 });
console.log(JSON.stringify(text));
