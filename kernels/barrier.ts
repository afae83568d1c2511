// Where threads meet. Three words on one cache line:
//
//   ┌────────────┬──────────┬──────────┐
//   │ generation │ arrivals │ sleepers │   the last to arrive resets arrivals, moves the
//   └────────────┴──────────┴──────────┘   generation on and wakes sleepers, if any
//
//   A spin costs 0.2 µs, a sleep 20 µs (2 threads); so all spin first, and nobody
//   pays for a notify that no one waits for.

export function barrier__simd(ptr: usize, threads: i32, spinLimit: i32): void {
  if (!ASC_FEATURE_THREADS) return; // an unshared memory has one thread
  const generation = atomic.load<i32>(ptr);
  if (atomic.add<i32>(ptr, 1, 4) == threads - 1) {
    atomic.store<i32>(ptr, 0, 4);
    atomic.add<i32>(ptr, 1);
    if (atomic.load<i32>(ptr, 8) != 0) atomic.notify(ptr, threads);
    return;
  }
  while (atomic.load<i32>(ptr) == generation) {
    if (spinLimit-- > 0) continue;
    // The sleeper counts itself first and wait compares the generation: either the
    // last one sees the count, or wait sees the new generation and returns.
    atomic.add<i32>(ptr, 1, 8);
    atomic.wait<i32>(ptr, generation, -1);
    atomic.sub<i32>(ptr, 1, 8);
  }
}
