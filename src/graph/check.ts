/**
 * What a graph promises beyond its fields: every value is made before it is
 * used, widths agree, and the file holds exactly the tensors the nodes name,
 * with the types and shapes they must have.
 * @module
 */
import type { DType } from "../format/dtype.ts";
import { quoted } from "../format/error.ts";
import {
  channel0Weight,
  groupScale,
  headScale,
  prefixValues,
  siteScale,
  weightScale,
} from "./names.ts";
import {
  type AttentionNode,
  extraRows,
  type ImageInfo,
  imageInfoOf,
  inputsOf,
  logitsOf,
  modalityOf,
  type ModelInfo,
  type Node,
  rowsPerImage,
  widthOf,
} from "./node.ts";
import { mergeOf, tableRowsOf } from "./grid.ts";
import { RuntimeError } from "./error.ts";

/** Type and shape of a tensor. */
export interface TensorSpec {
  /** Element type. */
  readonly dtype: DType;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
}

function fail(problem: string): never {
  throw new RuntimeError("graph", `Cannot read the model: ${problem}`);
}

/**
 * Checks references and widths.
 * @throws {RuntimeError} "graph"
 */
export function checkGraph(nodes: readonly Node[], info: ModelInfo): void {
  const made = new Map<string, Node>();
  const streams = new Map<string, { width: number; phase: string }>();
  let text = false;
  if (info.image?.nativeResolution) checkAnySize(nodes, info.image);
  if (info.image?.bidirectional && info.image.nativeResolution) {
    fail("with nativeResolution, an image's tokens cannot see each other");
  }
  for (const node of nodes) {
    const say = `node ${quoted(node.id)} (${node.op})`;
    if (made.has(node.id)) fail(`two nodes have the id ${quoted(node.id)}`);
    if (text && node.phase === "vision") {
      fail(`${say} is of the vision phase but stands behind the text phase`);
    }
    text ||= node.phase === "text";
    if (
      !info.image && (node.phase === "vision" ||
        node.op === "residual_add" && node.modality === "vision")
    ) {
      fail(`${say} is about images, and its info has none`);
    }
    const widths = inputsOf(node).map((id) => {
      const from = made.get(id);
      const width = from && widthOf(from, (x) => made.get(x)!);
      if (from === undefined || width === undefined) {
        return fail(`${say} uses ${quoted(id)}, which no node before it makes`);
      }
      const bridge = node.op === "residual_add" && node.modality === "vision";
      if (from.phase !== node.phase && !bridge) {
        fail(`${say} uses ${quoted(id)} of another phase`);
      }
      return width;
    });
    checkRows(node, (id) => made.get(id)!, say);
    const expect = (want: number, got: number, what: string) => {
      if (want !== got) {
        fail(`${say}: ${what} must be ${want}: current value is ${got}`);
      }
    };
    if ("width" in node && node.width % 4 !== 0) {
      fail(
        `${say}: width must be a multiple of 4: current value is ${node.width}`,
      );
    }
    switch (node.op) {
      case "patch_input":
        expect(3 * imageInfoOf(info).patchSize ** 2, node.width, "width");
        break;
      case "linear":
        expect(widths[0], node.k, "k");
        break;
      case "residual_add": {
        const stream = streams.get(node.stream);
        const [first, width] = node.columns ?? [0, widths[0]];
        if (stream && stream.phase !== node.phase) {
          fail(`${say} writes a stream of another phase`);
        }
        if (first % 4 !== 0 || first + width > widths[0]) {
          fail(
            `${say}: columns must begin at a multiple of 4 and lie in the ${
              widths[0]
            } columns of what it adds: it is ${first}, ${width}`,
          );
        }
        if (stream) expect(stream.width, width, "the width of what it adds");
        else streams.set(node.stream, { width, phase: node.phase });
        break;
      }
      case "norm":
      case "residual_read": {
        const stream = streams.get(node.stream);
        if (!stream || stream.phase !== node.phase) {
          return fail(
            `${say} reads the stream ${
              quoted(node.stream)
            }, which nothing before it wrote`,
          );
        }
        expect(stream.width, node.width, "width");
        break;
      }
      case "attention": {
        const { heads, kvHeads, headDim } = node;
        if (heads % kvHeads !== 0) {
          fail(
            `${say}: heads must be a multiple of kvHeads: current values are ${heads} and ${kvHeads}`,
          );
        }
        expect(heads * headDim, widths[0], "the width of q");
        expect(kvHeads * headDim, widths[1], "the width of k");
        expect(kvHeads * headDim, widths[2], "the width of v");
        checkRotary(node, info, say);
        break;
      }
      case "concat_rows":
        for (const width of widths) {
          expect(widths[0], width, "the width of what it stacks");
        }
        break;
      case "causal_conv1d":
        for (const width of widths) {
          expect(node.width, width, "the width of its input");
        }
        if (node.phase !== "text" || info.prefix) {
          fail(
            `${say} must be of the text phase, in a model without tokens in front of every sequence`,
          );
        }
        break;
      case "activation":
        for (const width of widths) {
          expect(node.width, width, "the width of its input");
        }
        break;
      case "hadamard":
        expect(node.rotation.n, widths[0], "the width of its input");
        break;
      case "qk_norm":
        expect(node.width, widths[0], "the width of its input");
        if (node.width % node.headDim !== 0 || node.headDim % 8 !== 0) {
          fail(
            `${say}: headDim must be a multiple of 8 that divides ${node.width}: current value is ${node.headDim}`,
          );
        }
        break;
      case "channel_scale":
      case "pixel_shuffle":
        expect(node.width, widths[0], "the width of its input");
        break;
    }
    made.set(node.id, node);
  }
  const last = nodes.at(-1)!;
  if (last.op !== "linear" || last.phase !== "text") {
    fail(
      `its last node must be the head, a linear of the text phase: it is ${last.op}`,
    );
  }
  if (logitsOf(nodes).n !== info.vocabulary) {
    fail(
      `its head has ${
        logitsOf(nodes).n
      } outputs for a vocabulary of ${info.vocabulary}`,
    );
  }
}

