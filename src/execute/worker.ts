/**
 * A worker thread: receives the compiled kernels, the memories and all steps once,
 * then runs the commands of the main thread until it is stopped.
 * @module
 */
import { loadKernels } from "../kernels/load.ts";
import { COMMAND, receive, STOP } from "./command.ts";
import type { ControlAddresses } from "../plan/plan.ts";
import { maxSteps, REGISTER, type Step } from "../plan/step.ts";
import { runSteps } from "./run_steps.ts";

/** Start message of a worker. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  /** All memories of the plan, memory 0 first. */
  readonly memories: readonly WebAssembly.Memory[];
  readonly lists: readonly (readonly Step[])[];
  readonly control: ControlAddresses;
  readonly registers: number;
  readonly tileWork: number;
  readonly thread: number;
  readonly threads: number;
}

/** The global scope of a worker, which the library types lack. */
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
  const state = {
    memories,
    thread,
    threads,
    copies: 1,
    barrier: control.barrier,
    registers,
    tilesTaken: new Int32Array(memory.buffer, control.tiles, maxSteps(lists)),
    tileWork: data.tileWork,
  };
  let last = Atomics.load(words, COMMAND.generation);
  scope.postMessage("ready");
  while (true) {
    last = receive(words, last);
    if (words[COMMAND.list] === STOP) break;
    registers.set(source);
    registers[REGISTER.thread] = thread;
    try {
      runSteps(
        state,
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
