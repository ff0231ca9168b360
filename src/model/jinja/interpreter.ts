import type { CallNode, ForNode, IdentifierNode, KeywordNode, Node, SetNode } from './ast.ts'
import { applyFilter } from './filters.ts'
import { isText, MarkedText, plain, TextBuilder, type Text } from './marked-text.ts'
import { methodOf } from './methods.ts'
import { itemAt, operate, sliceValue, unpack } from './operators.ts'
import { testOf } from './tests.ts'
import {
  Dict,
  isList,
  isTrue,
  iterate,
  Loop,
  orElse,
  orUndefined,
  Namespace,
  TemplateError,
  toKey,
  toText,
  tuple,
  typeName,
  Undefined,
  type Arguments,
  type Callable,
  type Value,
} from './values.ts'

/** Names of a block, and of the blocks around it. */
class Scope {
  readonly names = new Map<string, Value>()
  readonly #outer: Scope | undefined

  constructor(outer: Scope | undefined) {
    this.#outer = outer
  }

  get(name: string): Value {
    const value = this.names.get(name)
    if (value !== undefined) return value
    return this.#outer === undefined ? new Undefined(name) : this.#outer.get(name)
  }
}

type LoopExit = 'break' | 'continue'

/** The words of the language that its parser takes for names. */
const constants: readonly (readonly [string, Value])[] = [
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]

/**
 * Runs a template as Python's jinja2 does, with its text marked by where it came from. A `for` body is a scope of its
 * own; a macro sees the names around its definition. Throws TemplateError.
 */
export function runTemplate(program: Node, globals: ReadonlyMap<string, Value>): Text {
  const scope = new Scope(undefined)
  for (const [name, value] of constants) scope.names.set(name, value)
  scope.names.set('namespace', createNamespace)
  scope.names.set('dict', (args) => new Dict(createNamespace(args).attributes))
  for (const [name, value] of globals) scope.names.set(name, value)
  const out = new TextBuilder()
  if (program.type === 'Program') runBlock(program.body, scope, out)
  return out.build()
}

function createNamespace({ positional: [first], named }: Arguments): Namespace {
  const namespace = new Namespace()
  if (first instanceof Dict) {
    for (const [key, value] of first.entries) namespace.attributes.set(String(key), value)
  }
  for (const [name, value] of named) namespace.attributes.set(name, value)
  return namespace
}

/** Writes what the statements write. A result says that they left the loop around them. */
function runBlock(body: readonly Node[], scope: Scope, out: TextBuilder): LoopExit | undefined {
  for (const node of body) {
    const exit = runStatement(node, scope, out)
    if (exit !== undefined) return exit
  }
  return undefined
}

function runStatement(node: Node, scope: Scope, out: TextBuilder): LoopExit | undefined {
  switch (node.type) {
    case 'Comment':
      return undefined
    case 'Break':
      return 'break'
    case 'Continue':
      return 'continue'
    case 'If':
      return runBlock(isTrue(evaluate(node.test, scope)) ? node.body : node.alternate, scope, out)
    case 'For':
      runLoop(node, scope, out)
      return undefined
    case 'Set':
      assign(node, scope)
      return undefined
    case 'Macro':
      scope.names.set(node.name.value, createMacro(node.args, node.body, scope))
      return undefined
    case 'CallStatement': {
      const caller = createMacro(node.callerArgs ?? [], node.body, scope)
      const { positional, named } = readArguments(node.call.args, scope)
      out.add(toText(call(node.call.callee, { positional, named: new Map([...named, ['caller', caller]]) }, scope)))
      return undefined
    }
    case 'FilterStatement':
      out.add(toText(filter(node.filter, textOfBlock(node.body, scope), scope)))
      return undefined
    default:
      out.add(toText(evaluate(node, scope)))
      return undefined
  }
}

function textOfBlock(body: readonly Node[], scope: Scope): Text {
  const out = new TextBuilder()
  runBlock(body, new Scope(scope), out)
  return out.build()
}

function runLoop(node: ForNode, outer: Scope, out: TextBuilder): void {
  const { iterable } = node
  const source = iterate(evaluate(iterable.type === 'SelectExpression' ? iterable.lhs : iterable, outer))
  const bind = (item: Value): Scope => {
    const scope = new Scope(outer)
    if (node.loopvar.type === 'Identifier') scope.names.set(node.loopvar.value, item)
    else {
      const values = unpack(item, node.loopvar.value.length)
      node.loopvar.value.forEach((name, at) => {
        if (name.type === 'Identifier') scope.names.set(name.value, values[at] as Value)
      })
    }
    return scope
  }
  const items =
    iterable.type === 'SelectExpression' ? source.filter((item) => isTrue(evaluate(iterable.test, bind(item)))) : source
  for (const [at, item] of items.entries()) {
    const scope = bind(item)
    scope.names.set('loop', new Loop(items, at))
    if (runBlock(node.body, scope, out) === 'break') return
  }
  if (items.length === 0) runBlock(node.defaultBlock, new Scope(outer), out)
}

function assign({ assignee, value, body }: SetNode, scope: Scope): void {
  const assigned = value === null ? textOfBlock(body, scope) : evaluate(value, scope)
  if (assignee.type === 'TupleLiteral') {
    const values = unpack(assigned, assignee.value.length)
    assignee.value.forEach((name, at) => {
      if (name.type === 'Identifier') scope.names.set(name.value, values[at] as Value)
    })
  } else if (assignee.type === 'Identifier') scope.names.set(assignee.value, assigned)
  else if (assignee.type === 'MemberExpression') {
    const target = evaluate(assignee.object, scope)
    const name = assignee.computed ? toKey(evaluate(assignee.property, scope)) : nameOf(assignee.property)
    if (target instanceof Namespace) target.attributes.set(String(name), assigned)
    else throw new TemplateError(`only attributes of a namespace can be set, not of ${typeName(target)}`)
  }
}

