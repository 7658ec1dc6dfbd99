// Worker threads, and why packets were dropped.
import { html } from './vendor/preact.js';
import { history, useAnswer, useRates } from './ask.js';
import { Card, Facts, ProblemNote, Table } from './parts.js';
import { Sparkline } from './charts.js';
import { loads } from './overview.js';
import { count, perSecond } from './words.js';

const COUNTED = ['outer_received', 'outer_sent', 'inner_received', 'inner_sent', 'ike_received', 'handed_off', 'dropped'];

export function Workers() {
  const workers = useAnswer('/v1/workers');
  const drops = useAnswer('/v1/drops');
  const load = useRates(loads(workers), workers.at);
  const rates = useRates(workers.data?.flatMap((worker) => COUNTED.map((key) => [`${worker.worker} ${key}`, worker[key]])), workers.at);
  return html`<${ProblemNote} problem=${workers.problem} />
    <div class="tiles">${(workers.data ?? []).map((worker) => html`<${Worker} worker=${worker} at=${workers.at} load=${load.get(String(worker.worker))} rate=${(key) => rates.get(`${worker.worker} ${key}`)} />`)}</div>
    <${Drops} drops=${drops} />`;
}

function Worker({ worker, at, load, rate }) {
  const share = load === undefined ? undefined : Math.min(100, load / 1e4);
  const line = history(`worker ${worker.worker}`, at, share);
  const pair = (way) => `${perSecond(rate(`${way}_received`))} in, ${perSecond(rate(`${way}_sent`))} out`;
  return html`<section class="card tile"><h2>Worker ${worker.worker} <span class="quiet">${worker.core === null ? 'on any core' : `on core ${worker.core}`}</span></h2>
    <p class="big">${share === undefined ? '–' : `${share.toFixed(share < 10 ? 1 : 0)} %`}</p>
    <${Sparkline} line=${line} label=${`Load of worker ${worker.worker}, of late`} />
    <${Facts} facts=${[['Outer packets', pair('outer')], ['Inner packets', pair('inner')], ['IKE', perSecond(rate('ike_received'))],
      ['Handed over', `${perSecond(rate('handed_off'))}, ${count(worker.handed_off)} in all`], ['Dropped', `${perSecond(rate('dropped'))}, ${count(worker.dropped)} in all`]]} />
  </section>`;
}

function Drops({ drops }) {
  const rates = useRates(drops.data?.map((reason) => [reason.name, reason.total]), drops.at);
  const rows = (drops.data ?? []).filter((reason) => reason.total > 0).sort((one, other) => (rates.get(other.name) ?? 0) - (rates.get(one.name) ?? 0) || other.total - one.total);
  const columns = [
    ['Why', '', (reason) => html`${reason.sentence} <div class="quiet code">${reason.name}</div>`],
    ['Now', 'number', (reason) => perSecond(rates.get(reason.name))],
    ['Since the start', 'number', (reason) => count(reason.total)],
    ['By worker', 'number', (reason) => reason.workers.map(count).join(' · ')],
  ];
  return html`<${Card} id="drops" title="Dropped packets" note="by reason">
    <${Table} caption="Dropped packets by reason" columns=${columns} rows=${rows} keyOf=${(reason) => reason.name} empty=${drops.data ? 'None so far.' : 'Asking …'} /><//>`;
}
