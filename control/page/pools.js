// Inner addresses: how many are left, and who has which.
import { html, useState } from './vendor/preact.js';
import { useAnswer } from './ask.js';
import { Badge, Card, ProblemNote, Table, Whose } from './parts.js';
import { Bar } from './charts.js';
import { Pages } from './connections.js';
import { fill } from './overview.js';
import { count, words } from './words.js';

export function Pools() {
  const [after, setAfter] = useState([]);
  const pools = useAnswer('/v1/pools', 3000);
  const from = after.length > 0 ? `&after=${encodeURIComponent(after.at(-1))}` : '';
  const leases = useAnswer(`/v1/leases?limit=100${from}`, 3000);
  const columns = [
    ['Address', 'code', (lease) => lease.address],
    ['Whose', '', (lease) => html`<${Whose} session=${lease.state === 'held' ? '' : lease.session} identity=${lease.identity} />`],
    ['State', '', (lease) => html`<${Badge} kind=${lease.state === 'held' ? 'quiet' : 'good'}>${words(lease.state)}<//>`],
    ['Pool', '', (lease) => lease.pool],
  ];
  return html`<${ProblemNote} problem=${pools.problem} />
    <${Card} id="pools" title="Pools" note="in use, held for somebody who will be back, free">
      ${pools.data?.pools.length === 0 && html`<p class="empty">There are none.</p>`}
      ${pools.data?.pools.map((pool) => html`<div class="pool"><h3>${pool.name}</h3>${pool.ranges.map((range) => html`<${Range} name=${pool.name} range=${range} />`)}</div>`)}
    <//>
    <${Card} id="leases" title="Leases">
      <${Table} caption="Leases" columns=${columns} rows=${leases.data?.leases ?? []} keyOf=${(lease) => lease.address} empty=${leases.data ? 'Nobody has an address.' : 'Asking …'} />
      <${Pages} after=${after} setAfter=${setAfter} next=${leases.data?.next} />
    <//>`;
}

function Range({ name, range }) {
  const full = fill(range) >= 0.9;
  const size = range.size >= 2 ** 53 ? 'more than can be counted' : count(range.size);
  const own = range.reserved > 0 ? `, ${count(range.reserved)} users’ own` : '';
  return html`<div class="range"><p><span class="code">${range.network}</span>
      <span class="number">${count(range.in_use)} in use, ${count(range.held)} held, of ${size}${own}${full ? html` <${Badge} kind="bad">nearly full<//>` : ''}</span></p>
    <${Bar} of=${range.size} label=${`Pool ${name}, ${range.network}: ${range.in_use} in use, ${range.held} held, of ${size}${own}`}
      parts=${[{ value: range.in_use, kind: full ? 'bad' : 'used' }, { value: range.held, kind: 'held' }]} /></div>`;
}
