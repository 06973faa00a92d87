/** Stand-in for `@std/log/logger`: hands records of its level and above to its handlers. */

import type { BaseHandler } from "./log_base_handler.ts";
import { type LevelName, type LogLevel, LogLevels } from "./log_levels.ts";

/** One line to be, with the arguments that came along. */
export interface LogRecord {
  readonly msg: string;
  readonly args: unknown[];
  readonly level: number;
  readonly levelName: string;
  readonly loggerName: string;
}

export interface LoggerOptions {
  handlers?: BaseHandler[];
}

export class Logger {
  readonly loggerName: string;
  readonly level: LogLevel;
  handlers: BaseHandler[];

  constructor(loggerName: string, levelName: LevelName, options: LoggerOptions = {}) {
    this.loggerName = loggerName;
    this.level = LogLevels[levelName];
    this.handlers = options.handlers ?? [];
  }

  debug(msg: string, ...args: unknown[]): string {
    return this.#hand("DEBUG", msg, args);
  }

  info(msg: string, ...args: unknown[]): string {
    return this.#hand("INFO", msg, args);
  }

  warn(msg: string, ...args: unknown[]): string {
    return this.#hand("WARN", msg, args);
  }

  error(msg: string, ...args: unknown[]): string {
    return this.#hand("ERROR", msg, args);
  }

  #hand(levelName: LevelName, msg: string, args: unknown[]): string {
    const level = LogLevels[levelName];
    if (this.level > level) return msg;
    const record: LogRecord = { msg, args, level, levelName, loggerName: this.loggerName };
    for (const handler of this.handlers) handler.handle(record);
    return msg;
  }
}
