/** Stand-in for `@std/log/levels`. */

export const LogLevels = {
  NOTSET: 0,
  DEBUG: 10,
  INFO: 20,
  WARN: 30,
  ERROR: 40,
  CRITICAL: 50,
} as const;

export type LevelName = keyof typeof LogLevels;
export type LogLevel = typeof LogLevels[LevelName];
