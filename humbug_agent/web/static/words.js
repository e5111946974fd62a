// Numbers, times and foreign text as people read them.

const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const UNKNOWN = "–";

export function count(number) {
  return grouped.format(number);
}

/** For the big numbers: from a hundred thousand on, three digits and a letter. */
export function bigCount(number) {
  return number < 100000 ? count(number) : short.format(number);
}

export function several(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** 0:07, 12:34, 1:02:03 */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${parts.join(":")}` : `${Number(parts[0])}:${parts[1]}`;
}

/** 45 s, 12 min, 3 h, 5 days: as the command line says it. */
export function age(seconds) {
  for (const [unit, size] of [["days", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.round(seconds))} s`;
}

export function bytes(number) {
  if (number < 1024) return number ? `${number} B` : "0";
  return number < 2 ** 20 ? `${(number / 1024).toFixed(1)} KB` : `${megabytes(number)} MB`;
}

export function megabytes(number) {
  const found = number / 2 ** 20;
  return count(found < 100 ? Number(found.toFixed(1)) : Math.round(found));
}

/** HH:MM:SS as the PBX gave it: the browser's zone is nobody's business here. */
export function clock(iso) {
  return iso ? iso.slice(11, 19) : UNKNOWN;
}

/** The day goes before it unless it is today's. */
export function moment(iso, now) {
  return iso.slice(0, 10) === now.slice(0, 10) ? clock(iso) : `${iso.slice(0, 10)} ${clock(iso)}`;
}

// The joiners that emoji and Persian are written with are harmless; all else that can't be seen is shown.
const UNSEEN = /[^\P{C}\u200c\u200d]|[\p{Zl}\p{Zp}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A caller chooses names and numbers: control characters and those that turn the text around are shown, not obeyed. */
export function visible(text) {
  return text.replace(UNSEEN, (found) => SHORT[found] ?? `\\u${found.codePointAt(0).toString(16).padStart(4, "0")}`);
}
