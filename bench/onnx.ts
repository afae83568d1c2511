/**
 * ONNX models built in code: single products, and an image encoder, with random
 * weights. ONNX is a protobuf; a message is a list of (field, value).
 * @module
 */
import type { VisionShape } from "./shapes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

function varint(x: number | bigint): number[] {
  const out = [];
  let rest = BigInt.asUintN(64, BigInt(x));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return out;
}

/** One field: numbers as varints, floats as 4 bytes, all else with its length. */
function field(
  id: number,
  value: number | string | Bytes | { f32: number },
): Bytes[] {
  if (typeof value === "number") {
    return [new Uint8Array([...varint(id << 3), ...varint(value)])];
  }
  if (typeof value === "object" && "f32" in value) {
    const raw = new Uint8Array(Float32Array.of(value.f32).buffer);
    return [new Uint8Array([...varint(id << 3 | 5), ...raw])];
  }
  const bytes = typeof value === "string"
    ? new TextEncoder().encode(value)
    : value;
  const head = [...varint(id << 3 | 2), ...varint(bytes.length)];
  return [new Uint8Array(head), bytes];
}

function message(...fields: readonly Bytes[][]): Bytes {
  const parts = fields.flat();
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) out.set(p, at), at += p.length;
  return out;
}

const TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;
type Type = keyof typeof TYPES;

type Attributes = Readonly<
  Record<string, number | { f32: number } | readonly number[]>
>;

/** A graph that grows node by node; every method returns the name of its result. */
class Graph {
  #nodes: Bytes[] = [];
  #weights: Bytes[] = [];
  #inputs: Bytes[] = [];
  #count = 0;

  input(name: string, type: Type, shape: readonly number[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  weight(type: Type, shape: readonly number[], raw: ArrayBufferView): string {
    const name = `w${this.#count++}`;
    const bytes = new Uint8Array(
      raw.buffer as ArrayBuffer,
      raw.byteOffset,
      raw.byteLength,
    );
    this.#weights.push(message(
      ...shape.map((d) => field(1, d)),
      field(2, TYPES[type]),
      field(8, name),
      field(9, bytes),
    ));
    return name;
  }

  floats(n: number, value = 1): string {
    return this.weight("float32", [n], new Float32Array(n).fill(value));
  }

  shape(...dims: number[]): string {
    const raw = BigInt64Array.from(dims, BigInt);
    return this.weight("int64", [dims.length], raw);
  }

  node(
    op: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    outputs = 1,
    domain = "",
  ): string[] {
    const names = Array.from(
      { length: outputs },
      () => `v${this.#count++}`,
    );
    this.#nodes.push(message(
      ...inputs.map((x) => field(1, x)),
      ...names.map((x) => field(2, x)),
      field(4, op),
      ...Object.entries(attributes).map(([name, v]) =>
        field(5, attribute(name, v))
      ),
      field(7, domain),
    ));
    return names;
  }

  one(op: string, inputs: readonly string[], attributes?: Attributes): string {
    return this.node(op, inputs, attributes)[0];
  }

  model(output: string, type: Type, shape: readonly number[]): Bytes {
    const graph = message(
      ...this.#nodes.map((n) => field(1, n)),
      field(2, "random"),
      ...this.#weights.map((w) => field(5, w)),
      ...this.#inputs.map((i) => field(11, i)),
      field(12, valueInfo(output, type, shape)),
    );
    return message(
      field(1, 9),
      field(7, graph),
      field(8, message(field(1, ""), field(2, 17))),
      field(8, message(field(1, "com.microsoft"), field(2, 1))),
    );
  }
}

function valueInfo(name: string, type: Type, shape: readonly number[]): Bytes {
  const dims = message(...shape.map((d) => field(1, message(field(1, d)))));
  const tensor = message(field(1, TYPES[type]), field(2, dims));
  return message(field(1, name), field(2, message(field(1, tensor))));
}

function attribute(name: string, value: Attributes[string]): Bytes {
  if (typeof value === "number") {
    return message(field(1, name), field(3, value), field(20, 2));
  }
  if ("f32" in value) {
    return message(field(1, name), field(2, value), field(20, 1));
  }
  const ints = (value as readonly number[]).map((i) => field(8, i));
  return message(field(1, name), ...ints, field(20, 7));
}

