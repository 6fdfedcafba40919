// Numbers with units and thousands, times with their zone.

const grouped = new Intl.NumberFormat("en", {maximumFractionDigits: 0});

export function number(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : grouped.format(value);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let size = value;
  while (size >= 1023.95 && unit + 1 < units.length) {
    size /= 1024;
    ++unit;
  }
  return unit === 0 ? `${number(size)} B` : `${size.toFixed(1)} ${units[unit]}`;
}

export function share(value) {
  return value === null || value === undefined ? "–" : `${(value * 100).toFixed(1)} %`;
}

/** A time as the API says it, RFC 3339, as people read it: its zone stays. */
export function time(text, {seconds = true, zone = true} = {}) {
  if (!text) return "–";
  const [, day, clock, , offset] = /^(\S+)T(\d\d:\d\d(?::\d\d)?)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  if (!day) return text;
  return `${day} ${seconds ? clock : clock.slice(0, 5)}${zone ? ` ${offset === "Z" ? "UTC" : offset ?? ""}` : ""}`;
}

export function clock(text) {
  return text?.slice(11, 16) ?? "";
}

export function span(length) {
  if (length === null || length === undefined) return "–";
  if (length < 9.95) return `${length.toFixed(1)} s`;
  const seconds = Math.round(length);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

const PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"};
export function protocol(value) {
  return PROTOCOLS[value] ?? String(value);
}

export function endpoint(address, port) {
  if (!address) return "–";
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** How a column of an answer is shown, by its name. */
export function formatOf(name) {
  if (/^bytes|_bytes$/.test(name)) return {text: bytes, number: true};
  if (/^(pkts|records|sessions|packets|count|now|peak|events_lost)/.test(name) && !/_share$|_at$/.test(name))
    return {text: number, number: true};
  if (/share$/.test(name)) return {text: share, number: true};
  if (/_at$|^(from|until|time|since)$/.test(name)) return {text: (value) => time(value), number: false};
  if (name === "protocol") return {text: protocol, number: false};
  return {text: (value) => (value === null || value === undefined ? "–" : typeof value === "number" ? number(value) : String(value)),
          number: false, plain: true};
}
