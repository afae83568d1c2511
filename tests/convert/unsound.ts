/**
 * Checkpoints with weights that training does not produce (NaN, infinity, extreme
 * values).
 */
import { openCheckpoint } from "../../src/format/checkpoint.ts";
import { writeSafetensors } from "../../src/format/write.ts";
import { f32ToF16 } from "../../src/tensor/float16.ts";

/** A type that weights are stored in. */
export type FloatType = "F64" | "F32" | "F16" | "BF16";

const STORED: Record<FloatType, (values: Float64Array) => ArrayBufferView> = {
  F64: (v) => v,
  F32: (v) => Float32Array.from(v),
  F16: (v) => f32ToF16(v),
  BF16: (v) =>
    new Uint16Array(Float32Array.from(v).buffer)
      .filter((_, i) => i % 2 === 1),
};

/** Copies the checkpoint `from` to the new folder `to`, its weights stored in `dtype`, those of some tensors changed. */
export function unsoundCheckpoint(
  from: string,
  to: string,
  dtype: FloatType,
  changes: Readonly<Record<string, (values: Float64Array) => void>>,
) {
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    if (name === "model.safetensors") continue;
    Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
  using file = openCheckpoint(from);
  const unknown = Object.keys(changes).find((name) => !file.tensors.has(name));
  if (unknown) throw new Error(`there is no tensor ${unknown}`);
  writeSafetensors(`${to}/model.safetensors`, {
    metadata: {},
    tensors: [...file.tensors.values()].map(({ name, shape, read }) => ({
      name,
      dtype,
      shape,
      data() {
        const values = Float64Array.from(read() as Float32Array);
        changes[name]?.(values);
        return STORED[dtype](values);
      },
    })),
  });
}
