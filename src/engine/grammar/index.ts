export {
  ConstraintCompiler,
  type CompiledConstraint,
  type ConstraintRequest,
  type Trigger,
} from './constraint-compiler.ts'
