import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MarkedText, plain } from './marked-text.ts'
import { parseTemplate } from './template.ts'
import { toValue } from './values.ts'

const render = (source: string, input: Readonly<Record<string, unknown>> = {}) =>
  parseTemplate(source).run(new Map(Object.entries(input).map(([name, value]) => [name, toValue(value, true)])))

/** The characters of the text that count as the client's; the others as dots. */
function inputOf(source: string, input: Readonly<Record<string, unknown>>): string {
  const text = render(source, input)
  if (!(text instanceof MarkedText)) return '.'.repeat(text.length)
  const shown = Array.from(text.text, () => '.')
  for (let at = 0; at < text.input.length; at += 2) {
    for (let index = text.input[at] as number; index < (text.input[at + 1] as number); index += 1) {
      shown[index] = text.text[index] as string
    }
  }
  return shown.join('')
}

describe('Jinja', () => {
  it.each([
    // What jinja2 3.1 renders, line by line.
    ['{{ {0: "a", 512: "b"}[512] }}', 'b'],
    ['{{ "{}-{}".format("a", 1) }} {{ "{0}{name}".format("x", name="y") }} {{ "{{}}".format() }}', 'a-1 xy {}'],
    ['[{{ missing | trim }}][{{ missing }}][{{ missing is defined }}]', '[][][False]'],
    ['{% for x in missing %}x{% else %}none{% endfor %}', 'none'],
    [
      '{{ none }} {{ true }} {{ [1, "a", none] }} {{ {"k": "it\'s"} }} {{ (1, 2) }}',
      "None True [1, 'a', None] {'k': \"it's\"} (1, 2)",
    ],
    ['{{ d.items() | list | length }} {{ d["items"] }} {{ d.keys() | list }}', "3 x ['items', 'keys', 'get']"],
    ['{{ d.get("items") }} {{ d.get("absent", "-") }} {{ d.absent is defined }}', 'x - False'],
    ['{{ {"a": none}.get("a", "-") }} {{ none | default("x") }} {{ none | default("x", true) }}', 'None None x'],
    [
      '{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set n = 5 %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ n }}',
      '3',
    ],
    [
      '{% macro m(a, b="B") %}{{ a }}{{ b }}{{ kwargs }}{% endmacro %}{{ m("x", none) }} {{ m(b="y", a="z") }}',
      'xNone{} zy{}',
    ],
    ['{% macro w() %}<{{ caller("in") }}>{% endmacro %}{% call(x) w() %}{{ x }}!{% endcall %}', '<in!>'],
    ['{% for k, v in {"b": 1, "A": 2} | dictsort %}{{ k }}{{ v }}{{ loop.last }} {% endfor %}', 'A2False b1True '],
    ['{% for x in [1, 2, 3, 4] if x % 2 == 0 %}{{ loop.index }}:{{ x }} {% endfor %}', '1:2 2:4 '],
    [
      '{% for x in [1, 2, 3] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}',
      '1',
    ],
    [
      '{{ "a,b,,c".split(",") }} {{ "a b  c".split() }} {{ "a/b/c".rsplit("/", 1) }}',
      "['a', 'b', '', 'c'] ['a', 'b', 'c'] ['a/b', 'c']",
    ],
    ['{{ "😀bc"[0] }}{{ "😀bc"[1:] }}{{ "abc"[-1] }}{{ "abc"[::-1] }}{{ "😀b" | length }}', '😀bcccba2'],
    [
      '{{ [3, 1, 2] | sort | join("-") }} {{ ["b", "A"] | sort }} {{ [1, 2] | map("string") | list }}',
      "1-2-3 ['A', 'b'] ['1', '2']",
    ],
    ['{{ l | selectattr("r", "equalto", "u") | map(attribute="c") | join(" ") }}', 'one three'],
    ['{{ l | tojson }}', '[{"r": "u", "c": "one"}, {"r": "a", "c": "two"}, {"r": "u", "c": "three"}]'],
    [
      '{{ {"é": [], "b": {}} | tojson(indent=2) }} {{ "é" | tojson(ensure_ascii=true) }}',
      '{\n  "é": [],\n  "b": {}\n} "\\u00e9"',
    ],
    [
      '{{ 7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ "a" * 3 }} {{ 1 == true }} {{ "1" == 1 }} {{ "b" in "abc" }}',
      '3 2 8 aaa True False True',
    ],
    [
      '{{ "x\ny" | indent(2) }}|{{ "Ab cD" | title }}|{{ "abc" | replace("b", "-") }}|{{ " a ".strip() }}',
      'x\n  y|Ab Cd|a-c|a',
    ],
    ['a\r\n{%- if true %}\r\nb{% endif %}\r\n', 'ab'],
    ['{% generation %}x{% endgeneration %}', 'x'],
  ])('renders %j as jinja2 does', (source, expected) => {
    const d = { items: 'x', keys: 'y', get: 'z' }
    const l = [
      { r: 'u', c: 'one' },
      { r: 'a', c: 'two' },
      { r: 'u', c: 'three' },
    ]
    expect(plain(render(source, { d, l }))).toBe(expected)
  })

  it.each([
    ['{{ missing.name }}', "'missing', which is undefined,"],
    ['{{ "a" + 1 }}', 'does not work between a string and a number'],
    ['{{ "a" + none }}', 'does not work between a string and None'],
    ['{{ [1] | nofilter }}', "'nofilter' is no filter"],
    ['{{ none() }}', 'cannot be called'],
    ['{{ "a" * 1000000000 }}', 'repeats at most'],
    ['{% for a, b in [[1, 2, 3]] %}{% endfor %}', '3 values cannot be unpacked into 2 names'],
  ])('refuses %j', (source, reason) => {
    expect(() => render(source)).toThrow(reason)
  })

  it.each([
    ['<{{ m }}>', '.hello.'],
    ['<{{ "a" + m + "b" }}>', '..hello..'],
    ['{{ m[1:3] }}{{ m.split("l") | join("|") }}', 'elhe..o'],
    ['{{ ("x" ~ m ~ "y") | trim | upper }}', 'XHELLOY'],
    ['{{ "{}:{}".format("a", m) }}', '..hello'],
    ['{{ m.replace("ll", "__") }}', 'he..o'],
    ['{% set b %}[{{ m }}]{% endset %}{{ b }}', '.hello.'],
    ['{{ {m: 1} | tojson }}{{ d | list | first }}', '{"hello": 1}key'],
    ['{% if m == "hello" %}hello{% endif %}', '.....'],
  ])('knows in %j which characters are the client’s', (source, marked) => {
    expect(inputOf(source, { m: 'hello', d: { key: 1 } })).toBe(marked)
  })

  it('never counts a client’s character as the template’s, whatever filters it goes through', () => {
    const steps = [
      'trim',
      'upper',
      'indent(2)',
      'replace("a", "5")',
      'tojson',
      'string',
      'title',
      'list | join',
      'reverse',
      'escape',
    ]
    fc.assert(
      fc.property(fc.string(), fc.array(fc.constantFrom(...steps), { maxLength: 5 }), (text, filters) => {
        // The template writes digits alone, and the client none.
        const source = `1{{ (["2", m] | join("3")) | ${['string', ...filters].join(' | ')} }}4`
        const input = text.replace(/[\d&<>'"]/g, '')
        fc.pre(input.trim() !== '')
        const shown = inputOf(source, { m: input })
        const whole = plain(render(source, { m: input }))
        for (const [at, character] of Array.from(whole).entries()) {
          if (Array.from(shown)[at] === '.') expect('123456789 .\n"').toContain(character)
        }
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})
