/**
 * Lazy float tensors: a shape and a function that reads the values.
 * Transforming a model computes nothing until a tensor is read, so a large
 * checkpoint needs the memory of one layer.
 * @module
 */

/** A float tensor, row-major; each call of `read` computes or loads it. */
export interface Tensor {
  /** Shape, outermost dimension first. */
  readonly shape: readonly number[];
  /** All elements in float64, row-major. The caller owns the array. */
  read(): Float64Array;
  /** All elements in float32; defined only if this is exact. */
  float32?(): Float32Array;
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** A tensor over an array, which is copied on read. */
export function constant(
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  if (values.length !== sizeOf(shape)) {
    throw new RangeError(
      `Cannot make a tensor of shape [${shape}]: it holds ${
        sizeOf(shape)
      } numbers, ${values.length} were given`,
    );
  }
  return { shape, read: () => Float64Array.from(values) };
}

/** A tensor with `f` applied to the values of `t`; `f` may work in place. */
export function mapTensor(
  t: Tensor,
  f: (values: Float64Array) => Float64Array,
  shape: readonly number[] = t.shape,
): Tensor {
  return { shape, read: () => f(t.read()) };
}

/** The tensor with another shape and the same values. */
export function reshape(t: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== sizeOf(t.shape)) {
    throw new RangeError(
      `Cannot reshape [${t.shape}] to [${shape}]: sizes differ`,
    );
  }
  return { shape, read: () => t.read() };
}

/** `t`, computed once and cached. */
export function cached(t: Tensor): Tensor {
  let values: Float64Array | undefined;
  return { shape: t.shape, read: () => (values ??= t.read()).slice() };
}
