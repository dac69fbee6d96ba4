/** The edit distance of two names (Levenshtein), and the known name that a misspelt one probably means. */
export function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const change = left[i - 1] === right[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    row = next;
  }
  return row[right.length]!;
}

/** The nearest of `known`, if it is within one edit (names below 6 characters) or two; never for names below 4. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length < 4) return undefined;
  let best: string | undefined;
  let bestDistance = name.length < 6 ? 2 : 3;
  for (const candidate of known) {
    const distance = editDistance(name.toUpperCase(), candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** As nearestName, of values that are written in lower case. */
export function nearestChoice(given: string, choices: readonly string[]): string | undefined {
  const near = nearestName(
    given,
    choices.map((choice) => choice.toUpperCase()),
  );
  return choices.find((choice) => choice.toUpperCase() === near);
}
