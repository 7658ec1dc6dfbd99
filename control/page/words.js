// Numbers and times as people read them. The units are those of aditctl.

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export function octets(number) {
  let index = 0;
  while (number >= 1024 && index < BINARY.length - 1) { number /= 1024; index += 1; }
  return index === 0 ? `${Math.round(number)} B` : `${number.toFixed(1)} ${BINARY[index]}`;
}

const DECIMAL = ['', 'k', 'M', 'G', 'T'];
function scaled(number) {
  let index = 0;
  while (number >= 999.5 && index < DECIMAL.length - 1) { number /= 1000; index += 1; }
  const digits = index === 0 && Number.isInteger(number) ? 0 : number >= 99.95 || number === 0 ? 0 : 1;
  return [number.toFixed(digits), DECIMAL[index]];
}
export function count(number) {
  const [digits, unit] = scaled(number);
  return digits + unit;
}
export function bits(perSecond) {
  if (perSecond === undefined || perSecond === null) return '–';
  const [digits, unit] = scaled(Math.round(perSecond));
  return `${digits} ${unit}bit/s`;
}
export function perSecond(rate) {
  if (rate === undefined) return '–';
  return `${count(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate))}/s`;
}

const two = (number) => String(number).padStart(2, '0');
export function time(seconds) {
  seconds = Math.floor(seconds);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86400)}d${two(Math.floor(seconds / 3600) % 24)}h`;
}
export function millis(micros) {
  return micros === null || micros === undefined ? '–' : `${(micros / 1000).toFixed(1)} ms`;
}
export function percent(some, of) {
  return of > 0 ? `${((100 * some) / of).toFixed(1)} %` : '0 %';
}
// In the reader's own time zone.
export function clock(at) {
  const when = new Date(at);
  return `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}
export function day(at) {
  const when = new Date(at);
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}
// A stable word becomes words.
export function words(text) {
  return text.replaceAll('_', ' ');
}
export function some(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
export const byId = (id) => `#/sessions/${encodeURIComponent(id)}`;