/** Random bytes, the same 64 KiB again and again. */
function random(bytes: number): Bytes {
  const out = new Uint8Array(bytes);
  const piece = crypto.getRandomValues(new Uint8Array(65536));
  for (let at = 0; at < bytes; at += piece.length) {
    out.set(piece.subarray(0, Math.min(piece.length, bytes - at)), at);
  }
  return out;
}

/** float32 [m, k] times 4-bit weights in blocks of `block`, each with a scale. */
export function matMulNBits(
  m: number,
  k: number,
  n: number,
  block: number,
): Bytes {
  const g = new Graph(), blocks = k / block;
  const x = g.input("x", "float32", [m, k]);
  const w = g.weight("uint8", [n, blocks, block / 2], random(n * k / 2));
  const [y] = g.node(
    "MatMulNBits",
    [x, w, g.floats(n * blocks, 0.01)],
    { K: k, N: n, bits: 4, block_size: block, accuracy_level: 4 },
    1,
    "com.microsoft",
  );
  return g.model(y, "float32", [m, n]);
}

/** uint8 [m, k] times int8 weights into int32. */
export function matMulInteger(m: number, k: number, n: number): Bytes {
  const g = new Graph();
  const x = g.input("x", "uint8", [m, k]);
  const w = g.weight("int8", [k, n], random(n * k));
  const zero = g.weight("uint8", [], Uint8Array.of(128));
  return g.model(g.one("MatMulInteger", [x, w, zero]), "int32", [m, n]);
}

/**
 * An image encoder in int8 as exporters make it: every linear takes the scale
 * of its input as it comes (DynamicQuantizeLinear); norms and attention in float.
 */
export function encoder(s: VisionShape): Bytes {
  const g = new Graph(), { dim, heads } = s, d = dim / heads;
  const rows = (s.side / s.patch) ** 2, pixels = 3 * s.patch ** 2;
  const linear = (x: string, k: number, n: number): string => {
    const [codes, scale, zero] = g.node("DynamicQuantizeLinear", [x], {}, 3);
    const w = g.weight("int8", [k, n], random(k * n));
    const sum = g.one("MatMulInteger", [codes, w, zero]);
    const factor = g.one("Mul", [scale, g.floats(n, 0.001)]);
    const y = g.one("Mul", [g.one("Cast", [sum], { to: 1 }), factor]);
    return g.one("Add", [y, g.floats(n, 0)]);
  };
  const norm = (x: string) =>
    g.one("LayerNormalization", [x, g.floats(dim), g.floats(dim, 0)], {
      axis: -1,
      epsilon: { f32: 1e-6 },
    });
  const split = (x: string, perm: readonly number[]) =>
    g.one("Transpose", [g.one("Reshape", [x, g.shape(rows, heads, d)])], {
      perm,
    });
  let x = linear(g.input("x", "float32", [rows, pixels]), pixels, dim);
  for (let i = 0; i < s.layers; i++) {
    const h = norm(x);
    const q = split(linear(h, dim, dim), [1, 0, 2]);
    const k = split(linear(h, dim, dim), [1, 2, 0]);
    const v = split(linear(h, dim, dim), [1, 0, 2]);
    const scores = g.one("Mul", [
      g.one("MatMul", [q, k]),
      g.floats(1, 1 / Math.sqrt(d)),
    ]);
    const seen = g.one("MatMul", [g.one("Softmax", [scores], { axis: -1 }), v]);
    const joined = g.one("Reshape", [
      g.one("Transpose", [seen], { perm: [1, 0, 2] }),
      g.shape(rows, dim),
    ]);
    x = g.one("Add", [x, linear(joined, dim, dim)]);
    const up = linear(norm(x), dim, s.ffn);
    const [act] = g.node("FastGelu", [up], {}, 1, "com.microsoft");
    x = g.one("Add", [x, linear(act, s.ffn, dim)]);
  }
  return g.model(norm(x), "float32", [rows, dim]);
}
