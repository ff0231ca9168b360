import type { Axis, Point } from './report.ts'
import type { Figure } from './figures.ts'

/**
 * The script of a report page. `drawFigures` runs in the browser: its source text is written into the page, so it
 * may use nothing but its arguments and what stands inside it. The interfaces below name the little of the DOM
 * and of Chart.js that it touches.
 */
export interface PageScope {
  readonly document: {
    getElementById(id: string): PageElement | null
    readonly documentElement: PageElement
  }
  readonly Chart: new (canvas: PageElement, config: unknown) => { destroy(): void }
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string }
  matchMedia(query: string): { readonly matches: boolean; addEventListener(type: 'change', run: () => void): void }
}

interface PageElement {
  readonly textContent: string | null
}

interface PlotHandle {
  readonly ctx: {
    save(): void
    restore(): void
    beginPath(): void
    moveTo(x: number, y: number): void
    lineTo(x: number, y: number): void
    stroke(): void
    fillRect(x: number, y: number, width: number, height: number): void
    fillText(text: string, x: number, y: number): void
    setLineDash(segments: readonly number[]): void
    strokeStyle: string
    fillStyle: string
    font: string
    textAlign: 'left' | 'right'
    globalAlpha: number
    lineWidth: number
  }
  readonly chartArea: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number }
  readonly scales: Readonly<Record<string, { getPixelForValue(value: number): number }>>
  isDatasetVisible(index: number): boolean
}

interface TooltipItem {
  readonly raw: Point
  readonly dataset: { readonly label: string }
  readonly formattedValue: string
  readonly label: string
}

