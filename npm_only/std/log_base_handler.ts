/** Stand-in for `@std/log/base-handler`: formats records of its level and above. */

import { type LevelName, type LogLevel, LogLevels } from "./log_levels.ts";
import type { LogRecord } from "./log_logger.ts";

export type FormatterFunction = (logRecord: LogRecord) => string;

export interface BaseHandlerOptions {
  formatter?: FormatterFunction;
}

export abstract class BaseHandler {
  readonly level: LogLevel;
  formatter: FormatterFunction;

  constructor(levelName: LevelName, options: BaseHandlerOptions = {}) {
    this.level = LogLevels[levelName];
    this.formatter = options.formatter ?? (({ levelName, msg }) => `${levelName} ${msg}`);
  }

  handle(logRecord: LogRecord): void {
    if (this.level <= logRecord.level) this.log(this.format(logRecord));
  }

  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }

  abstract log(msg: string): void;
}
