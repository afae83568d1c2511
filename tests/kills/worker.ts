/** Runs and kills one task after another; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { type Life, live } from "./lives.ts";

if (import.meta.main) await answerTasks<Life>(live);