export function drawFigures(scope: PageScope, formatNumber: (value: number) => string): void {
  const figures = JSON.parse(scope.document.getElementById('figures')?.textContent ?? '[]') as readonly Figure[]
  const marks = ['circle', 'rect', 'triangle', 'rectRot', 'star', 'cross', 'crossRot', 'dash']
  const dashes = [[], [7, 3], [2, 3], [9, 3, 2, 3]]
  const still = scope.matchMedia('(prefers-reduced-motion: reduce)').matches
  let drawn: { destroy(): void }[] = []

  const style = () => {
    const computed = scope.getComputedStyle(scope.document.documentElement)
    const read = (name: string) => computed.getPropertyValue(name).trim()
    const series = ['1', '2', '3', '4', '5', '6', '7', '8'].map((n) => read(`--series-${n}`))
    return { ink: read('--ink'), faint: read('--faint'), grid: read('--grid'), paper: read('--paper'), series }
  }

  const scaleOf = (axis: Axis, colours: ReturnType<typeof style>) => {
    // A logarithmic axis is labelled at 1, 2 and 5 of each decade, at more where that labels fewer than three, and at
    // some five of its ticks where it is too short for that; all other ticks stay as grid lines.
    const leading = (value: number) => value.toExponential(4).replace(/\.?0*e.*$/, '')
    const fewLabels = [
      ['1', '2', '5'],
      ['1', '1.5', '2', '3', '4', '5', '7'],
    ]
    const isLabelled = (value: number, index: number, ticks: readonly { readonly value: number }[]) => {
      const enough = fewLabels.find((set) => ticks.filter((tick) => set.includes(leading(tick.value))).length >= 3)
      return enough === undefined ? index % Math.ceil(ticks.length / 5) === 0 : enough.includes(leading(value))
    }
    return {
      type: axis.scale === 'log' ? 'logarithmic' : 'linear',
      min: axis.min,
      max: axis.max,
      title: {
        display: axis.label !== '',
        text: axis.unit === undefined ? axis.label : `${axis.label} (${axis.unit})`,
        color: colours.ink,
      },
      grid: { color: colours.grid },
      border: { color: colours.faint },
      ticks: {
        color: colours.faint,
        maxRotation: 0,
        autoSkip: axis.scale !== 'log',
        autoSkipPadding: 12,
        callback: (value: number, index: number, ticks: readonly { readonly value: number }[]) =>
          axis.scale === 'log' && !isLabelled(value, index, ticks) ? '' : formatNumber(value),
      },
    }
  }

  const pointText = (item: TooltipItem, x: Axis, y: Axis) => {
    const unit = (axis: Axis) => (axis.unit === undefined ? '' : ` ${axis.unit}`)
    const { raw } = item
    const interval =
      raw.low === undefined || raw.high === undefined ? '' : ` (${formatNumber(raw.low)} to ${formatNumber(raw.high)})`
    const lines = [
      `${item.dataset.label}${raw.label === undefined ? '' : `: ${raw.label}`}`,
      `${x.label}: ${formatNumber(raw.x)}${unit(x)}`,
      `${y.label}: ${formatNumber(raw.y)}${unit(y)}${interval}`,
    ]
    return lines
  }

  const configOf = (figure: Figure) => {
    const colours = style()
    const colour = (index: number) => colours.series[index % colours.series.length] ?? colours.ink
    const plugins = {
      legend: {
        display: figure.series.length > 1,
        position: 'bottom',
        labels: { color: colours.ink, usePointStyle: true, boxHeight: 7, padding: 14 },
      },
      tooltip: { usePointStyle: true },
    }
    const shared = { responsive: true, maintainAspectRatio: false, animation: still ? false : { duration: 250 } }
    if (figure.kind === 'bars') {
      const values = scaleOf(figure.y, colours)
      const names = {
        stacked: figure.stacked,
        title: {
          display: figure.x.label !== '',
          text: figure.x.unit === undefined ? figure.x.label : `${figure.x.label} (${figure.x.unit})`,
          color: colours.ink,
        },
        grid: { display: false },
        ticks: { color: colours.faint, autoSkip: figure.adjoining, autoSkipPadding: 16, maxRotation: 40 },
      }
      const stackedValues = { ...values, stacked: figure.stacked, beginAtZero: true }
      return {
        type: 'bar',
        data: {
          labels: figure.categories,
          datasets: figure.series.map((series, index) => ({
            label: series.name,
            data: series.values,
            backgroundColor: colour(index),
            barPercentage: figure.adjoining ? 1 : 0.9,
            categoryPercentage: figure.adjoining ? 0.98 : 0.8,
          })),
        },
        options: {
          ...shared,
          indexAxis: figure.horizontal ? 'y' : 'x',
          scales: figure.horizontal ? { x: stackedValues, y: names } : { x: names, y: stackedValues },
          plugins,
        },
      }
    }
    const { x, y } = figure
    const whiskers = {
      id: 'whiskers',
      beforeDatasetsDraw: (chart: PlotHandle) => {
        const across = chart.scales['x']
        const up = chart.scales['y']
        if (across === undefined || up === undefined) return
        const inside = (pixel: number) => Math.max(chart.chartArea.top, Math.min(chart.chartArea.bottom, pixel))
        chart.ctx.save()
        chart.ctx.lineWidth = 1
        figure.series.forEach((series, index) => {
          if (!chart.isDatasetVisible(index)) return
          chart.ctx.strokeStyle = colour(index)
          for (const point of series.points) {
            if (point.low === undefined || point.high === undefined) continue
            const at = across.getPixelForValue(point.x)
            chart.ctx.beginPath()
            chart.ctx.moveTo(at, inside(up.getPixelForValue(point.low)))
            chart.ctx.lineTo(at, inside(up.getPixelForValue(point.high)))
            chart.ctx.stroke()
          }
        })
        chart.ctx.restore()
      },
    }
    // Limits as dashed lines and warm-ups as grey ground, each with its name at the top, inside the plot.
    const grounds = {
      id: 'grounds',
      beforeDatasetsDraw: (chart: PlotHandle) => {
        const across = chart.scales['x']
        if (across === undefined) return
        const { left, right, top, bottom } = chart.chartArea
        const within = (value: number) => Math.max(left, Math.min(right, across.getPixelForValue(value)))
        chart.ctx.save()
        chart.ctx.font = '12px system-ui, sans-serif'
        for (const shade of figure.shades ?? []) {
          const [from, to] = [within(shade.from), within(shade.to)]
          chart.ctx.fillStyle = colours.faint
          chart.ctx.globalAlpha = 0.15
          chart.ctx.fillRect(from, top, to - from, bottom - top)
          chart.ctx.globalAlpha = 1
          chart.ctx.textAlign = 'left'
          if (to - from > 40) chart.ctx.fillText(shade.label, from + 4, bottom - 6)
        }
        chart.ctx.setLineDash([4, 3])
        chart.ctx.lineWidth = 1.5
        ;(figure.marks ?? []).forEach((mark, index) => {
          const at = across.getPixelForValue(mark.x)
          if (at < left || at > right) return
          chart.ctx.strokeStyle = colours.ink
          chart.ctx.fillStyle = colours.ink
          chart.ctx.beginPath()
          chart.ctx.moveTo(at, top)
          chart.ctx.lineTo(at, bottom)
          chart.ctx.stroke()
          const toTheLeft = at > (left + right) / 2
          chart.ctx.textAlign = toTheLeft ? 'right' : 'left'
          chart.ctx.fillText(mark.label, toTheLeft ? at - 4 : at + 4, top + 12 + 14 * index)
        })
        chart.ctx.restore()
      },
    }
    // The axis reaches as far as the limits, so that one far beyond all values is seen too.
    const reach = (figure.marks ?? []).map((mark) => mark.x)
    const wide = reach.length === 0 ? {} : { suggestedMin: Math.min(...reach), suggestedMax: 1.05 * Math.max(...reach) }
    return {
      type: 'line',
      plugins: [grounds, whiskers],
      data: {
        datasets: figure.series.map((series, index) => ({
          label: series.name,
          data: series.points,
          borderColor: colour(index),
          backgroundColor: colour(index),
          pointStyle: marks[index % marks.length],
          // A point on the edge of the plot is drawn whole.
          clip: 6,
          pointRadius: series.style === 'steps' ? 0 : 3.5,
          pointHoverRadius: 6,
          showLine: series.style !== 'points',
          stepped: series.style === 'steps' ? 'before' : false,
          borderWidth: 2,
          borderDash: series.dashed === true ? [5, 5] : dashes[Math.floor(index / 8) % dashes.length],
        })),
      },
      options: {
        ...shared,
        parsing: false,
        interaction: { mode: 'nearest', intersect: false },
        scales: { x: { ...scaleOf(x, colours), ...wide }, y: scaleOf(y, colours) },
        plugins: {
          ...plugins,
          tooltip: {
            ...plugins.tooltip,
            callbacks: { title: () => '', label: (item: TooltipItem) => pointText(item, x, y) },
          },
        },
      },
    }
  }

  const draw = () => {
    for (const chart of drawn) chart.destroy()
    drawn = figures.flatMap((figure, index) => {
      const canvas = scope.document.getElementById(`figure-${index}`)
      return canvas === null ? [] : [new scope.Chart(canvas, configOf(figure))]
    })
  }
  draw()
  scope.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
}
