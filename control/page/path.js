// The picture of a cTCP connection's path: client, whatever is on the way, headend; what is lost on which leg, and what is held back.
import { html } from './vendor/preact.js';
import { octets, percent, time } from './words.js';

const CLIENT = { legacy: ['Cisco’s TCP,', 'sends nothing again'], tcp: ['real TCP'], ours: ['real TCP,', 'keeps frames whole'] };
const BOX = {
  clean: ['No box', 'shows itself'],
  tracker: ['Firewall', 'counts what nobody', 'has acknowledged'],
  'in-order': ['Firewall', 'waits for what', 'is missing'],
  splitter: ['TCP proxy', 'cuts and joins'],
};
const HAS = { legacy: 'Cisco’s TCP, which sends nothing again', tcp: 'real TCP', ours: 'real TCP and keeps frames whole' };
const ON_THE_WAY = {
  clean: 'On the way nothing shows itself',
  tracker: 'On the way a firewall counts what nobody has acknowledged',
  'in-order': 'On the way a firewall waits for what is missing',
  splitter: 'On the way a TCP proxy cuts and joins packets',
};
const PLACE = {
  client_side: 'between the client and the firewall',
  headend_side: 'between the firewall, or proxy, and the headend',
  behind_proxy: 'on the far side of a proxy',
  in_client: 'in the client itself',
  somewhere: 'somewhere between the client and the headend',
};

// What the picture shows, of a connection that is there.
export function ofConnection(view) {
  return {
    client: view.client, clientSure: view.client_sure, path: view.path, pathSure: view.path_sure, up: view.loss_up, down: view.loss_down,
    held: { suspected: 'warn', stalled: 'bad' }[view.state], since: view.stalled_seconds, missing: view.missing_octets,
    peer: view.peer, local: view.local, rtt: view.rtt_us,
  };
}

// And of one that has stalled and is gone.
export function ofDiagnosis(entry) {
  const told = entry.diagnosis;
  return {
    client: told.client, path: told.path, pathSure: told.path_sure, up: told.loss_up, down: told.loss_down, held: 'bad', missing: told.missing_octets,
    leg: told.leg, peer: entry.peer,
  };
}

// In words: for who cannot see it, and for who wants to pass it on.
export function sentence(view) {
  const sure = (share) => (share ? ` (${share} % sure)` : '');
  const lost = (loss, way) => loss && `${loss.lost} of ${loss.of} packets ${way} the client are lost ${PLACE[loss.leg] ?? loss.leg}${sure(loss.sure)}`;
  const box = { splitter: ' the proxy', clean: '' }[view.path] ?? ' the firewall';
  const held = view.held && `Nothing of the client’s data ${view.held === 'bad' ? '' : 'seems to '}pass${view.held === 'bad' ? 'es' : ''}${box}${view.missing ? `; ${octets(view.missing)} are missing` : ''}`;
  const parts = [`The client has ${HAS[view.client] ?? view.client}${sure(view.clientSure)}`, `${ON_THE_WAY[view.path] ?? `On the way is: ${view.path}`}${view.path === 'clean' ? '' : sure(view.pathSure)}`,
    lost(view.up, 'from'), lost(view.down, 'to'), held];
  return `${parts.filter(Boolean).join('. ')}.`;
}

// Both directions of both legs: what is wrong there, and in how many words.
function legs(view) {
  const told = { client: { up: null, down: null }, headend: { up: null, down: null } };
  for (const [way, loss] of [['up', view.up], ['down', view.down]]) {
    if (!loss || loss.lost === 0) continue;
    const mark = { kind: loss.sure >= 70 ? 'bad' : 'warn', lines: [`${loss.lost} of ${loss.of} lost`, `${percent(loss.lost, loss.of)}, ${loss.sure} % sure`], cross: true };
    if (loss.leg === 'client_side' || loss.leg === 'behind_proxy') told.client[way] = mark;
    if (loss.leg === 'headend_side') told.headend[way] = mark;
    if (loss.leg === 'somewhere') {
      told.client[way] = { ...mark, kind: 'warn', lines: ['lost here', 'or behind'] };
      told.headend[way] = { ...mark, kind: 'warn' };
    }
  }
  if (view.held) {
    const since = view.since !== null && view.since !== undefined ? [`for ${time(view.since)}`] : [];
    told.headend.up = { kind: view.held, lines: [view.held === 'bad' ? 'nothing comes' : 'nothing seems to come', ...since], held: true };
  }
  if (view.held && view.leg === 'client_side' && !told.client.up) told.client.up = { kind: 'bad', lines: ['lost here'], cross: true };
  return told;
}

function nodes(view) {
  const short = (address) => (address && address.length <= 22 ? [address] : []);
  const sure = view.pathSure && view.path !== 'clean' ? [`${view.pathSure} % sure`] : [];
  const inClient = [view.up, view.down].some((loss) => loss?.leg === 'in_client');
  return {
    client: { lines: ['Client', ...(CLIENT[view.client] ?? [view.client]), ...short(view.peer)], kind: inClient ? 'bad' : '' },
    box: { lines: [...(BOX[view.path] ?? [view.path]), ...sure], kind: view.held ?? (view.path === 'clean' ? 'none' : '') },
    headend: { lines: ['Headend', ...short(view.local)], kind: '' },
  };
}

