/**
 * exp, ln, sin, cos and pow with +, −, × and ÷ only. `Math.exp` and others may
 * differ in the last bit between engines and processors; these do not, so
 * rotary tables and logits are equal on every machine.
 * @module
 */

const LN2_HI = 0.6931471803691238;
const LN2_LO = 1.9082149292705877e-10;

/** 2^k for integer |k| ≤ 1023, exact. */
function exp2i(k: number): number {
  let result = 1, base = k < 0 ? 0.5 : 2;
  for (let e = Math.abs(k); e > 0; e = Math.floor(e / 2)) {
    if (e % 2 === 1) result *= base;
    base *= base;
  }
  return result;
}

/** e^x for |x| ≤ 700, within a few ulp of float64. */
export function exp(x: number): number {
  const k = Math.floor(x / (LN2_HI + LN2_LO) + 0.5);
  const r = (x - k * LN2_HI) - k * LN2_LO;
  let term = 1, sum = 1;
  for (let i = 1; i < 20; i++) sum += term *= r / i;
  return sum * exp2i(k);
}

/** Natural logarithm of x > 0, by Newton steps on `exp`. */
export function ln(x: number): number {
  let k = 0, m = x;
  while (m > 1.5) m /= 2, k++;
  while (m < 0.75) m *= 2, k--;
  let y = 0;
  for (let i = 0; i < 8; i++) y += m / exp(y) - 1;
  return y + k * (LN2_HI + LN2_LO);
}

/** base^e for base > 0. */
export function pow(base: number, e: number): number {
  return exp(e * ln(base));
}

// π/2 in three parts (Cody–Waite): exact products for |k| < 2^20.
const P1 = 1.5707963267341256, P2 = 6.077100506303966e-11;
const P3 = 2.0222662487959506e-21;

/** [sin x, cos x] for |x| ≤ 10^6, within a few ulp of float64. */
export function sincos(x: number): [number, number] {
  const k = Math.floor(x / (P1 + P2) + 0.5);
  const r = ((x - k * P1) - k * P2) - k * P3;
  const r2 = r * r;
  let sin = 0, cos = 0, term = 1;
  for (let i = 0; i < 12; i++) { // term = (−1)^i r^(2i) / (2i)!
    cos += term;
    sin += term * r / (2 * i + 1);
    term *= -r2 / ((2 * i + 1) * (2 * i + 2));
  }
  switch (((k % 4) + 4) % 4) {
    case 0:
      return [sin, cos];
    case 1:
      return [cos, -sin];
    case 2:
      return [-sin, -cos];
    default:
      return [-cos, sin];
  }
}
