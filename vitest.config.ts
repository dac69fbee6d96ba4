import { defineConfig } from 'vitest/config';

/** `unit` needs only the kernels; `system` starts servers and whole engines, one file at a time. */
export default defineConfig({
  test: {
    reporters: ['default', './test/skipped-reporter.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{schemas,config,engine,workers,infra,bench}/**/*.test.ts', 'test/{*,sim/*}.test.ts'],
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: { name: 'system', include: ['test/system/**/*.test.ts'], fileParallelism: false, testTimeout: 300_000 },
      },
    ],
  },
});
