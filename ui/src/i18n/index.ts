// A small typed catalogue: keys come from en.json, plurals and times from Intl.
import { computed, shallowRef } from 'vue'
import type {
  ContainerPhase, EventActor, GateState, Health, OpKind, OpState, Phase, Scope, Severity, StageState, TreeKind, TreeState,
} from '../protocol/archy'
import { remember, stored } from '../state/prefs'
import en from './en.json'
import { sized } from '../model/bytes'
import { format, pickLocale, relative, LOCALES, type Locale } from './format'

export type Catalogue = typeof en
export type Key = keyof Catalogue
/** Keys that have a singular and a plural form. */
export type PluralKey = Key extends infer K ? (K extends `${infer Base}.one` ? Base : never) : never

/** Everything that the node can say has a text: a new value in the protocol fails the type check here. */
type Spoken =
  | `phase.${Phase}`
  | `container.${ContainerPhase}`
  | `health.${Health}`
  | `op.${OpKind}`
  | `op.failed.${OpKind}`
  | `op.done.${OpKind}`
  | `stage.state.${StageState}`
  | `tree.${TreeKind}`
  | `tree.state.${TreeState}`
  | `op.state.${OpState}`
  | `op.name.${OpKind}`
  | `gate.state.${GateState}`
  | `gate.note.${GateState}`
  | `severity.${Severity}`
  | `actor.${EventActor}`
  | `scope.${Scope}`
en satisfies Record<Spoken, string>

type Choice = Locale | 'auto'
const saved = stored('archipelago.language')
export const choice = shallowRef<Choice>(LOCALES.includes(saved as Locale) ? (saved as Locale) : 'auto')
export const locale = shallowRef<Locale>('en')
const catalogue = shallowRef<Catalogue>(en)

export async function useLanguage(next: Choice): Promise<void> {
  choice.value = next
  remember('archipelago.language', next)
  const wanted = next === 'auto' ? pickLocale(navigator.languages) : next
  catalogue.value = wanted === 'de' ? ((await import('./de.json')).default as Catalogue) : en
  locale.value = wanted
  document.documentElement.lang = wanted
}

export function t(key: Key, params?: Record<string, string | number>): string {
  return format(catalogue.value[key], params)
}

export function tn(key: PluralKey, n: number, params?: Record<string, string | number>): string {
  const form = plural.value.select(n) === 'one' ? 'one' : 'other'
  return t(`${key}.${form}` as Key, { n: number(n), ...params })
}

/** The text of a key that is made from a value of the node; null where this page does not know the value. */
export function known(key: string, params?: Record<string, string | number>): string | null {
  return key in catalogue.value ? t(key as Key, params) : null
}

const plural = computed(() => new Intl.PluralRules(locale.value))
const numbers = computed(() => new Intl.NumberFormat(locale.value))
const percents = computed(() => new Intl.NumberFormat(locale.value, { style: 'percent' }))
const times = computed(() => new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }))
const dates = computed(() => new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }))
const relatives = computed(() => new Intl.RelativeTimeFormat(locale.value, { numeric: 'always', style: 'narrow' }))

export const number = (n: number): string => numbers.value.format(n)
/** Rounded down: 100 % is said only of what is whole. */
export const percent = (n: number): string => percents.value.format(Math.floor(n * 100 + 1e-9) / 100)
/** A size in memory or on a disk. */
export function size(bytes: number): string {
  const { n, unit, digits } = sized(bytes)
  return `${new Intl.NumberFormat(locale.value, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(n)} ${unit}`
}
/** "Saturday, 21 November". */
export const weekday = (ms: number): string => new Intl.DateTimeFormat(locale.value, { weekday: 'long', day: 'numeric', month: 'long' }).format(ms)
/** HH:MM:SS */
export const clock = (ms: number): string => times.value.format(ms)
export const dateTime = (ms: number): string => dates.value.format(ms)
/** A day without its time. */
export const date = (ms: number): string => new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium' }).format(ms)
export const ago = (from: number, now: number): string => relative(relatives.value, from, now)