/** Values that have the rows of one modality only go where their rows are known. */
function checkRows(
  node: Node,
  made: (id: string) => Node,
  say: string,
): void {
  const asked = "modality" in node ? node.modality : undefined;
  if (node.op === "linear" && asked && node.phase !== "text") {
    fail(`${say}: modality must be of the text phase`);
  }
  const given = new Set(inputsOf(node).map((id) => modalityOf(made(id), made)));
  const [rows] = given;
  if (given.size < 2 && rows === undefined) return;
  const follows = [
    "linear",
    "activation",
    "hadamard",
    "channel_scale",
    "qk_norm",
  ]
    .includes(node.op);
  const fits = node.op === "residual_add"
    ? asked === rows
    : follows && (asked ?? rows) === rows;
  if (given.size > 1 || !fits) {
    fail(
      `${say} cannot take the rows of ${
        [...given].map((m) => m ?? "all").join(" and ")
      }: only linears, activations, gains, rotations and norms of heads go on with the rows of one modality, and a write of the same`,
    );
  }
}

/** Pictures that keep their shape: whole squares of patches, nothing behind them. */
function checkAnySize(nodes: readonly Node[], image: ImageInfo): void {
  const merge = mergeOf(image), { height, width, patchSize, tokens } = image;
  if (
    ![merge, height / patchSize / merge, width / patchSize / merge].every(
      Number.isInteger,
    ) ||
    extraRows(nodes) > 0
  ) {
    fail(
      `with nativeResolution, an image's ${tokens} tokens must be squares of its patches, without extra rows`,
    );
  }
}

/** Rotary embedding by row and column, or by a token's place. */
function checkRotary(node: AttentionNode, info: ModelInfo, say: string): void {
  const {
    ropeTheta: theta,
    headDim,
    rope2d,
    mropeSection,
    rotaryDim,
    windowSize: window,
    slidingWindow,
    ropeScalingFactor,
  } = node;
  if (slidingWindow !== undefined && node.phase !== "text") {
    fail(
      `${say}: slidingWindow must be of the text phase: current value is ${slidingWindow}`,
    );
  }
  if (
    ropeScalingFactor !== undefined &&
    (theta === undefined || rope2d || mropeSection)
  ) {
    fail(
      `${say}: ropeScalingFactor must come with ropeTheta, without rope2d and mropeSection: current value is ${ropeScalingFactor}`,
    );
  }
  if (window !== undefined) {
    const { image } = info;
    if (
      node.phase !== "vision" || !image?.nativeResolution ||
      window % mergeOf(image) !== 0 || node.kvHeads !== node.heads
    ) {
      fail(
        `${say}: windowSize must be of the vision phase of a model with nativeResolution, whole tokens, with as many kvHeads as heads: current value is ${window}`,
      );
    }
  }
  if (node.mropeInterleaved && mropeSection?.length !== 3) {
    fail(
      `${say}: mropeInterleaved must come with three numbers of mropeSection`,
    );
  }
  if (
    rotaryDim !== undefined &&
    (theta === undefined || rope2d || rotaryDim % 2 !== 0 ||
      rotaryDim > headDim)
  ) {
    fail(
      `${say}: rotaryDim must come with ropeTheta, without rope2d, and be even and at most the headDim of ${headDim}: current value is ${rotaryDim}`,
    );
  }
  if (!rope2d && !mropeSection) return;
  if (theta === undefined || (rope2d && mropeSection)) {
    fail(
      `${say}: rope2d or mropeSection, one of them, must come with ropeTheta`,
    );
  }
  if (rope2d && (node.phase !== "vision" || headDim % 4 !== 0)) {
    fail(
      `${say}: rope2d must be of the vision phase, with a headDim that is a multiple of 4: current value is ${headDim}`,
    );
  }
  if (!mropeSection) return;
  const pairs = mropeSection.reduce((a, b) => a + b, 0);
  const { image } = info;
  if (!image) {
    return fail(`${say}: mropeSection is for images, and its info has none`);
  }
  const { height, width, patchSize, tokens } = image, merged = mergeOf(image);
  if (node.phase !== "text" || pairs !== headDim / 2) {
    fail(
      `${say}: mropeSection must be of the text phase, and add up to half the headDim of ${headDim}: it is ${mropeSection}`,
    );
  }
  if (
    !image.sharedPosition &&
    ![merged, height / patchSize / merged, width / patchSize / merged].every(
      Number.isInteger,
    )
  ) {
    fail(
      `${say}: with mropeSection, an image's ${tokens} tokens must be squares of its patches`,
    );
  }
}

