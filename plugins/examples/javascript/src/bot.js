// A bot that converts units. "5 miles in km" is answered at once; anything else goes to the agent, which has the same
// conversions as a tool.
//
// Build it with `hearth build plugins/examples/javascript`, from the repository; more is in README.md beside src.

import { convert, listed, question } from './units.js';

const INPUT = {
  type: 'object',
  properties: {
    value: { type: 'number', description: 'How many of `from`.' },
    from: { type: 'string', description: 'The unit of `value`, for example `mi`, `°F` or `GiB`.' },
    to: { type: 'string', description: 'The unit to convert to; of the same kind.' },
  },
  required: ['value', 'from', 'to'],
  additionalProperties: false,
};

export const handler = {
  describe() {
    return { name: 'units', version: '1.0.0', wants: [], settingsSchema: undefined, attributes: [] };
  },

  onMessage(event) {
    const { text } = event.message;
    if (text === '' || /^(help|units)$/i.test(text)) {
      return reply(help());
    }
    const asked = question(text);
    if (!asked) {
      return { tag: 'ask', val: { text: `${event.user.name} says: ${text}`, attributes: [] } };
    }
    const done = convert(asked.value, asked.from, asked.to);
    return reply(done.problem ? `${done.problem} Say \`units\` for those I know.` : sentence(asked.value, done));
  },

  formatReply(_event, outcome) {
    return [{ tag: 'markdown', val: outcome.tag === 'completed' ? outcome.val.text : outcome.val.sentence }];
  },
};

export const toolbox = {
  listTools() {
    const kinds = listed().map(([kind, names]) => `${kind} (${names})`).join('; ');
    return [
      {
        name: 'convert_units',
        description: `Converts a value between units of one kind, exactly. Answers JSON: the value and a sentence. Kinds: ${kinds}.`,
        inputSchema: JSON.stringify(INPUT),
        readOnly: true,
        attributes: [],
      },
    ];
  },

  callTool(_cause, name, input) {
    if (name !== 'convert_units') {
      throw toolError('not-found', `There is no tool "${name}".`);
    }
    const { value, from, to } = JSON.parse(input);
    const done = convert(value, from, to);
    if (done.problem) {
      throw toolError('invalid-input', `${done.problem} The tool's description lists the units.`);
    }
    return { content: JSON.stringify({ value: done.value, sentence: sentence(value, done) }), attributes: [] };
  },
};

function reply(markdown) {
  return { tag: 'reply', val: [{ tag: 'markdown', val: markdown }] };
}

function sentence(value, { value: converted, from, to }) {
  return `${value} ${from} = ${converted} ${to}`;
}

function help() {
  const rows = listed().map(([kind, names]) => `| ${kind} | ${names} |`);
  return ['Say `5 miles in km`, or ask me anything about units.', '', '| | |', '|---|---|', ...rows].join('\n');
}

/** An interface's error case: what is thrown with a `payload` becomes it; anything else that is thrown is a trap. */
function toolError(kind, message) {
  return Object.assign(new Error(message), { payload: { kind, message, attributes: [] } });
}