function createMacro(
  parameters: readonly (IdentifierNode | KeywordNode)[],
  body: readonly Node[],
  around: Scope,
): Callable {
  return ({ positional, named }) => {
    const scope = new Scope(around)
    const left = new Map(named)
    parameters.forEach((parameter, at) => {
      const name = parameter.type === 'Identifier' ? parameter.value : parameter.key.value
      const given = orElse(positional[at], left.get(name))
      left.delete(name)
      if (given !== undefined) scope.names.set(name, given)
      else
        scope.names.set(name, parameter.type === 'Identifier' ? new Undefined(name) : evaluate(parameter.value, scope))
    })
    const caller = left.get('caller')
    if (caller !== undefined) scope.names.set('caller', caller)
    scope.names.set('varargs', tuple(positional.slice(parameters.length)))
    scope.names.set('kwargs', new Dict(left))
    const out = new TextBuilder()
    runBlock(body, scope, out)
    return out.build()
  }
}

function evaluate(node: Node, scope: Scope): Value {
  switch (node.type) {
    case 'StringLiteral':
    case 'IntegerLiteral':
    case 'FloatLiteral':
      return node.value
    case 'Identifier':
      return scope.get(node.value)
    case 'ArrayLiteral':
      return node.value.map((item) => evaluate(item, scope))
    case 'TupleLiteral':
      return tuple(node.value.map((item) => evaluate(item, scope)))
    case 'ObjectLiteral': {
      const entries = [...node.value].map(([key, value]) => [evaluate(key, scope), evaluate(value, scope)] as const)
      return new Dict(
        entries.map(([key, value]) => [toKey(key), value] as const),
        entries.some(([key]) => key instanceof MarkedText),
      )
    }
    case 'MemberExpression':
      return member(node, scope)
    case 'CallExpression':
      return call(node.callee, readArguments(node.args, scope), scope)
    case 'FilterExpression':
      return filter(node.filter, evaluate(node.operand, scope), scope)
    case 'TestExpression':
      return testOf(node.test.value)(evaluate(node.operand, scope), []) !== node.negate
    case 'UnaryExpression': {
      const value = evaluate(node.argument, scope)
      if (node.operator.value === 'not') return !isTrue(value)
      return operate(node.operator.value, 0, value)
    }
    case 'BinaryExpression': {
      const left = evaluate(node.left, scope)
      const operator = node.operator.value
      if (operator === 'and') return isTrue(left) ? evaluate(node.right, scope) : left
      if (operator === 'or') return isTrue(left) ? left : evaluate(node.right, scope)
      return operate(operator, left, evaluate(node.right, scope))
    }
    case 'Ternary':
      return evaluate(isTrue(evaluate(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope)
    case 'SelectExpression':
      return isTrue(evaluate(node.test, scope)) ? evaluate(node.lhs, scope) : new Undefined('value')
    default:
      throw new TemplateError(`${node.type} cannot stand here`)
  }
}

/** `a.b` asks for an attribute first, then for an item; `a['b']` the other way round, as jinja2 does. */
function member(node: Extract<Node, { type: 'MemberExpression' }>, scope: Scope): Value {
  const object = evaluate(node.object, scope)
  const { property } = node
  if (property.type === 'SliceExpression') {
    const bound = (side: Node | undefined): Value => (side === undefined ? null : evaluate(side, scope))
    return sliceValue(object, bound(property.start), bound(property.stop), bound(property.step))
  }
  const key = node.computed ? evaluate(property, scope) : nameOf(property)
  if (object instanceof Undefined) throw new TemplateError(`${typeName(object)} has no '${plain(toText(key))}'`)
  if (typeof key === 'number' && (isText(object) || isList(object))) return itemAt(object, key)
  const name = plain(toText(key))
  if (object instanceof Loop) return object.get(name)
  if (object instanceof Namespace) return orUndefined(object.attributes.get(name), name)
  const method = methodOf(object, name)
  if (!node.computed && method !== undefined) return method
  const item = object instanceof Dict && !(key instanceof Undefined) ? object.entries.get(toKey(key)) : undefined
  return orElse(item, orUndefined(method, name))
}

function nameOf(node: Node): string | number {
  if (node.type === 'Identifier' || node.type === 'IntegerLiteral') return node.value
  throw new TemplateError(`${node.type} is no name`)
}

function filter(node: IdentifierNode | CallNode, value: Value, scope: Scope): Value {
  if (node.type === 'Identifier') return applyFilter(node.value, value, { positional: [], named: new Map() })
  return applyFilter(String(nameOf(node.callee)), value, readArguments(node.args, scope))
}

function call(callee: Node, args: Arguments, scope: Scope): Value {
  const called = evaluate(callee, scope)
  if (typeof called !== 'function') throw new TemplateError(`${typeName(called)} cannot be called`)
  return called(args)
}

function readArguments(nodes: readonly Node[], scope: Scope): Arguments {
  const positional: Value[] = []
  const named = new Map<string, Value>()
  for (const node of nodes) {
    if (node.type === 'KeywordArgumentExpression') named.set(node.key.value, evaluate(node.value, scope))
    else if (node.type === 'SpreadExpression') positional.push(...iterate(evaluate(node.argument, scope)))
    else if (node.type === 'KeywordSpreadExpression') {
      const spread = evaluate(node.argument, scope)
      if (spread instanceof Dict) for (const [key, value] of spread.entries) named.set(String(key), value)
    } else positional.push(evaluate(node, scope))
  }
  return { positional, named }
}
