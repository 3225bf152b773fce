// When to reconnect and when to doubt the connection: pure, so that it is tested without waiting.

export const STALE_MS = 30_000
export const DEAD_MS = 45_000
const FIRST_MS = 250
const CAP_MS = 10_000

/** Delay before attempt `n`, counted from 0: doubles up to 10 s, the later half of it by chance. */
export function backoff(n: number, random: number): number {
  const full = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(n, 16))
  return full / 2 + (full / 2) * random
}

export interface Beat {
  readonly ping: boolean
  readonly state: 'live' | 'stale' | 'dead'
  /** When to look again, from now. */
  readonly wakeIn: number
}

export function beat(now: number, lastSent: number, lastHeard: number, pingMs: number): Beat {
  const silence = now - lastHeard
  if (silence >= DEAD_MS) return { ping: false, state: 'dead', wakeIn: 0 }
  const ping = now - lastSent >= pingMs
  const nextPing = ping ? pingMs : lastSent + pingMs - now
  const state = silence >= STALE_MS ? 'stale' : 'live'
  const nextDoubt = (state === 'stale' ? DEAD_MS : STALE_MS) - silence
  return { ping, state, wakeIn: Math.max(1, Math.min(nextPing, nextDoubt)) }
}
