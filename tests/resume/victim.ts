/**
 * Quantizes and kills itself: `victim.ts OUT EVENT COUNT` sends itself SIGKILL at the
 * COUNT-th write to the unfinished work, before it, in the middle of its bytes, or
 * after it; or before or after the COUNT-th fsync.
 * @module
 */
import { produce } from "../../src/convert/produce.ts";
import { openRecords, type RecordSink } from "../../src/format/records.ts";

const [out, event, count] = Deno.args;
const die = () => Deno.kill(Deno.pid, "SIGKILL");

/** A file that kills its process. */
function trap(file: RecordSink): RecordSink {
  let writes = 0, syncs = 0;
  const at = (what: string, n: number) => event === what && n === Number(count);
  return {
    writeSync(bytes) {
      writes++;
      if (at("before-write", writes)) die();
      if (at("torn-write", writes)) {
        file.writeSync(bytes.subarray(0, Math.ceil(bytes.length / 2)));
        die();
      }
      const n = file.writeSync(bytes);
      if (at("after-write", writes)) die();
      return n;
    },
    syncDataSync() {
      syncs++;
      if (at("before-sync", syncs)) die();
      file.syncDataSync();
      if (at("after-sync", syncs)) die();
    },
  };
}

await produce(
  {
    checkpoint: "tests/golden/smolvlm-toy",
    calibration: "models/photo-mini/photos",
    out,
    samples: 2,
    threads: 1,
  },
  { report() {}, throwIfStopped() {} },
  (path, key) => openRecords(path, key, trap),
);
