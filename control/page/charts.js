// Small charts, drawn as SVG: no more than a line, or a bar.
import { html } from './vendor/preact.js';

const WIDTH = 240, HEIGHT = 48, SPANS = [60000, 180000], GAP = 10000;

// The last minute of a history, or the last three if it is so long; the newest at the right.
export function Sparkline({ line, label, kind = '' }) {
  const end = line.at(-1)?.at ?? 0;
  const span = SPANS.find((some) => end - (line[0]?.at ?? 0) <= some) ?? SPANS.at(-1);
  const shown = line.filter((point) => end - point.at <= span);
  const most = Math.max(1e-9, ...shown.map((point) => point.value));
  const x = (point) => (WIDTH - ((end - point.at) / span) * WIDTH).toFixed(1);
  const y = (point) => (HEIGHT - 3 - (point.value / most) * (HEIGHT - 8)).toFixed(1);
  // While nobody looked nothing was measured.
  const pieces = [];
  for (const point of shown) {
    if (point.at - (pieces.at(-1)?.at(-1).at ?? -Infinity) > GAP) pieces.push([]);
    pieces.at(-1).push(point);
  }
  const points = (piece) => piece.map((point) => `${x(point)},${y(point)}`).join(' ');
  return html`<svg class="spark ${kind}" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${label}>
    <line class="ground" x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
    ${pieces.map((piece) => piece.length > 1 && html`<polygon class="area" points=${`${x(piece[0])},${HEIGHT} ${points(piece)} ${x(piece.at(-1))},${HEIGHT}`} />
      <polyline class="line" points=${points(piece)} />`)}
  </svg>`;
}

// Parts of a whole, side by side.
export function Bar({ parts, of, label }) {
  let x = 0;
  return html`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=${label}>
    <rect class="free" x="0" y="0" width="100" height="8" />
    ${parts.map(({ value, kind }) => {
      const width = of > 0 && value > 0 ? Math.min(100 - x, Math.max(0.6, (100 * value) / of)) : 0;
      const part = html`<rect class=${kind} x=${x} y="0" width=${width} height="8" />`;
      x += width;
      return part;
    })}
  </svg>`;
}
