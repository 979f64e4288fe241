// Units, and how one becomes another.

// Each unit: the names it goes by, the first one for display, then `scale` and `offset` to its kind's base unit.
const KINDS = {
  length: [
    [['mm', 'millimetre', 'millimeter'], 0.001],
    [['cm', 'centimetre', 'centimeter'], 0.01],
    [['m', 'metre', 'meter'], 1],
    [['km', 'kilometre', 'kilometer'], 1000],
    [['in', 'inch', 'inches', '"'], 0.0254],
    [['ft', 'foot', 'feet', "'"], 0.3048],
    [['yd', 'yard'], 0.9144],
    [['mi', 'mile'], 1609.344],
  ],
  mass: [
    [['g', 'gram', 'gramme'], 0.001],
    [['kg', 'kilo', 'kilogram', 'kilogramme'], 1],
    [['t', 'tonne'], 1000],
    [['oz', 'ounce'], 0.028349523125],
    [['lb', 'lbs', 'pound'], 0.45359237],
  ],
  volume: [
    [['ml', 'millilitre', 'milliliter'], 0.001],
    [['l', 'litre', 'liter'], 1],
    [['pt', 'pint'], 0.473176473],
    [['gal', 'gallon'], 3.785411784],
  ],
  speed: [
    [['km/h', 'kmh', 'kph'], 1 / 3.6],
    [['m/s'], 1],
    [['mph'], 0.44704],
    [['kn', 'knot'], 1852 / 3600],
  ],
  temperature: [
    [['°C', 'c', 'celsius'], 1],
    [['°F', 'f', 'fahrenheit'], 5 / 9, -160 / 9],
    [['K', 'kelvin'], 1, -273.15],
  ],
  data: [
    [['B', 'byte'], 1],
    [['kB', 'kilobyte'], 1e3],
    [['MB', 'megabyte'], 1e6],
    [['GB', 'gigabyte'], 1e9],
    [['TB', 'terabyte'], 1e12],
    [['KiB', 'kibibyte'], 2 ** 10],
    [['MiB', 'mebibyte'], 2 ** 20],
    [['GiB', 'gibibyte'], 2 ** 30],
    [['TiB', 'tebibyte'], 2 ** 40],
  ],
};

const BY_NAME = new Map();
for (const [kind, units] of Object.entries(KINDS)) {
  for (const [names, scale, offset = 0] of units) {
    for (const name of names) {
      BY_NAME.set(name.toLowerCase(), { kind, name: names[0], scale, offset });
    }
  }
}

/** The kinds with the names of their units, for people. */
export function listed() {
  return Object.entries(KINDS).map(([kind, units]) => [kind, units.map(([names]) => names[0]).join(', ')]);
}

/** Converts; answers the value and both units' names, or a `problem` that says what to do instead. */
export function convert(value, from, to) {
  const [source, target] = [unit(from), unit(to)];
  for (const [asked, found] of [[from, source], [to, target]]) {
    if (!found) return { problem: `I don't know the unit "${asked}".` };
  }
  if (source.kind !== target.kind) {
    return { problem: `${source.name} is a ${source.kind} and ${target.name} a ${target.kind}: neither becomes the other.` };
  }
  const base = value * source.scale + source.offset;
  return { value: rounded((base - target.offset) / target.scale), from: source.name, to: target.name };
}

/** Reads "5 miles in km", with a decimal point and no separators of thousands; none if the text is something else. */
export function question(text) {
  const match = /^(?:convert\s+|what is\s+)?(-?\d+(?:\.\d+)?)\s*(\S+)\s+(?:in|to|as)\s+(\S+?)\??$/i.exec(text.trim());
  return match && { value: Number(match[1]), from: match[2], to: match[3] };
}

function unit(name) {
  const plain = name.trim().toLowerCase();
  return BY_NAME.get(plain) ?? BY_NAME.get(plain.replace(/s$/, ''));
}

/** To ten digits: beyond them are only the errors of binary fractions. */
function rounded(value) {
  return Number(value.toPrecision(10));
}
