/**
 * Bundles the library for browsers, and the demo: the server's page with a model that
 * runs in the page itself.
 *
 *     deno task browser           writes dist/browser/
 *     deno task browser --serve   and shows it at http://127.0.0.1:8000/
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { joinedPage } from "./page.ts";

const root = new URL("../", import.meta.url);
const path = (relative: string) => fromFileUrl(new URL(relative, root));

/** WebAssembly that the library loads from beside itself. */
const DECODERS = [
  "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm",
  "wasm-webp/dist/esm/webp-wasm.wasm",
];

/** Bundles one module of ours with all it imports. */
async function bundle(entry: string, out: string): Promise<string> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=browser",
      "--minify",
      `--output=${out}`,
      path(entry),
    ],
    cwd: path("."),
    stdout: "null",
  }).output();
  if (success) return await Deno.readTextFile(out);
  throw new Error(
    `Cannot bundle ${entry}: ${new TextDecoder().decode(stderr)}`,
  );
}

/**
 * Puts a module that runs models into `out`/`name`, with the worker.js of its
 * threads and the decoders beside it. What Deno's bundler leaves alone,
 * addresses of files beside a module, is pointed at those files here.
 */
export async function bundleFor(
  out: string,
  name: string,
  entry: string,
): Promise<void> {
  await Deno.mkdir(out, { recursive: true });
  await bundle("src/execute/worker.ts", join(out, "worker.js"));
  let js = await bundle(entry, join(out, name));
  js = js.replaceAll('"./worker.ts"', '"./worker.js"');
  for (const decoder of DECODERS) {
    const name = decoder.replace(/.*\//, "");
    js = js.replaceAll(
      `import.meta.resolve("${decoder}")`,
      `new URL("./${name}",import.meta.url).href`,
    );
    const bytes = await Deno.readFile(new URL(import.meta.resolve(decoder)));
    await Deno.writeFile(join(out, name), bytes);
  }
  // Emscripten's way into Node, behind a test that no browser passes.
  js = js.replaceAll(
    /\bimport\((["'`])(?:node:)?module\1\)/g,
    "Promise.reject()",
  );
  const alien = js.match(
    /import\.meta\.resolve|"\.\/[\w/]+\.ts"|\b(from|import\(?)\s*["'](?!\.)[^"']+/,
  );
  if (alien) {
    throw new Error(
      `Cannot bundle ${entry}: no browser can follow ${
        JSON.stringify(alien[0])
      }; what runs a model uses the web's own only, the rest is in src/platform`,
    );
  }
  await Deno.writeTextFile(join(out, name), js);
}

/** The library, the page and the bundled model: all the demo needs. */
export async function buildDemo(out: string): Promise<void> {
  await bundleFor(out, "mquant.js", "src/mod.ts");
  const demo = new URL("examples/browser/", root);
  const page = await joinedPage(new URL("local.js", demo));
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${page.scripts} 'wasm-unsafe-eval'`,
    `style-src ${page.style}`,
    "img-src blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const meta =
    `<meta http-equiv="content-security-policy" content="${policy}">`;
  await Deno.writeTextFile(
    join(out, "index.html"),
    page.html.replace("<title>", () => `${meta}\n    <title>`),
  );
  await Deno.copyFile(new URL("caption.js", demo), join(out, "caption.js"));
  const model = "photo-mini.w4a8.safetensors";
  await Deno.copyFile(path(`models/photo-mini/${model}`), join(out, model));
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  wasm: "application/wasm",
  jpg: "image/jpeg",
  safetensors: "application/octet-stream",
};

/**
 * Serves a folder on this machine only. `isolated` sends the two headers with
 * which a browser gives a page shared memory, and with it threads.
 */
export function serveFolder(
  folder: string,
  { port = 8000, isolated = true } = {},
): Deno.HttpServer<Deno.NetAddr> {
  const isolation: Record<string, string> = isolated
    ? {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    }
    : {};
  return Deno.serve(
    { hostname: "127.0.0.1", port, onListen() {} },
    async (request) => {
      const name = new URL(request.url).pathname.slice(1) || "index.html";
      const type = TYPES[name.replace(/.*\./, "")];
      if (!/^[\w.-]+$/.test(name) || !type) {
        return new Response("Not found", { status: 404 });
      }
      try {
        const file = await Deno.open(join(folder, name));
        const { size } = await file.stat();
        return new Response(file.readable, {
          headers: {
            "content-type": type,
            "content-length": `${size}`,
            ...isolation,
          },
        });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        return new Response("Not found", { status: 404 });
      }
    },
  );
}

if (import.meta.main) {
  const out = path("dist/browser");
  await buildDemo(out);
  console.error(`dist/browser is complete: any web server can serve it`);
  if (Deno.args.includes("--serve")) {
    const { addr } = serveFolder(out);
    console.error(`it is at http://127.0.0.1:${addr.port}/`);
  }
}
