import { expect, it } from 'vitest';
import { type DriverCommand, helpText, parseDriver } from './driver-options.ts';

const COMMAND: DriverCommand = {
  usage: 'npm run thing --',
  doc: 'Does a thing.',
  options: { count: { value: 'N', doc: 'how many' }, loud: { doc: 'say more' } },
};

it('gives texts of options with a value, and names of those without', () => {
  const { texts, flags } = parseDriver('thing', COMMAND, ['--count', '3', '--loud']);
  expect(texts).toEqual({ count: '3' });
  expect([...flags]).toEqual(['loud']);
});

it('every driver has --help', () => {
  expect(parseDriver('thing', COMMAND, ['--help']).flags.has('help')).toBe(true);
});

it('an option that is not there, or has no value, is named, and where the others are listed', () => {
  expect(() => parseDriver('thing', COMMAND, ['--what'])).toThrow(/^thing: .*--what.*--help lists the options$/s);
  expect(() => parseDriver('thing', COMMAND, ['--count'])).toThrow(/--count/);
  expect(() => parseDriver('thing', COMMAND, ['stray'])).toThrow(/stray/);
});

it('help has a line for each option, with what it means in one column', () => {
  expect(helpText(COMMAND)).toBe(
    [
      'usage: npm run thing -- [options]',
      'Does a thing.',
      '',
      '  --count N  how many',
      '  --loud     say more',
      '  --help     print this and end',
    ].join('\n'),
  );
});
