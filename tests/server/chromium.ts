/**
 * A Chromium without a window, driven over its debugging socket: just enough to
 * use a page as a person does.
 * @module
 */

/** Whether a `chromium` can be started here. */
export function hasChromium(): boolean {
  try {
    return new Deno.Command("chromium", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}

/** A page of a browser of its own. */
export interface Page extends AsyncDisposable {
  /** Calls a method of the DevTools protocol. */
  call(method: string, params?: object): Promise<Record<string, unknown>>;
  /** Value of a JavaScript expression in the page, as if a person had asked for it. */
  value<T>(expression: string): Promise<T>;
  /** Waits until an expression is true, at most 10 s. */
  until(expression: string): Promise<void>;
  /** Chooses files in the file input that `selector` names. */
  choose(selector: string, files: string[]): Promise<void>;
  /** Presses a key. */
  press(key: string, code?: number): Promise<void>;
  /** Errors the page has logged: scripts, refused loads, its policy. */
  readonly errors: string[];
}

/** Opens `url`. */
export async function openPage(url: string): Promise<Page> {
  const profile = await Deno.makeTempDir();
  const child = new Deno.Command("chromium", {
    args: [
      "--headless=new",
      "--no-sandbox", // it shows our own page only
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank",
    ],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "", at: RegExpExecArray | null = null;
  while (!(at = /ws:\/\/(127\.0\.0\.1:\d+)\/\S+/.exec(said))) {
    const { value, done } = await stderr.read();
    if (done) throw new Error(`chromium did not start:\n${said}`);
    said += value;
  }
  await stderr.cancel();
  const targets = await (await fetch(`http://${at[1]}/json`)).json() as {
    type: string;
    webSocketDebuggerUrl: string;
  }[];
  const target = targets.find((t) => t.type === "page")!;
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((done) => socket.onopen = done);

  const errors: string[] = [];
  const waiting = new Map<number, (m: Record<string, unknown>) => void>();
  let loaded = () => {}, last = 0;
  socket.onmessage = ({ data }) => {
    const { id, result, error, method, params } = JSON.parse(data);
    if (id !== undefined) waiting.get(id)?.(result ?? { error });
    else if (method === "Page.loadEventFired") loaded();
    else if (method === "Runtime.exceptionThrown") {
      errors.push(JSON.stringify(params.exceptionDetails));
    } else if (method === "Log.entryAdded" && params.entry.level === "error") {
      errors.push(params.entry.text);
    }
  };
  const call: Page["call"] = (method, params = {}) =>
    new Promise((done) => {
      waiting.set(++last, done);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  const value = async <T>(expression: string): Promise<T> => {
    const { result } = await call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    return (result as { value: T }).value;
  };
  for (const domain of ["Page", "Runtime", "Log", "DOM"]) {
    await call(`${domain}.enable`);
  }
  const load = new Promise<void>((done) => loaded = done);
  await call("Page.navigate", { url });
  await load;

  return {
    call,
    value,
    errors,
    async until(expression) {
      const end = performance.now() + 10_000;
      while (!await value<boolean>(expression)) {
        if (performance.now() > end) throw new Error(`never: ${expression}`);
        await new Promise((done) => setTimeout(done, 20));
      }
    },
    async choose(selector, files) {
      const { root } = await call("DOM.getDocument") as {
        root: { nodeId: number };
      };
      const { nodeId } = await call("DOM.querySelector", {
        nodeId: root.nodeId,
        selector,
      });
      await call("DOM.setFileInputFiles", { nodeId, files });
    },
    async press(key, code = 0) {
      const event = { key, windowsVirtualKeyCode: code };
      const text = key === " " ? { text: " " } : {};
      await call("Input.dispatchKeyEvent", {
        type: "keyDown",
        ...event,
        ...text,
      });
      await call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((done) => socket.onclose = done);
      await call("Browser.close");
      await closed;
      await child.status;
      await Deno.remove(profile, { recursive: true });
    },
  };
}
