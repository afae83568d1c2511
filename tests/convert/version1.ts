/**
 * The small graph of tests/small_graph.ts in the file format of version 1, byte by
 * byte.
 * @module
 */
import { openSafetensors } from "../../src/format/safetensors.ts";
import { bytesSource } from "../../src/format/source.ts";
import { writeSafetensors } from "../../src/format/write.ts";
import { smallModel } from "../small_graph.ts";

/** Columns of a group of its connector, which has some. */
export const GROUPS = { "connector.weight": 32 };

const INFO = {
  architecture: "test",
  vocabulary: 24,
  maxPositions: 64,
  stopIds: [2],
  image: {
    height: 8,
    width: 8,
    patch: 2,
    tokens: 4,
    tokenId: 3,
    text: "<image>",
  },
};

// deno-fmt-ignore
const GRAPH = `[
{"op":"table","id":"pos","phase":"vision","param":"pos.weight","width":16},
{"op":"write","id":"pos>v","phase":"vision","stream":"v","x":"pos"},
{"op":"patches","id":"px","phase":"vision","width":12},
{"op":"linear","id":"patch","phase":"vision","x":"px","k":12,"n":16,"weight":"patch.weight","bias":"patch.bias"},
{"op":"write","id":"patch>v","phase":"vision","stream":"v","x":"patch"},
{"op":"read","id":"norm","phase":"vision","stream":"v","width":16,"norm":"rms","eps":0.000001},
{"op":"shuffle","id":"merge","phase":"vision","x":"norm","factor":2,"width":16},
{"op":"linear","id":"connector","phase":"vision","x":"merge","k":64,"n":16,"weight":"connector.weight"},
{"op":"write","id":"connector>t","phase":"text","stream":"t","x":"connector","rows":"vision"},
{"op":"embed","id":"embed","phase":"text","param":"embed.weight","width":16},
{"op":"write","id":"embed>t","phase":"text","stream":"t","x":"embed","rows":"text"},
{"op":"read","id":"n1","phase":"text","stream":"t","width":16,"norm":"rms","eps":0.000001},
{"op":"linear","id":"q","phase":"text","x":"n1","k":16,"n":16,"weight":"q.weight"},
{"op":"linear","id":"k","phase":"text","x":"n1","k":16,"n":8,"weight":"k.weight"},
{"op":"linear","id":"v","phase":"text","x":"n1","k":16,"n":8,"weight":"v.weight"},
{"op":"attend","id":"at","phase":"text","q":"q","k":"k","v":"v","heads":2,"kvHeads":1,"headDim":8,"mask":"causal","theta":10000},
{"op":"linear","id":"o","phase":"text","x":"at","k":16,"n":16,"weight":"o.weight"},
{"op":"write","id":"o>t","phase":"text","stream":"t","x":"o"},
{"op":"read","id":"n2","phase":"text","stream":"t","width":16,"norm":"rms","eps":0.000001},
{"op":"linear","id":"up","phase":"text","x":"n2","k":16,"n":16,"weight":"up.weight"},
{"op":"act","id":"act","phase":"text","fn":"silu","x":"up","width":16},
{"op":"rotate","id":"turn","phase":"text","x":"act","rotation":{"n":16,"block":16,"order":1,"seed":7}},
{"op":"linear","id":"down","phase":"text","x":"turn","k":16,"n":16,"weight":"down.weight","split":true},
{"op":"write","id":"down>t","phase":"text","stream":"t","x":"down"},
{"op":"read","id":"n3","phase":"text","stream":"t","width":16,"norm":"rms","eps":0.000001},
{"op":"last","id":"end","phase":"text","x":"n3"},
{"op":"rotate","id":"back","phase":"text","x":"end","rotation":{"n":16,"block":16,"order":1,"seed":7},"inverse":true},
{"op":"gain","id":"gain","phase":"text","x":"back","param":"gain.weight","width":16},
{"op":"rotate","id":"forth","phase":"text","x":"gain","rotation":{"n":16,"block":16,"order":1,"seed":7}},
{"op":"linear","id":"head","phase":"text","x":"forth","k":16,"n":24,"weight":"embed.weight"}
]`.replaceAll("\n", "");

/** Tensors that had another name. */
const NAMES: Readonly<Record<string, string>> = {
  "down.channel0_weight": "down.split_weight",
  "connector.weight_group_scale": "connector.weight_group",
};

/** The file of version 1; `change` replaces metadata. */
export function version1(
  change: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
  try {
    const now = openSafetensors(bytesSource(native(), "now"));
    const { header_sha256: _, sha256: __, ...metadata } = Object.fromEntries(
      now.metadata,
    );
    writeSafetensors(path, {
      metadata: {
        ...metadata,
        format: "mquant/1.1",
        info: JSON.stringify(INFO),
        graph: GRAPH,
        ...change,
      },
      tensors: [...now.tensors.values()].map((t) => ({
        name: NAMES[t.name] ?? t.name,
        dtype: t.dtype,
        shape: t.shape,
        data() {
          const bytes = new Uint8Array(t.byteLength);
          t.readInto(bytes);
          return bytes;
        },
      })),
      sha256: true,
    });
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}

/** The same model as this version writes it. */
export function native(): Uint8Array<ArrayBuffer> {
  const hello = new TextEncoder().encode("hello");
  return smallModel({ hello }, { groups: GROUPS });
}
