/** Errors of this package. No message quotes a value that was sent. */

/** Base of every error that a call of the hub throws. */
export class HubError extends Error {
  override name = "HubError";
}

/** The key, or what it is allowed to do, is the reason of a refusal. */
export class AccessDenied extends HubError {
  override name = "AccessDenied";
}

/** The hub did not answer, or was unavailable at every attempt. */
export class HubUnavailable extends HubError {
  override name = "HubUnavailable";
}

/** Bytes do not match their hash, or a signature does not match its key. */
export class IntegrityError extends HubError {
  override name = "IntegrityError";
}

/** The model failed on a batch, or did not answer in time. */
export class PredictionError extends HubError {
  override name = "PredictionError";
}

/** A release does not match its contract, or the hub refused it. */
export class SubmissionError extends HubError {
  override name = "SubmissionError";
}

/** An argument does not fit. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The data do not allow the statistic. */
export class MetricError extends Error {
  override name = "MetricError";
}

/** Return a count with its noun, "1 case" or "2 cases". */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
