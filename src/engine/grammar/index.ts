export { ConstraintCompiler, type CompiledConstraint, type ConstraintRequest } from './constraint-compiler.ts'
export { TriggerWatch, type Trigger } from './trigger-watch.ts'
