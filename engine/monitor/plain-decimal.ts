/** Decimal text without exponent, made from text: no value passes through a float. */

/**
 * The same number without an exponent: `1e-07` becomes `0.0000001`. The digits are those given; Postgres gives a double's shortest.
 * NaN and Infinity, which no bar holds, pass as they are.
 */
export function plainDecimal(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]?\d+)$/i.exec(text);
  if (!match) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  return sign + placePoint(whole + fraction, whole.length + Number(exponent));
}

/** A whole number divided by 10^decimals, without trailing zeros: `150` by 2 decimals is `1.5`. */
export function divideByPowerOfTen(whole: string, decimals: number): string {
  const sign = whole.startsWith('-') ? '-' : '';
  const digits = whole.slice(sign.length);
  return sign + placePoint(digits, digits.length - decimals);
}

/** Digits with the point after `position` of them, position may lie outside. */
function placePoint(digits: string, position: number): string {
  const padded = position <= 0 ? '0'.repeat(1 - position) + digits : digits.padEnd(position, '0');
  const at = Math.max(position, 1);
  const whole = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const fraction = padded.slice(at).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