/**
 * Tensors that the nodes name.
 * @throws {RuntimeError} "bits" where a weight's width in bits is missing, "graph" where two nodes disagree
 */
export function tensorsOf(
  nodes: readonly Node[],
  info: ModelInfo,
  bits: ReadonlyMap<string, number>,
  groups: ReadonlyMap<string, number> = new Map(),
): Map<string, TensorSpec> {
  const specs = new Map<string, TensorSpec>();
  const add = (name: string, dtype: DType, ...shape: number[]) => {
    const known = specs.get(name);
    if (known && (known.dtype !== dtype || `${known.shape}` !== `${shape}`)) {
      fail(
        `tensor ${
          quoted(name)
        } is used as ${known.dtype} [${known.shape}] and as ${dtype} [${shape}]`,
      );
    }
    specs.set(name, { dtype, shape });
  };
  const weight = (name: string, n: number, k: number) => {
    const b = bits.get(name);
    if (b === undefined) {
      throw new RuntimeError(
        "bits",
        `Cannot read the model: bits of ${quoted(name)} are missing`,
      );
    }
    if (b === 4 && k % 2 !== 0) {
      fail(
        `weight ${
          quoted(name)
        } of 4 bits must have an even k: current value is ${k}`,
      );
    }
    if (b === 4) add(name, "U8", n, k / 2);
    else add(name, "I8", n, k);
    add(weightScale(name), "F32", n);
    const group = groups.get(name);
    if (group === undefined) return;
    if (b !== 4 || k % group !== 0) {
      fail(
        `weight ${
          quoted(name)
        } in groups of ${group} must have 4 bits and whole groups: it has ${b} bits and k ${k}`,
      );
    }
    add(groupScale(name), "U8", n, k / group);
  };
  for (const node of nodes) {
    switch (node.op) {
      case "linear":
        weight(node.weight, node.n, node.k);
        if (node.bias !== undefined) add(node.bias, "F32", node.n);
        if (node.floatChannel0) add(channel0Weight(node), "F32", node.n);
        add(siteScale(node), "F32", node.phase === "vision" ? 1 : 2);
        break;
      case "embedding":
        weight(node.weight, info.vocabulary, node.width);
        if (groups.has(node.weight)) {
          fail(
            `embedding ${
              quoted(node.weight)
            } must have one scale per row: it has groups of ${
              groups.get(node.weight)
            }`,
          );
        }
        break;
      case "learned_embedding":
        add(
          node.weight,
          "F32",
          tableRowsOf(node) ?? node.rows ?? rowsPerImage(nodes, info),
          node.width,
        );
        break;
      case "causal_conv1d":
        add(node.weight, "F32", node.kernelSize, node.width);
        if (node.bias !== undefined) add(node.bias, "F32", node.width);
        break;
      case "qk_norm":
        add(node.weight, "F32", node.headDim);
        break;
      case "channel_scale":
        add(node.weight, "F32", node.width);
        break;
      case "norm":
        if (node.weight !== undefined) add(node.weight, "F32", node.width);
        if (node.bias !== undefined) add(node.bias, "F32", node.width);
        break;
      case "attention":
        add(headScale(node, "q"), "F32", node.heads);
        add(headScale(node, "k"), "F32", node.kvHeads);
        add(headScale(node, "v"), "F32", node.kvHeads);
        if (info.prefix && node.phase === "text") {
          for (const part of ["k", "v"] as const) {
            const width = node.kvHeads * node.headDim;
            add(prefixValues(node, part), "I8", info.prefix.length, width);
          }
        }
        break;
    }
  }
  for (const name of groups.keys()) {
    if (!specs.has(groupScale(name))) {
      throw new RuntimeError(
        "bits",
        `Cannot read the model: groups name the weight ${
          quoted(name)
        }, which no linear uses`,
      );
    }
  }
  for (const name of bits.keys()) {
    if (!specs.has(weightScale(name))) {
      throw new RuntimeError(
        "bits",
        `Cannot read the model: bits name the weight ${
          quoted(name)
        }, which no node uses`,
      );
    }
  }
  return specs;
}
