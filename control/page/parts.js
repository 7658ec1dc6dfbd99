// What several views are made of.
import { html, useRef, useEffect, useState } from './vendor/preact.js';
import { ask } from './ask.js';
import { clock, day, words, byId } from './words.js';

export const HEALTH = { UP: 'good', DEGRADED: 'warn', DOWN: 'bad' };
export const SEVERITY = { info: 'quiet', warning: 'warn', error: 'bad' };

// A state, by colour and by word.
export function Badge({ kind = 'quiet', children }) {
  return html`<span class="badge ${kind}"><span class="dot" aria-hidden="true"></span>${children}</span>`;
}

export function Card({ title, note, id, children }) {
  return html`<section class="card" aria-labelledby=${id}>
    <header><h2 id=${id}>${title}</h2>${note && html`<p class="note">${note}</p>`}</header>
    ${children}
  </section>`;
}

// Names and values.
export function Facts({ facts }) {
  return html`<dl class="facts">${facts.filter(Boolean).map(([name, value, code]) => html`<div><dt>${name}</dt>
    <dd class=${code ? 'code' : ''}>${value === '' || value === null || value === undefined ? '–' : value}</dd></div>`)}</dl>`;
}

// A table that scrolls inside itself where it is too wide, and becomes cards where it would be hopeless. Columns: [title, class, cell of a row, sort key].
export function Table({ caption, columns, rows, keyOf, empty, sort, onSort }) {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const head = ([title, kind, , by]) => {
    const sorted = sort && by && sort.by === by;
    const order = sorted ? (sort.down ? 'descending' : 'ascending') : undefined;
    return html`<th scope="col" class=${kind} aria-sort=${order}>
      ${by && onSort
        ? html`<button type="button" class="sort" onClick=${() => onSort(by)}>${title}<span aria-hidden="true">${sorted ? (sort.down ? ' ▾' : ' ▴') : ''}</span></button>`
        : title}</th>`;
  };
  return html`<div class="scroll"><table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${columns.map(head)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)}>${columns.map(([title, kind, cell], index) =>
      index === 0
        ? html`<th scope="row" class=${kind} data-title=${title}>${cell(row)}</th>`
        : html`<td class=${kind} data-title=${title}>${cell(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

// Whose something is: a link to the session, if there is one.
export function Whose({ session, identity }) {
  const name = identity || session || '–';
  return session ? html`<a class="name" href=${byId(session)}>${name}</a>` : html`<span class="name">${name}</span>`;
}

export function ProblemNote({ problem }) {
  return problem ? html`<p class="problem" role="status">${problem.message}.</p>` : null;
}

export function EventLine({ entry, withWhom = true }) {
  const whom = withWhom && (entry.identity || entry.session || entry.peer);
  return html`<li class="event">
    <time datetime=${entry.at} title=${`${day(entry.at)} ${entry.at}`}>${clock(entry.at)}</time>
    <div>
      <${Badge} kind=${SEVERITY[entry.severity]}>${words(entry.kind)}<//>
      ${whom && html` <${Whose} session=${entry.kind === 'login_refused' ? '' : entry.session} identity=${whom} />`}
      <p>${entry.sentence}${entry.left_out > 0 ? ` (and ${entry.left_out} more like it)` : ''}</p>
      ${entry.remedy.length > 0 && html`<details><summary>What to do${entry.reason ? html` <span class="code">${entry.reason}</span>` : ''}</summary>
        <${Remedy} lines=${entry.remedy} /></details>`}
    </div>
  </li>`;
}

// Lines of prose, and indented ones that are to be typed.
export function Remedy({ lines }) {
  const blocks = [];
  for (const line of lines) {
    const typed = line.startsWith('  ');
    const last = blocks.at(-1);
    if (typed && last?.typed) last.lines.push(line.slice(2));
    else blocks.push({ typed, lines: [typed ? line.slice(2) : line] });
  }
  return html`<div class="remedy">${blocks.map((block) =>
    block.typed ? html`<${Typed} text=${block.lines.join('\n')} />` : html`<p>${block.lines[0]}</p>`)}</div>`;
}

function Typed({ text }) {
  const [said, say] = useState('Copy');
  const copy = () => navigator.clipboard.writeText(text).then(() => say('Copied'), () => say('Select it and copy'));
  useEffect(() => {
    if (said === 'Copy') return undefined;
    const timer = setTimeout(() => say('Copy'), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  return html`<div class="typed"><pre tabindex="0" aria-label="To be typed">${text}</pre>
    ${navigator.clipboard && html`<button type="button" class="small" onClick=${copy}>${said}</button>`}</div>`;
}

// Asks before something is changed, does it and says what came of it.
export function Action({ title, question, method, path, done, say, danger }) {
  const dialog = useRef(null);
  const act = async () => {
    dialog.current.close();
    try {
      await ask(path, { method });
      say(done, 'good');
    } catch (problem) {
      say(`${title}: ${problem.message}`, 'bad');
    }
  };
  return html`<button type="button" class=${danger ? 'danger' : ''} onClick=${() => dialog.current.showModal()}>${title}…</button>
    <dialog ref=${dialog} aria-label=${title}>
      <h2>${title}?</h2><p>${question}</p>
      <div class="buttons">
        <button type="button" autofocus onClick=${() => dialog.current.close()}>Cancel</button>
        <button type="button" class=${danger ? 'danger strong' : 'strong'} onClick=${act}>${title}</button>
      </div>
    </dialog>`;
}
