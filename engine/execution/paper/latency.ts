/** Three legs of latency: market to us, us to the venue, the venue's answer to us. */
import { createPrng, type Prng } from '../../core/prng.ts';
import type { LatencyLeg, PaperSettings } from './settings.ts';

export interface LatencyModel {
  /** How long what happens at the venue takes to reach us, ns. */
  feedNs(): number;
  /** How long a request of ours takes to the venue, ns. */
  entryNs(): number;
  /** How long the venue's answer takes to us, ns. */
  responseNs(): number;
}

/** Each leg draws from a stream of its own, so that one more draw on one leg leaves the others as they were. */
export function createLatency(settings: Pick<PaperSettings, 'feed' | 'entry' | 'response' | 'seed'>): LatencyModel {
  return {
    feedNs: createLeg(settings.feed, createPrng(settings.seed ^ 0x66656564)),
    entryNs: createLeg(settings.entry, createPrng(settings.seed ^ 0x656e7472)),
    responseNs: createLeg(settings.response, createPrng(settings.seed ^ 0x72657370)),
  };
}

function createLeg(leg: LatencyLeg, prng: Prng): () => number {
  if (leg.kind === 'constant') return () => leg.ns;
  if (leg.kind === 'uniform') return () => leg.minNs + prng.nextBelow(leg.maxNs - leg.minNs + 1);
  if (leg.kind === 'measured') return () => leg.samplesNs[prng.nextBelow(leg.samplesNs.length)]!;
  return () => Math.min(leg.maxNs, Math.round(leg.medianNs * Math.exp(leg.sigma * nextNormal(prng))));
}

/** Standard normal by the Box-Muller transform; 1 - u keeps the logarithm finite. */
function nextNormal(prng: Prng): number {
  return Math.sqrt(-2 * Math.log(1 - prng.nextFloat())) * Math.cos(2 * Math.PI * prng.nextFloat());
}
