import type { CallConvention, CallParts } from './answer/call-convention.ts'
import { conventionNamed } from './answer/conventions.ts'
import { generic } from './answer/families.ts'
import { conventionShown } from './inferred-convention.ts'

/** A convention as data, for another thread: the name of a known family, or what the template of an unknown one showed. */
export type ConventionFacts = string | CallParts

export function factsOfConvention({ name, shown }: CallConvention): ConventionFacts {
  return shown ?? name
}

/** The convention that the facts stand for; facts that were none are a broken invariant. */
export function conventionFrom(facts: ConventionFacts): CallConvention {
  if (facts === generic.name) return generic
  const found = typeof facts === 'string' ? conventionNamed(facts) : conventionShown(facts)
  if (found === undefined) throw new Error(`There is no convention of ${JSON.stringify(facts)}.`)
  return found
}
