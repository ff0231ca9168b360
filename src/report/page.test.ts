import { describe, expect, it } from 'vitest'
import { renderReport, type Section } from './index.ts'

const table: Section = {
  kind: 'table',
  title: 'Configurations',
  columns: [{ label: 'name' }, { label: 'cost', unit: '$/Mtok', digits: 2 }],
  rows: [
    ['<TP4>', 1.234],
    ['TP8', undefined],
  ],
  highlighted: [0],
}

describe('renderReport()', () => {
  it('escapes text, writes units and digits, and marks the highlighted row', () => {
    const page = renderReport({ title: 'A & B', sections: [table] })
    expect(page).toContain('<title>A &#38; B</title>')
    expect(page).toContain(
      '<tr class="highlighted"><td data-label="name">&#60;TP4&#62;</td><td class="number" data-label="cost ($/Mtok)">1.23</td></tr>',
    )
    expect(page).toContain('cost ($/Mtok)')
    expect(page).toContain('<td class="number" data-label="cost ($/Mtok)">–</td>')
  })

  it('shows the exact command and the environment', () => {
    const page = renderReport({
      title: 'Run',
      command: 'tokenmill plan --model "x"',
      environment: { GPU: 'H100' },
      sections: [],
    })
    expect(page).toContain('tokenmill plan --model &#34;x&#34;')
    expect(page).toContain('<dt>GPU</dt><dd>H100</dd>')
  })

  it('keeps hostile names inside the data block', () => {
    const page = renderReport({
      title: 'Plot',
      sections: [
        {
          kind: 'lines',
          title: 'p',
          description: 'd',
          x: { label: 'x' },
          y: { label: 'y' },
          series: [{ name: '</script><script>alert(1)</script>', points: [{ x: 1, y: 2 }] }],
        },
      ],
    })
    expect(page).not.toContain('<script>alert')
    expect(page.match(/<\/script>/g)).toHaveLength(3)
  })

  it('carries no script when nothing is plotted', () => {
    expect(renderReport({ title: 'Text', sections: [table] })).not.toContain('<script')
  })

  it('says how many points a logarithmic axis cannot show', () => {
    const page = renderReport({
      title: 'Log',
      sections: [
        {
          kind: 'lines',
          title: 'p',
          description: 'd',
          x: { label: 'x', scale: 'log' },
          y: { label: 'y' },
          series: [
            {
              name: 's',
              points: [
                { x: 0, y: 1 },
                { x: 1, y: 1 },
              ],
            },
          ],
        },
      ],
    })
    expect(page).toContain('1 points that a logarithmic axis cannot show')
  })

  it('refuses rows of the wrong length and more points than its limit, with the numbers', () => {
    expect(() => renderReport({ title: 'T', sections: [{ ...table, rows: [['only']] }] })).toThrow(
      "Table 'Configurations': row 0 has 1 cells for 2 columns.",
    )
    const points = Array.from({ length: 50_001 }, (_, x) => ({ x, y: x }))
    expect(() =>
      renderReport({
        title: 'T',
        sections: [
          {
            kind: 'lines',
            title: 'p',
            description: 'd',
            x: { label: 'x' },
            y: { label: 'y' },
            series: [{ name: 's', points }],
          },
        ],
      }),
    ).toThrow("Report 'T' is 50001 points; the limit 'maxReportPoints' is 50000 points.")
  })
})