function Node({ x, y, width, height, lines, kind }) {
  const top = y + height / 2 - (lines.length - 1) * 9 + 5;
  return html`<g class="node ${kind}"><rect x=${x} y=${y} width=${width} height=${height} rx="12" />
    ${lines.map((line, index) => html`<text class=${index === 0 ? 'title' : ''} x=${x + width / 2} y=${top + index * 18} text-anchor="middle">${line}</text>`)}</g>`;
}

// One direction of a leg, from one point to another; what is held back ends at its beginning.
function Way({ from, to, told, label }) {
  const [dx, dy] = [Math.sign(to[0] - from[0]), Math.sign(to[1] - from[1])];
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const tip = `${to[0]},${to[1]} ${to[0] - 9 * dx - 5 * dy},${to[1] - 9 * dy - 5 * dx} ${to[0] - 9 * dx + 5 * dy},${to[1] - 9 * dy + 5 * dx}`;
  const stop = [from[0] + 9 * dx, from[1] + 9 * dy];
  return html`<g class="way ${told?.kind ?? 'good'} ${told?.held ? 'held' : ''}">
    <line x1=${from[0]} y1=${from[1]} x2=${to[0] - 8 * dx} y2=${to[1] - 8 * dy} /><polygon points=${tip} />
    ${told?.held && html`<line class="stop" x1=${stop[0] - 9 * dy} y1=${stop[1] - 9 * dx} x2=${stop[0] + 9 * dy} y2=${stop[1] + 9 * dx} />`}
    ${told?.cross && html`<circle cx=${middle[0]} cy=${middle[1]} r="8" /><path d=${`M${middle[0] - 3.5} ${middle[1] - 3.5}l7 7m0-7l-7 7`} />`}
    ${told?.lines.map((line, index) => html`<text x=${label.x} y=${label.y(index, told.lines.length)} text-anchor=${label.anchor}>${line}</text>`)}
  </g>`;
}

function Wide({ told, shown }) {
  const above = (x) => ({ x, y: (index, of) => 76 - (of - 1 - index) * 16, anchor: 'middle' });
  const below = (x) => ({ x, y: (index) => 152 + index * 16, anchor: 'middle' });
  return html`<svg class="path at-width" viewBox="0 14 860 194" aria-hidden="true">
    <text x="430" y="38" text-anchor="middle">client → headend</text><text x="430" y="190" text-anchor="middle">headend → client</text>
    <${Way} from=${[186, 95]} to=${[344, 95]} told=${told.client.up} label=${above(265)} />
    <${Way} from=${[344, 125]} to=${[186, 125]} told=${told.client.down} label=${below(265)} />
    <${Way} from=${[516, 95]} to=${[674, 95]} told=${told.headend.up} label=${above(595)} />
    <${Way} from=${[674, 125]} to=${[516, 125]} told=${told.headend.down} label=${below(595)} />
    <${Node} x=${6} y=${55} width=${176} height=${110} ...${shown.client} />
    <${Node} x=${348} y=${55} width=${164} height=${110} ...${shown.box} />
    <${Node} x=${678} y=${55} width=${176} height=${110} ...${shown.headend} />
  </svg>`;
}

function Tall({ told, shown }) {
  const left = (y) => ({ x: 128, y: (index, of) => y + 5 + (index - (of - 1) / 2) * 16, anchor: 'end' });
  const right = (y) => ({ x: 192, y: (index, of) => y + 5 + (index - (of - 1) / 2) * 16, anchor: 'start' });
  return html`<svg class="path at-height" viewBox="0 0 320 470" aria-hidden="true">
    <${Way} from=${[145, 96]} to=${[145, 184]} told=${told.client.up} label=${left(140)} />
    <${Way} from=${[175, 184]} to=${[175, 96]} told=${told.client.down} label=${right(140)} />
    <${Way} from=${[145, 286]} to=${[145, 374]} told=${told.headend.up} label=${left(330)} />
    <${Way} from=${[175, 374]} to=${[175, 286]} told=${told.headend.down} label=${right(330)} />
    <${Node} x=${60} y=${6} width=${200} height=${86} ...${shown.client} />
    <${Node} x=${60} y=${188} width=${200} height=${94} ...${shown.box} />
    <${Node} x=${60} y=${378} width=${200} height=${86} ...${shown.headend} />
  </svg>`;
}

export function PathPicture({ view }) {
  const [told, shown] = [legs(view), nodes(view)];
  return html`<figure class="picture">
    <${Wide} told=${told} shown=${shown} /><${Tall} told=${told} shown=${shown} />
    <figcaption>${sentence(view)}</figcaption>
  </figure>`;
}
