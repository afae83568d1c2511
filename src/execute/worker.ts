/**
 * A worker thread: it receives compiled kernels, memory and steps once, then
 * runs commands until it is stopped.
 * @module
 */
import { loadKernels } from "../kernels/load.ts";
import { COMMAND, receive, STOP } from "./command.ts";
import type { ControlAddresses } from "../plan/plan.ts";
import { mostSteps, REGISTER, type Step } from "../plan/step.ts";
import { walk } from "./walk.ts";

/** The message that starts a worker. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  /** All memories of the plan, memory 0 first. */
  readonly memories: readonly WebAssembly.Memory[];
  readonly lists: readonly (readonly Step[])[];
  readonly control: ControlAddresses;
  readonly registers: number;
  readonly pieceWork: number;
  readonly thread: number;
  readonly threads: number;
}

/** The global scope of a worker, which the library types do not include. */
interface Scope {
  onmessage: ((event: MessageEvent<WorkerStart>) => void) | null;
  postMessage(message: string): void;
  close(): void;
}
const scope = globalThis as unknown as Scope;

scope.onmessage = ({ data }) => {
  const { module, lists, control, thread, threads } = data;
  const memories = data.memories.map((memory) => ({
    buffer: memory.buffer,
    kernels: loadKernels({ module, memory, shared: true }),
  }));
  const [memory] = memories;
  const words = new Int32Array(memory.buffer, control.command, 16);
  const source = new Int32Array(
    memory.buffer,
    control.registers,
    data.registers,
  );
  const registers = new Int32Array(data.registers);
  const walker = {
    memories,
    thread,
    threads,
    copies: 1,
    barrier: control.barrier,
    registers,
    taken: new Int32Array(memory.buffer, control.taken, mostSteps(lists)),
    pieceWork: data.pieceWork,
  };
  let seen = Atomics.load(words, COMMAND.generation);
  scope.postMessage("ready");
  while (true) {
    seen = receive(words, seen);
    if (words[COMMAND.list] === STOP) break;
    registers.set(source);
    registers[REGISTER.thread] = thread;
    try {
      walk(
        walker,
        lists[words[COMMAND.list]],
        words[COMMAND.from],
        words[COMMAND.to],
      );
    } catch {
      Atomics.add(words, COMMAND.failed, 1); // the main thread reports it
    }
  }
  scope.close();
};
