/** Client of a healthval hub, and what a site or vendor needs beside it. */

export type {
  AccessDecision, AccessGrant, AccessRequest, InputContract, InputField, ModelCard, ModelRecord,
  ModelRegistration, Prediction, PredictionAnswer, PredictionRequest, PublicKey, Receipt, ReportRecord,
  Submission, SubmissionEntry, TableInstances, DicomInstances, CombinedInstances,
} from "./api.js";
export { canonicalJson, digest, sha256 } from "./canonical.js";
export { Client, type ManyOptions, type Subject, type WaitOptions } from "./client.js";
export { Credential, fingerprint, siteId } from "./credential.js";
export {
  AccessDenied, HubError, HubUnavailable, IntegrityError, MetricError, PredictionError, SubmissionError, UsageError,
} from "./errors.js";
export { auroc, confusionAt, observedToExpected, proportion, rates, type Confusion, type Estimate, type Reference } from "./metrics.js";
export { SUPPRESSED, checkRelease, releasedCount, rounded } from "./release.js";
export { ATTESTATION, readStatement, verifyReport, type Statement } from "./report.js";
export type { CallOptions } from "./transport.js";
