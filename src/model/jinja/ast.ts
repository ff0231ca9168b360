/**
 * The syntax tree that `parse` of @huggingface/jinja gives. The library exports no types for its nodes, so those that the
 * interpreter walks stand here.
 */
export type Node =
  | { readonly type: 'Program'; readonly body: readonly Node[] }
  | { readonly type: 'If'; readonly test: Node; readonly body: readonly Node[]; readonly alternate: readonly Node[] }
  | ForNode
  | { readonly type: 'Break' | 'Continue' | 'Comment' }
  | SetNode
  | MacroNode
  | CallStatementNode
  | { readonly type: 'FilterStatement'; readonly filter: IdentifierNode | CallNode; readonly body: readonly Node[] }
  | { readonly type: 'MemberExpression'; readonly object: Node; readonly property: Node; readonly computed: boolean }
  | CallNode
  | IdentifierNode
  | { readonly type: 'IntegerLiteral' | 'FloatLiteral'; readonly value: number }
  | { readonly type: 'StringLiteral'; readonly value: string }
  | { readonly type: 'ArrayLiteral'; readonly value: readonly Node[] }
  | TupleNode
  | { readonly type: 'ObjectLiteral'; readonly value: ReadonlyMap<Node, Node> }
  | { readonly type: 'BinaryExpression'; readonly operator: Token; readonly left: Node; readonly right: Node }
  | { readonly type: 'UnaryExpression'; readonly operator: Token; readonly argument: Node }
  | { readonly type: 'FilterExpression'; readonly operand: Node; readonly filter: IdentifierNode | CallNode }
  | { readonly type: 'SelectExpression'; readonly lhs: Node; readonly test: Node }
  | { readonly type: 'TestExpression'; readonly operand: Node; readonly negate: boolean; readonly test: IdentifierNode }
  | SliceNode
  | KeywordNode
  | { readonly type: 'SpreadExpression' | 'KeywordSpreadExpression'; readonly argument: Node }
  | { readonly type: 'Ternary'; readonly condition: Node; readonly trueExpr: Node; readonly falseExpr: Node }

interface Token {
  readonly value: string
}

export interface IdentifierNode {
  readonly type: 'Identifier'
  readonly value: string
}

export interface TupleNode {
  readonly type: 'TupleLiteral'
  readonly value: readonly Node[]
}

export interface CallNode {
  readonly type: 'CallExpression'
  readonly callee: Node
  readonly args: readonly Node[]
}

export interface KeywordNode {
  readonly type: 'KeywordArgumentExpression'
  readonly key: IdentifierNode
  readonly value: Node
}

export interface SliceNode {
  readonly type: 'SliceExpression'
  readonly start: Node | undefined
  readonly stop: Node | undefined
  readonly step: Node | undefined
}

export interface ForNode {
  readonly type: 'For'
  readonly loopvar: IdentifierNode | TupleNode
  readonly iterable: Node
  readonly body: readonly Node[]
  readonly defaultBlock: readonly Node[]
}

export interface SetNode {
  readonly type: 'Set'
  readonly assignee: Node
  readonly value: Node | null
  readonly body: readonly Node[]
}

export interface MacroNode {
  readonly type: 'Macro'
  readonly name: IdentifierNode
  readonly args: readonly (IdentifierNode | KeywordNode)[]
  readonly body: readonly Node[]
}

export interface CallStatementNode {
  readonly type: 'CallStatement'
  readonly call: CallNode
  readonly callerArgs: readonly (IdentifierNode | KeywordNode)[] | null
  readonly body: readonly Node[]
}
