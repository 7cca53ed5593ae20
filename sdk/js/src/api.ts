/* Generated from schemas/openapi.json by `npm run generate`; do not edit. */
export interface paths {
    readonly "/.well-known/healthval-keys.json": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Keys
         * @description Return the public keys of the hub: for stamps, and for the operator's reports.
         */
        readonly get: operations["keys__well_known_healthval_keys_json_get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/access-requests": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Grants
         * @description List grants: a site's own, all for the operator and an auditor.
         */
        readonly get: operations["grants_v1_access_requests_get"];
        readonly put?: never;
        /**
         * Ask
         * @description Request access; signed by the key or AWS role in the request.
         */
        readonly post: operations["ask_v1_access_requests_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/access-requests/{site}/{model}/{version}/{plan_hash}/decision": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Decide
         * @description Approve, reject, suspend or revoke.
         */
        readonly post: operations["decide_v1_access_requests__site___model___version___plan_hash__decision_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/audit": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Audit
         * @description Return the audit chain page by page, oldest entry first.
         */
        readonly get: operations["audit_v1_audit_get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/auditors": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Enrol Auditor
         * @description Allow an auditor's key or AWS role to read the audit chain, grants, models and keys.
         */
        readonly post: operations["enrol_auditor_v1_auditors_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/dashboard-links": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Link
         * @description Sign a link that reads one vendor's reports for at most 8 hours.
         */
        readonly post: operations["link_v1_dashboard_links_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/health": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Health
         * @description Return ok if the hub and its store respond; 503 within a second if not.
         */
        readonly get: operations["health_v1_health_get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/hub-keys/{kid}/revoke": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Revoke
         * @description Revoke a published key: no signature of it is valid any more.
         */
        readonly post: operations["revoke_v1_hub_keys__kid__revoke_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/keys": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Known
         * @description List the keys that the hub knows.
         */
        readonly get: operations["known_v1_keys_get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/keys/rotation": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Rotate
         * @description Replace the caller's key; the old one is valid for the overlap.
         */
        readonly post: operations["rotate_v1_keys_rotation_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/keys/{name}/revoke": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Revoke
         * @description Revoke a key; its calls are refused from then on.
         */
        readonly post: operations["revoke_v1_keys__name__revoke_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/ledger-head": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Ledger Head Of
         * @description Return the head of the site's ledger that came with its newest submission.
         */
        readonly get: operations["ledger_head_of_v1_ledger_head_get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/models": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Models
         * @description List the models; those whose card the caller may not read by name only.
         */
        readonly get: operations["models_v1_models_get"];
        readonly put?: never;
        /**
         * Register
         * @description Register a model version; the files of its probes must be stored and de-identified.
         */
        readonly post: operations["register_v1_models_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/models/{name}/{version}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Model
         * @description Return one model.
         */
        readonly get: operations["model_v1_models__name___version__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/models/{name}/{version}/start": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Start
         * @description Start the model endpoint; with `tried`, only a model that answers a trial call and its probes.
         */
        readonly post: operations["start_v1_models__name___version__start_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/models/{name}/{version}/stop": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Stop
         * @description Stop the model endpoint.
         */
        readonly post: operations["stop_v1_models__name___version__stop_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/objects/{sha256}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        /**
         * Store
         * @description Store an artefact or a report file under its hash.
         */
        readonly put: operations["store_v1_objects__sha256__put"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/objects/{sha256}/offer": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Offer
         * @description Sign an address for an object that is too large for a call of the API.
         */
        readonly post: operations["offer_v1_objects__sha256__offer_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/operators": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Enrol Operator
         * @description Allow an AWS role to make the operator's calls; only the operator's key enrols one.
         */
        readonly post: operations["enrol_operator_v1_operators_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/predictions": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Predict
         * @description Score a batch: 200 if done within two seconds, else 202; then poll.
         */
        readonly post: operations["predict_v1_predictions_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/predictions/{prediction}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Poll
         * @description Return a batch's status.
         */
        readonly get: operations["poll_v1_predictions__prediction__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/receipts/{sha256}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Receipt
         * @description Return the state of a submission of this site.
         */
        readonly get: operations["receipt_v1_receipts__sha256__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/report-orders": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Orders
         * @description List the standing orders, and what became of them.
         */
        readonly get: operations["orders_v1_report_orders_get"];
        readonly put?: never;
        /**
         * Order
         * @description Give or cancel a standing order: a new report after each result that counts.
         */
        readonly post: operations["order_v1_report_orders_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/reports": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Reports
         * @description List the reports that the caller may read.
         */
        readonly get: operations["reports_v1_reports_get"];
        readonly put?: never;
        /**
         * Publish
         * @description Publish a report whose files are stored.
         */
        readonly post: operations["publish_v1_reports_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/reports/{report}/files/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Report File
         * @description Return one file of a report.
         */
        readonly get: operations["report_file_v1_reports__report__files__name__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/reports/{report}/withdrawal": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Withdraw
         * @description Withdraw a report; it stays in the list with the reason.
         */
        readonly post: operations["withdraw_v1_reports__report__withdrawal_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/submissions": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Submissions
         * @description List each site's latest result.
         */
        readonly get: operations["submissions_v1_submissions_get"];
        readonly put?: never;
        /**
         * Submit
         * @description Submit a released result; the same bytes get the same receipt.
         *
         *     201 when it is counted within two seconds, 200 for a repetition, else 202; then poll the
         *     receipt.
         */
        readonly post: operations["submit_v1_submissions_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/submissions/{site}/{sha256}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Payload
         * @description Return the bytes of a result, as sent.
         */
        readonly get: operations["payload_v1_submissions__site___sha256__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/sums": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Post
         * @description Send the site's message of the open round; the same message again changes nothing.
         */
        readonly post: operations["post_v1_sums_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/sums/{model}/{version}/{plan_hash}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * State
         * @description Return a sum with all messages of its newest attempt.
         */
        readonly get: operations["state_v1_sums__model___version___plan_hash__get"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/sums/{model}/{version}/{plan_hash}/closing": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Close
         * @description End the open round without the sites that have not sent a message.
         */
        readonly post: operations["close_v1_sums__model___version___plan_hash__closing_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/uploads": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Offer
         * @description Sign an address for one de-identified file.
         */
        readonly post: operations["offer_v1_uploads_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/uploads/{upload}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        /**
         * Take
         * @description Store the file at the address of its ticket.
         */
        readonly put: operations["take_v1_uploads__upload__put"];
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/vendors": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Enrol
         * @description Allow a developer's key or AWS role to read the reports on its models.
         */
        readonly post: operations["enrol_v1_vendors_post"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * AccessDecision
         * @description Decision of the operator on a request.
         */
        readonly AccessDecision: {
            /**
             * Max Cases
             * @default 100000
             */
            readonly max_cases: number;
            /**
             * Reason
             * @default null
             */
            readonly reason: string | null;
            /**
             * Status
             * @enum {string}
             */
            readonly status: "approved" | "rejected" | "suspended" | "revoked";
            /**
             * Valid Days
             * @default 90
             */
            readonly valid_days: number;
        };
        /**
         * AccessGrant
         * @description A site's access to one model under one plan, as the hub records it.
         *
         *     `status` is the last decision, `state` its effect now: an approved grant is active once a case
         *     was sent, and expired after its end.
         *     `used_cases` counts the inputs sent to be scored, with fixed test inputs and repeated runs;
         *     `reason` is the operator's, given with the last decision.
         *     `stamp` is the hub's countersignature of the plan's hash at the time of the first request.
         *     `title` is the plan's, `requested` the time of the first request, `first_prediction` that of the
         *     first batch of cases. `aws_role` is the role of a site that signs its calls by AWS.
         */
        readonly AccessGrant: {
            readonly amendment?: components["schemas"]["Amendment"] | null;
            /** Aws Role */
            readonly aws_role?: string | null;
            /** First Prediction */
            readonly first_prediction?: string | null;
            /** Label */
            readonly label: string;
            /**
             * Max Cases
             * @default 0
             */
            readonly max_cases: number;
            /** Model */
            readonly model: string;
            /** Not After */
            readonly not_after?: string | null;
            /** Plan Hash */
            readonly plan_hash: string;
            /** Reason */
            readonly reason?: string | null;
            /** Requested */
            readonly requested?: string | null;
            /** Site */
            readonly site: string;
            readonly stamp?: components["schemas"]["Stamp"] | null;
            /** State */
            readonly state?: ("requested" | "approved" | "active" | "rejected" | "suspended" | "expired" | "revoked") | null;
            /**
             * Status
             * @enum {string}
             */
            readonly status: "requested" | "approved" | "rejected" | "suspended" | "revoked";
            /** Title */
            readonly title?: string | null;
            /**
             * Used Cases
             * @default 0
             */
            readonly used_cases: number;
            /** Version */
            readonly version: string;
        };
        /**
         * AccessList
         * @description One page of grants: all for the operator; a site sees only its own.
         */
        readonly AccessList: {
            /**
             * Grants
             * @default []
             */
            readonly grants: readonly components["schemas"]["AccessGrant"][];
            /** Next */
            readonly next?: string | null;
        };
        /**
         * AccessRequest
         * @description Request for access; signed with the key, or by the AWS role, that it contains.
         *
         *     `names` are the plan's variables, levels and steps: a result may contain no other name.
         *     `title` is the plan's.
         */
        readonly AccessRequest: {
            /** @default null */
            readonly amendment: components["schemas"]["Amendment"] | null;
            /** Label */
            readonly label: string;
            /** Model */
            readonly model: string;
            /**
             * Names
             * @default []
             */
            readonly names: readonly string[];
            /** Plan Hash */
            readonly plan_hash: string;
            /** Public Key */
            readonly public_key: components["schemas"]["PublicKey"] | components["schemas"]["AwsRole"];
            /**
             * Title
             * @default null
             */
            readonly title: string | null;
            /** Version */
            readonly version: string;
        };
        /**
         * Amendment
         * @description Hash of the plan that this plan replaces, and the reason.
         */
        readonly Amendment: {
            /** Of */
            readonly of: string;
            /** Reason */
            readonly reason: string;
        };
        /**
         * AttackPassed
         * @description An attack that the gate ran on this payload without success.
         */
        readonly AttackPassed: {
            /** Checked */
            readonly checked: number;
            /** Name */
            readonly name: string;
        };
        /**
         * AuditEntry
         * @description One change: time (seconds since 1970), actor, action, subject and the hash of the entry before.
         */
        readonly AuditEntry: {
            /** Action */
            readonly action: string;
            /** Actor */
            readonly actor: string;
            /** At */
            readonly at: number;
            /** Number */
            readonly number: number;
            /** Previous */
            readonly previous: string;
            /** Subject */
            readonly subject: string;
        };
        /**
         * AuditHead
         * @description Number and hash of the newest entry.
         */
        readonly AuditHead: {
            /** Number */
            readonly number: number;
            /** Sha256 */
            readonly sha256: string;
        };
        /**
         * AuditList
         * @description One page of the audit chain, oldest entry first, and the head of the whole chain.
         */
        readonly AuditList: {
            /**
             * Entries
             * @default []
             */
            readonly entries: readonly components["schemas"]["AuditEntry"][];
            readonly head?: components["schemas"]["AuditHead"] | null;
            /** Next */
            readonly next?: string | null;
        };
        /**
         * AuditorKey
         * @description Permission of an auditor's key or AWS role to read the audit chain, grants, models and keys.
         */
        readonly AuditorKey: {
            /** Label */
            readonly label: string;
            /** Public Key */
            readonly public_key: components["schemas"]["PublicKey"] | components["schemas"]["AwsRole"];
        };
        /**
         * AwsRole
         * @description An IAM role whose calls AWS Signature Version 4 signs, in place of a public key.
         *
         *     The ARN has no path: names of roles are unique in an account, and a session's ARN has none either.
         */
        readonly AwsRole: {
            /** Arn */
            readonly arn: string;
            /**
             * Kty
             * @default aws-role
             * @constant
             */
            readonly kty: "aws-role";
        };
        /**
         * Certificate
         * @description The policy of the release and the attacks that the payload passed.
         */
        readonly Certificate: {
            /**
             * Attacks
             * @default []
             */
            readonly attacks: readonly components["schemas"]["AttackPassed"][];
            /** Minimum Cell */
            readonly minimum_cell: number;
            /** Policy */
            readonly policy: string;
            /** Policy Version */
            readonly policy_version: number;
        };
        /**
         * CombinedInstances
         * @description Uploads and row of each case, for models that read images and named inputs.
         */
        readonly CombinedInstances: {
            /**
             * Columns
             * @default []
             */
            readonly columns: readonly string[];
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "combined";
            /** Rows */
            readonly rows: readonly (readonly (number | string | null)[])[];
            /** Uploads */
            readonly uploads: readonly (readonly string[])[];
        };
        /**
         * CountNoise
         * @description Keyed noise on counts, of standard deviation `scale`; all counts are multiples of `multiple`.
         *
         *     `variance` is that of a count at a cut or of a class, rounding included; `level_variance` is that
         *     of a level. A statistic carries noise of one outcome's influence or more; its `se` and interval
         *     include it.
         */
        readonly CountNoise: {
            /**
             * Level Variance
             * @default 0
             */
            readonly level_variance: number;
            /**
             * Multiple
             * @default 1
             */
            readonly multiple: number;
            /** Scale */
            readonly scale: number;
            /** Variance */
            readonly variance: number;
        };
        /**
         * CurvePoint
         * @description Observed event rate at a predicted probability of the fixed grid, pointwise interval.
         */
        readonly CurvePoint: {
            /** Hi */
            readonly hi: number;
            /** Lo */
            readonly lo: number;
            /** Observed */
            readonly observed: number;
            /** Predicted */
            readonly predicted: number;
        };
        /**
         * DashboardLink
         * @description A link that reads one vendor's reports until it ends.
         *
         *     `fragment` belongs after the # of the dashboard's address, which a browser sends to no server.
         */
        readonly DashboardLink: {
            /** Fragment */
            readonly fragment: string;
            /**
             * Not After
             * Format: date-time
             */
            readonly not_after: string;
        };
        /**
         * DecisionPoint
         * @description Net benefit of the model and of treating all, at one threshold.
         */
        readonly DecisionPoint: {
            readonly model: components["schemas"]["ReleasedEstimate"];
            /** Threshold */
            readonly threshold: number;
            /** Treat All */
            readonly treat_all: number | null;
        };
        /**
         * DeveloperReporting
         * @description Statements of the developer, on the model card.
         */
        readonly DeveloperReporting: {
            /**
             * Class Imbalance
             * @default
             */
            readonly class_imbalance: string;
            /**
             * Development Comparison
             * @default
             */
            readonly development_comparison: string;
            /**
             * Expertise
             * @default
             */
            readonly expertise: string;
            /**
             * Model Access
             * @default
             */
            readonly model_access: string;
            /**
             * Predictor Definitions
             * @default
             */
            readonly predictor_definitions: string;
            /**
             * Predictors
             * @default
             */
            readonly predictors: string;
            /**
             * Users
             * @default
             */
            readonly users: string;
        };
        /**
         * DicomInstances
         * @description Uploads of de-identified DICOM files, one per case.
         */
        readonly DicomInstances: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "dicom";
            /** Uploads */
            readonly uploads: readonly string[];
        };
        /**
         * FlowCount
         * @description Cases that remain after one step of the flow diagram.
         */
        readonly FlowCount: {
            /** N */
            readonly n: number | "suppressed";
            /** Step */
            readonly step: string;
        };
        /**
         * HistogramNoise
         * @description Differential privacy of the histogram: its cost, and the error bound of 95 % of cells.
         */
        readonly HistogramNoise: {
            /** Epsilon */
            readonly epsilon: number;
            /** Error 95 */
            readonly error_95: number;
        };
        /**
         * HubHealth
         * @description Answer of a hub whose store responds.
         */
        readonly HubHealth: {
            /**
             * Status
             * @default ok
             * @constant
             */
            readonly status: "ok";
        };
        /**
         * HubKey
         * @description One member of a JWK Set: an Ed25519 key with its purpose and its period of validity.
         *
         *     A key that was replaced has `valid_until`: its earlier signatures stay valid. A key that may be
         *     compromised has `revoked`: none of its signatures is valid, because a forger chooses the time.
         */
        readonly HubKey: {
            /**
             * Crv
             * @default Ed25519
             * @constant
             */
            readonly crv: "Ed25519";
            /** Kid */
            readonly kid: string;
            /**
             * Kty
             * @default OKP
             * @constant
             */
            readonly kty: "OKP";
            /**
             * Purpose
             * @enum {string}
             */
            readonly purpose: "report" | "registration";
            /** Revoked */
            readonly revoked?: string | null;
            /**
             * Valid From
             * Format: date-time
             */
            readonly valid_from: string;
            /** Valid Until */
            readonly valid_until?: string | null;
            /** X */
            readonly x: string;
        };
        /**
         * HubKeys
         * @description Content of ``/.well-known/healthval-keys.json``.
         */
        readonly HubKeys: {
            /** Keys */
            readonly keys: readonly components["schemas"]["HubKey"][];
        };
        /**
         * InputContract
         * @description Inputs of the model.
         *
         *     ``table``: rows of the named fields; ``dicom``: one file per case; ``combined``: the files of a
         *     case and its row.
         */
        readonly InputContract: {
            /**
             * Fields
             * @default []
             */
            readonly fields: readonly components["schemas"]["InputField"][];
            /**
             * Kind
             * @default table
             * @enum {string}
             */
            readonly kind: "table" | "dicom" | "combined";
            /**
             * Modalities
             * @default []
             */
            readonly modalities: readonly string[];
        };
        /**
         * InputField
         * @description One named input: a number with limits, or one of the listed levels.
         */
        readonly InputField: {
            /**
             * High
             * @default null
             */
            readonly high: number | null;
            /**
             * Kind
             * @default number
             * @enum {string}
             */
            readonly kind: "number" | "category";
            /**
             * Levels
             * @default []
             */
            readonly levels: readonly string[];
            /**
             * Low
             * @default null
             */
            readonly low: number | null;
            /** Name */
            readonly name: string;
            /**
             * Unit
             * @default
             */
            readonly unit: string;
        };
        /**
         * KeyList
         * @description One page of the keys that the hub knows.
         */
        readonly KeyList: {
            /**
             * Keys
             * @default []
             */
            readonly keys: readonly components["schemas"]["KeyRecord"][];
            /** Next */
            readonly next?: string | null;
        };
        /**
         * KeyRecord
         * @description A key or AWS role that the hub knows: its name, holder, role and state.
         *
         *     `holder` is the name of the holder's first key, under which grants and results are kept.
         */
        readonly KeyRecord: {
            /** Aws Role */
            readonly aws_role?: string | null;
            /** Holder */
            readonly holder: string;
            /** Label */
            readonly label?: string | null;
            /**
             * Models
             * @default []
             */
            readonly models: readonly string[];
            /** Name */
            readonly name: string;
            /** Revoked */
            readonly revoked?: string | null;
            /**
             * Role
             * @enum {string}
             */
            readonly role: "site" | "vendor" | "auditor" | "operator";
            /**
             * State
             * @enum {string}
             */
            readonly state: "valid" | "ending" | "ended" | "revoked";
            /** Until */
            readonly until?: string | null;
        };
        /**
         * KeyRotation
         * @description A new key for the holder of the key that signs the request.
         *
         *     `proof` is the new key's signature over `rotation_bytes`; the old key is valid for
         *     `overlap_days` more.
         */
        readonly KeyRotation: {
            /**
             * Overlap Days
             * @default 7
             */
            readonly overlap_days: number;
            /** Proof */
            readonly proof: string;
            readonly public_key: components["schemas"]["PublicKey"];
        };
        /**
         * LedgerHead
         * @description Head of a site's ledger that came with its newest submission; None before the first.
         */
        readonly LedgerHead: {
            /** Sha256 */
            readonly sha256?: string | null;
        };
        /**
         * LinkRequest
         * @description Request for a dashboard link of one vendor; a vendor asks for its own.
         */
        readonly LinkRequest: {
            /**
             * Seconds
             * @default 28800
             */
            readonly seconds: number;
            /** Vendor */
            readonly vendor: string;
        };
        /**
         * ModelCard
         * @description Model card: purpose, population and limits of the model.
         */
        readonly ModelCard: {
            /**
             * Claimed Auroc
             * @default null
             */
            readonly claimed_auroc: number | null;
            /** Developer */
            readonly developer: string;
            /** Intended Use */
            readonly intended_use: string;
            /**
             * Limitations
             * @default
             */
            readonly limitations: string;
            /** Name */
            readonly name: string;
            /**
             * Out Of Scope
             * @default
             */
            readonly out_of_scope: string;
            /**
             * Population
             * @default
             */
            readonly population: string;
            /** @default null */
            readonly reporting: components["schemas"]["DeveloperReporting"] | null;
            /** Target Condition */
            readonly target_condition: string;
            /** Title */
            readonly title: string;
            /**
             * Training Data
             * @default
             */
            readonly training_data: string;
            /** Version */
            readonly version: string;
        };
        /**
         * ModelList
         * @description One page of the registered models: those whose card the caller may read; names of the others.
         */
        readonly ModelList: {
            /**
             * Models
             * @default []
             */
            readonly models: readonly components["schemas"]["ModelRecord"][];
            /** Next */
            readonly next?: string | null;
            /**
             * Others
             * @default []
             */
            readonly others: readonly components["schemas"]["ModelName"][];
        };
        /**
         * ModelName
         * @description Name and version of a model.
         */
        readonly ModelName: {
            /** Name */
            readonly name: string;
            /** Version */
            readonly version: string;
        };
        /**
         * ModelRecord
         * @description A registered model with its digest and status.
         */
        readonly ModelRecord: {
            /** Digest */
            readonly digest: string;
            readonly registration: components["schemas"]["ModelRegistration"];
            /**
             * Status
             * @enum {string}
             */
            readonly status: "registered" | "serving" | "stopped";
        };
        /**
         * ModelRegistration
         * @description Card, input contract, resources and probes of a model; artefact and files are sent separately.
         */
        readonly ModelRegistration: {
            /** Artefact Sha256 */
            readonly artefact_sha256: string;
            readonly card: components["schemas"]["ModelCard"];
            readonly inputs: components["schemas"]["InputContract"];
            /**
             * Max Concurrency
             * @default 4
             */
            readonly max_concurrency: number;
            /**
             * Memory Mb
             * @default 1024
             * @enum {integer}
             */
            readonly memory_mb: 1024 | 2048 | 3072 | 4096 | 5120 | 6144;
            /**
             * Probes
             * @default []
             */
            readonly probes: readonly components["schemas"]["Probe"][];
        };
        /**
         * ObjectOffer
         * @description Signed address for one PUT of an object; without a URL the hub itself receives it.
         */
        readonly ObjectOffer: {
            /**
             * Headers
             * @default {}
             */
            readonly headers: {
                readonly [key: string]: string;
            };
            /**
             * Url
             * @default
             */
            readonly url: string;
        };
        /**
         * ObjectSize
         * @description Size of an object that is about to be stored.
         */
        readonly ObjectSize: {
            /** Size */
            readonly size: number;
        };
        /**
         * OperatorRole
         * @description Permission of an AWS role to make the operator's calls; reports need the operator's key.
         */
        readonly OperatorRole: {
            /** Label */
            readonly label: string;
            readonly public_key: components["schemas"]["AwsRole"];
        };
        /**
         * Prediction
         * @description Prediction for one case; without a score it is indeterminate and has a reason.
         */
        readonly Prediction: {
            /** Case */
            readonly case: string;
            /**
             * Reason
             * @default none
             * @enum {string}
             */
            readonly reason: "none" | "model_declined" | "input_out_of_range" | "model_failed";
            /** Score */
            readonly score?: number | null;
        };
        /**
         * PredictionAnswer
         * @description Answer of the hub: status 202 while pending, 200 when done or failed; the client polls.
         */
        readonly PredictionAnswer: {
            /** Id */
            readonly id: string;
            /** Model Digest */
            readonly model_digest?: string | null;
            /**
             * Predictions
             * @default []
             */
            readonly predictions: readonly components["schemas"]["Prediction"][];
            /**
             * Status
             * @enum {string}
             */
            readonly status: "pending" | "done" | "failed";
        };
        /**
         * PredictionRequest
         * @description One batch; row i belongs to `cases[i]`.
         */
        readonly PredictionRequest: {
            /** Cases */
            readonly cases: readonly string[];
            /** Instances */
            readonly instances: components["schemas"]["TableInstances"] | components["schemas"]["DicomInstances"] | components["schemas"]["CombinedInstances"] | components["schemas"]["ProbeInstances"];
            /** Model */
            readonly model: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /** Version */
            readonly version: string;
        };
        /**
         * Probe
         * @description Synthetic case of the developer and the score that the model gives it.
         *
         *     The hub compares the score when the model starts, and a site before, during and after its run.
         *     `row` has a value for each field of the contract, `files` the SHA-256 of each DICOM file.
         */
        readonly Probe: {
            /**
             * Files
             * @default []
             */
            readonly files: readonly string[];
            /**
             * Row
             * @default {}
             */
            readonly row: {
                readonly [key: string]: number | string | null;
            };
            /** Score */
            readonly score: number | null;
        };
        /**
         * ProbeInstances
         * @description The probes in the model's registration, in their order; the hub has their inputs.
         */
        readonly ProbeInstances: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "probes";
        };
        /**
         * Problem
         * @description Problem details (RFC 9457) of a refused request; never quotes the request.
         */
        readonly Problem: {
            /**
             * Detail
             * @default
             */
            readonly detail: string;
            /**
             * Retryable
             * @default false
             */
            readonly retryable: boolean;
            /** Status */
            readonly status: number;
            /** Title */
            readonly title: string;
            /**
             * Type
             * @default about:blank
             */
            readonly type: string;
        };
        /**
         * PublicKey
         * @description An Ed25519 public key as JWK (RFC 8037).
         */
        readonly PublicKey: {
            /**
             * Crv
             * @default Ed25519
             * @constant
             */
            readonly crv: "Ed25519";
            /**
             * Kty
             * @default OKP
             * @constant
             */
            readonly kty: "OKP";
            /** X */
            readonly x: string;
        };
        /**
         * Receipt
         * @description Proof that the hub has received a site's result, with the state of that result.
         *
         *     `active` is the site's result that the hub counts when it answers; a repetition of a superseded
         *     result has another hash there. `reason` is why a result is refused. `ledger` is the hub's
         *     countersignature of the head of the site's ledger, where the site sent it.
         */
        readonly Receipt: {
            /** Active */
            readonly active?: string | null;
            readonly ledger?: components["schemas"]["Stamp"] | null;
            /**
             * Reason
             * @default
             */
            readonly reason: string;
            /**
             * Repeated
             * @default false
             */
            readonly repeated: boolean;
            /** Site */
            readonly site: string;
            /**
             * State
             * @default counted
             * @enum {string}
             */
            readonly state: "received" | "checked" | "counted" | "refused";
            /** Submission Sha256 */
            readonly submission_sha256: string;
            /** Supersedes */
            readonly supersedes?: string | null;
        };
        /**
         * ReleasedBin
         * @description Scores in [low, high): cases with and without the condition; bins below the minimum cell are merged.
         */
        readonly ReleasedBin: {
            /** Events */
            readonly events: number | "suppressed";
            /** High */
            readonly high: number;
            /** Low */
            readonly low: number;
            /** Non Events */
            readonly non_events: number | "suppressed";
            /**
             * Score Sum
             * @default null
             */
            readonly score_sum: number | null;
        };
        /**
         * ReleasedCalibration
         * @description Calibration; `observed` and `expected` are sums of events and of scores.
         */
        readonly ReleasedCalibration: {
            readonly brier: components["schemas"]["ReleasedEstimate"];
            readonly citl: components["schemas"]["ReleasedEstimate"];
            /**
             * Curve
             * @default []
             */
            readonly curve: readonly components["schemas"]["CurvePoint"][];
            readonly e50: components["schemas"]["ReleasedEstimate"];
            readonly e90: components["schemas"]["ReleasedEstimate"];
            /** Expected */
            readonly expected: number | null;
            readonly ici_rcs5: components["schemas"]["ReleasedEstimate"];
            readonly intercept: components["schemas"]["ReleasedEstimate"];
            /** Observed */
            readonly observed: number | "suppressed";
            readonly oe: components["schemas"]["ReleasedEstimate"];
            readonly scaled_brier: components["schemas"]["ReleasedEstimate"];
            readonly slope: components["schemas"]["ReleasedEstimate"];
        };
        /**
         * ReleasedConfusion
         * @description Cases counted by reference standard and prediction.
         *
         *     A perturbed count below the floor is a band such as ``<11``, and so is its partner in the class.
         */
        readonly ReleasedConfusion: {
            /** Fn */
            readonly fn: number | "suppressed" | string;
            /** Fp */
            readonly fp: number | "suppressed" | string;
            /** Tn */
            readonly tn: number | "suppressed" | string;
            /** Tp */
            readonly tp: number | "suppressed" | string;
        };
        /**
         * ReleasedEstimate
         * @description A rounded estimate; `value` is None if withheld, and `withheld` is the reason.
         */
        readonly ReleasedEstimate: {
            /**
             * Hi
             * @default null
             */
            readonly hi: number | null;
            /**
             * Level
             * @default 0.95
             */
            readonly level: number;
            /**
             * Lo
             * @default null
             */
            readonly lo: number | null;
            /**
             * Method
             * @default none
             */
            readonly method: string;
            /**
             * N
             * @default suppressed
             */
            readonly n: number | "suppressed";
            /**
             * N Events
             * @default suppressed
             */
            readonly n_events: number | "suppressed";
            /**
             * Se
             * @default null
             */
            readonly se: number | null;
            /**
             * Value
             * @default null
             */
            readonly value: number | null;
            /**
             * Withheld
             * @default none
             * @enum {string}
             */
            readonly withheld: "none" | "suppressed" | "not_estimable";
        };
        /**
         * ReleasedSubgroup
         * @description One level of one subgroup variable.
         */
        readonly ReleasedSubgroup: {
            readonly auroc: components["schemas"]["ReleasedEstimate"];
            /** Level */
            readonly level: string;
            /** N */
            readonly n: number | "suppressed";
            /** N Events */
            readonly n_events: number | "suppressed";
            readonly oe: components["schemas"]["ReleasedEstimate"];
            readonly sensitivity: components["schemas"]["ReleasedEstimate"];
            readonly specificity: components["schemas"]["ReleasedEstimate"];
            /** Variable */
            readonly variable: string;
        };
        /**
         * ReleasedThreshold
         * @description Results at one threshold; only pre-specified thresholds are pooled.
         */
        readonly ReleasedThreshold: {
            readonly confusion: components["schemas"]["ReleasedConfusion"];
            readonly net_benefit: components["schemas"]["ReleasedEstimate"];
            readonly npv: components["schemas"]["ReleasedEstimate"];
            /**
             * Origin
             * @enum {string}
             */
            readonly origin: "pre-specified" | "data-derived";
            readonly ppv: components["schemas"]["ReleasedEstimate"];
            readonly sensitivity: components["schemas"]["ReleasedEstimate"];
            readonly specificity: components["schemas"]["ReleasedEstimate"];
            /** Threshold */
            readonly threshold: number;
        };
        /**
         * ReportList
         * @description One page of the published reports that the caller may read.
         */
        readonly ReportList: {
            /** Next */
            readonly next?: string | null;
            /**
             * Reports
             * @default []
             */
            readonly reports: readonly components["schemas"]["ReportRecord"][];
        };
        /**
         * ReportOrder
         * @description Standing order of the operator: a new report after each result that counts.
         *
         *     `plan` is the hash of the plan's file, which is stored as an object. A report is made once
         *     `min_sites` hospitals have a result. `apart` are the labels of hospitals that are known to be
         *     different ones although their results are equal.
         */
        readonly ReportOrder: {
            /**
             * Apart
             * @default []
             */
            readonly apart: readonly string[];
            /**
             * Cancelled
             * @default false
             */
            readonly cancelled: boolean;
            /**
             * Min Sites
             * @default 3
             */
            readonly min_sites: number;
            /** Model */
            readonly model: string;
            /** Plan */
            readonly plan: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /** Version */
            readonly version: string;
        };
        /**
         * ReportOrderList
         * @description One page of the standing orders.
         */
        readonly ReportOrderList: {
            /** Next */
            readonly next?: string | null;
            /**
             * Orders
             * @default []
             */
            readonly orders: readonly components["schemas"]["ReportOrderRecord"][];
        };
        /**
         * ReportOrderRecord
         * @description A standing order and what became of it; `reason` is that of a failure.
         */
        readonly ReportOrderRecord: {
            /**
             * Apart
             * @default []
             */
            readonly apart: readonly string[];
            /**
             * Cancelled
             * @default false
             */
            readonly cancelled: boolean;
            /**
             * Min Sites
             * @default 3
             */
            readonly min_sites: number;
            /** Model */
            readonly model: string;
            /** Plan */
            readonly plan: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /**
             * Reason
             * @default
             */
            readonly reason: string;
            /** Report */
            readonly report?: string | null;
            /**
             * State
             * @enum {string}
             */
            readonly state: "waiting" | "due" | "made" | "failed" | "cancelled";
            /** Version */
            readonly version: string;
        };
        /**
         * ReportRecord
         * @description Index entry of a report; its files are in the object store under their hashes.
         *
         *     A report is superseded by the next one on the same model version under the same plan. Superseded
         *     and withdrawn reports stay in the index; `reason` is the operator's for the withdrawal.
         */
        readonly ReportRecord: {
            /** Files */
            readonly files: {
                readonly [key: string]: string;
            };
            /** Id */
            readonly id: string;
            /** Model */
            readonly model: string;
            /** N Sites */
            readonly n_sites: number;
            /** Plan Hash */
            readonly plan_hash: string;
            /**
             * Published
             * @default null
             */
            readonly published: string | null;
            /**
             * Reason
             * @default null
             */
            readonly reason: string | null;
            /**
             * Sites
             * @default []
             */
            readonly sites: readonly string[];
            /**
             * Status
             * @default current
             * @enum {string}
             */
            readonly status: "current" | "superseded" | "withdrawn";
            /**
             * Superseded By
             * @default null
             */
            readonly superseded_by: string | null;
            /**
             * Verdicts
             * @default []
             */
            readonly verdicts: readonly components["schemas"]["ReportVerdict"][];
            /** Version */
            readonly version: string;
        };
        /**
         * ReportVerdict
         * @description Verdict of a report on one acceptance criterion of the plan.
         */
        readonly ReportVerdict: {
            /** Criterion */
            readonly criterion: string;
            /**
             * Outcome
             * @enum {string}
             */
            readonly outcome: "met" | "not met" | "inconclusive";
        };
        /**
         * ReportWithdrawal
         * @description Decision of the operator that a report is not to be used any more.
         */
        readonly ReportWithdrawal: {
            /** Reason */
            readonly reason: string;
        };
        /**
         * RocPoint
         * @description Sensitivity at a false-positive rate of the fixed grid, pointwise interval.
         */
        readonly RocPoint: {
            /** Fpr */
            readonly fpr: number;
            /** Hi */
            readonly hi: number;
            /** Lo */
            readonly lo: number;
            /** Tpr */
            readonly tpr: number;
        };
        /**
         * SealedShares
         * @description Shares that one site alone can read (AES-GCM).
         */
        readonly SealedShares: {
            /** Data */
            readonly data: string;
            /** To */
            readonly to: string;
        };
        /**
         * Stamp
         * @description Countersignature of a hub.
         *
         *     Attributes
         *     ----------
         *     kind : what has the hash: a plan, or the head of a site's ledger
         *     site : the site that sent the hash
         *     sha256 : the hash
         *     at : time of the hub's clock
         *     kid : fingerprint of the hub's key, listed in ``/.well-known/healthval-keys.json``
         *     signature : Ed25519 over `stamped_bytes`, in base64url; checked by `healthval.credential.check_stamp`
         */
        readonly Stamp: {
            /**
             * At
             * Format: date-time
             */
            readonly at: string;
            /** Kid */
            readonly kid: string;
            /**
             * Kind
             * @enum {string}
             */
            readonly kind: "plan" | "ledger";
            /** Sha256 */
            readonly sha256: string;
            /** Signature */
            readonly signature: string;
            /** Site */
            readonly site: string;
        };
        /**
         * Submission
         * @description One site's released result for one model version under one plan.
         */
        readonly Submission: {
            readonly auroc: components["schemas"]["ReleasedEstimate"];
            /** @default null */
            readonly average_precision: components["schemas"]["ReleasedEstimate"] | null;
            /** @default null */
            readonly calibration: components["schemas"]["ReleasedCalibration"] | null;
            /**
             * Canary
             * @default not_run
             * @enum {string}
             */
            readonly canary: "unchanged" | "changed" | "not_run";
            readonly certificate: components["schemas"]["Certificate"];
            /**
             * Dates
             * @enum {string}
             */
            readonly dates: "removed" | "shifted" | "kept" | "none";
            /**
             * Decision Curve
             * @default []
             */
            readonly decision_curve: readonly components["schemas"]["DecisionPoint"][];
            /**
             * Flow
             * @default []
             */
            readonly flow: readonly components["schemas"]["FlowCount"][];
            /** Healthval Version */
            readonly healthval_version: string;
            /**
             * Histogram
             * @default []
             */
            readonly histogram: readonly components["schemas"]["ReleasedBin"][];
            /** @default null */
            readonly histogram_noise: components["schemas"]["HistogramNoise"] | null;
            /** Model */
            readonly model: string;
            /** Model Digest */
            readonly model_digest: string;
            /** N */
            readonly n: number | "suppressed";
            /** N Events */
            readonly n_events: number | "suppressed";
            /**
             * N Indeterminate
             * @default 0
             */
            readonly n_indeterminate: number | "suppressed";
            /**
             * N Missing Reference
             * @default 0
             */
            readonly n_missing_reference: number | "suppressed";
            /** @default null */
            readonly noise: components["schemas"]["CountNoise"] | null;
            /**
             * Pixel Sign Off
             * @default false
             */
            readonly pixel_sign_off: boolean;
            /**
             * Plan Amended
             * @default false
             */
            readonly plan_amended: boolean;
            /** Plan Hash */
            readonly plan_hash: string;
            /**
             * Roc
             * @default []
             */
            readonly roc: readonly components["schemas"]["RocPoint"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            readonly schema_version: 1;
            /**
             * Subgroups
             * @default []
             */
            readonly subgroups: readonly components["schemas"]["ReleasedSubgroup"][];
            /**
             * Table One
             * @default []
             */
            readonly table_one: readonly components["schemas"]["TableOneRow"][];
            /**
             * Thresholds
             * @default []
             */
            readonly thresholds: readonly components["schemas"]["ReleasedThreshold"][];
            /** Version */
            readonly version: string;
        };
        /**
         * SubmissionEntry
         * @description Active submission of one site; its bytes are stored under their hash.
         */
        readonly SubmissionEntry: {
            /** Label */
            readonly label: string;
            /**
             * Received
             * Format: date-time
             */
            readonly received: string;
            /** Site */
            readonly site: string;
            /** Submission Sha256 */
            readonly submission_sha256: string;
            /** Supersedes */
            readonly supersedes?: string | null;
        };
        /**
         * SubmissionList
         * @description One page of the active submissions for one model version under one plan.
         */
        readonly SubmissionList: {
            /** Next */
            readonly next?: string | null;
            /**
             * Submissions
             * @default []
             */
            readonly submissions: readonly components["schemas"]["SubmissionEntry"][];
        };
        /**
         * SumClosing
         * @description Decision of the operator to end a round; the round is named, so that no later one is ended.
         */
        readonly SumClosing: {
            /** Attempt */
            readonly attempt: number;
            /**
             * Round
             * @enum {string}
             */
            readonly round: "keys" | "shares" | "table" | "opening" | "total";
        };
        /**
         * SumKeys
         * @description Round 1: the site's keys, and what the plan fixes, in which all sites must agree.
         *
         *     `label` is the hospital's name, as in its access request. `mask_key` and `share_key` are X25519;
         *     `commitment` is a hash of the site's own mask.
         */
        readonly SumKeys: {
            /** Commitment */
            readonly commitment: string;
            /** Floor */
            readonly floor: number;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "keys";
            /** Label */
            readonly label: string;
            /** Mask Key */
            readonly mask_key: string;
            /** Minimum Sites */
            readonly minimum_sites: number;
            /** N Cells */
            readonly n_cells: number;
            readonly public_key: components["schemas"]["PublicKey"];
            /** Share Key */
            readonly share_key: string;
        };
        /**
         * SumMessage
         * @description One message of a site, signed with its Ed25519 key.
         *
         *     `context` is the hash of all messages of the rounds before; None in the first round.
         */
        readonly SumMessage: {
            /** Attempt */
            readonly attempt: number;
            /** Content */
            readonly content: components["schemas"]["SumKeys"] | components["schemas"]["SumShares"] | components["schemas"]["SumTable"] | components["schemas"]["SumOpening"] | components["schemas"]["SumTotal"];
            /**
             * Context
             * @default null
             */
            readonly context: string | null;
            /** Model */
            readonly model: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /** Signature */
            readonly signature: string;
            /** Site */
            readonly site: string;
            /** Version */
            readonly version: string;
        };
        /**
         * SumOpening
         * @description Round 4: one share for each site of round 2, sealed for each site of round 3.
         *
         *     For a site whose table arrived it is the share of its own mask, for another that of its mask key;
         *     never both.
         */
        readonly SumOpening: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "opening";
            /** Sealed */
            readonly sealed: readonly components["schemas"]["SealedShares"][];
        };
        /**
         * SumShares
         * @description Round 2: shares of the site's own mask and of its mask key, for each other site.
         */
        readonly SumShares: {
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "shares";
            /** Sealed */
            readonly sealed: readonly components["schemas"]["SealedShares"][];
        };
        /**
         * SumState
         * @description A secure sum as the hub has it; without messages before the first site has joined.
         *
         *     Attributes
         *     ----------
         *     attempt : number of the attempt; another begins after one that failed
         *     round : the round that is open; ``failed`` and ``done`` have no open round
         *     messages : all messages of the attempt, by round and site
         *     reason : why the last attempt failed
         */
        readonly SumState: {
            /**
             * Attempt
             * @default 1
             */
            readonly attempt: number;
            /**
             * Messages
             * @default []
             */
            readonly messages: readonly components["schemas"]["SumMessage"][];
            /** Model */
            readonly model: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /**
             * Reason
             * @default
             */
            readonly reason: string;
            /**
             * Round
             * @default keys
             */
            readonly round: ("keys" | "shares" | "table" | "opening" | "total") | ("done" | "failed");
            /** Version */
            readonly version: string;
        };
        /**
         * SumTable
         * @description Round 3: the masked table; 16 hexadecimal digits for each cell.
         */
        readonly SumTable: {
            /** Cells */
            readonly cells: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "table";
        };
        /**
         * SumTotal
         * @description Round 5: the total as the site opened it, at the thresholds at which it is above the floor.
         *
         *     `kept` are positions of thresholds, and `cells` the counts between these: events, then non-events. Both
         *     are empty where the total is above the floor at no threshold.
         */
        readonly SumTotal: {
            /**
             * Cells
             * @default []
             */
            readonly cells: readonly number[];
            /**
             * Kept
             * @default []
             */
            readonly kept: readonly number[];
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "total";
        };
        /**
         * TableInstances
         * @description Rows of a table model: columns of the input contract, one row per case.
         */
        readonly TableInstances: {
            /** Columns */
            readonly columns: readonly string[];
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly kind: "table";
            /** Rows */
            readonly rows: readonly (readonly (number | string | null)[])[];
        };
        /**
         * TableOneRow
         * @description Counts of a level, or mean and SD of a number, by reference standard.
         */
        readonly TableOneRow: {
            /**
             * Events
             * @default null
             */
            readonly events: number | "suppressed" | null;
            /** Level */
            readonly level: string;
            /**
             * Mean
             * @default null
             */
            readonly mean: number | null;
            /**
             * Non Events
             * @default null
             */
            readonly non_events: number | "suppressed" | null;
            /**
             * Overall
             * @default null
             */
            readonly overall: number | "suppressed" | null;
            /**
             * Sd
             * @default null
             */
            readonly sd: number | null;
            /** Variable */
            readonly variable: string;
        };
        /**
         * UploadRequest
         * @description Request for an upload address for one de-identified file.
         */
        readonly UploadRequest: {
            /** Model */
            readonly model: string;
            /** Plan Hash */
            readonly plan_hash: string;
            /** Sha256 */
            readonly sha256: string;
            /** Size */
            readonly size: number;
            /** Version */
            readonly version: string;
        };
        /**
         * UploadTicket
         * @description Signed, short-lived address and headers for the PUT of one file.
         */
        readonly UploadTicket: {
            /** Headers */
            readonly headers?: {
                readonly [key: string]: string;
            };
            /** Id */
            readonly id: string;
            /**
             * Not After
             * Format: date-time
             */
            readonly not_after: string;
            /** Url */
            readonly url: string;
        };
        /**
         * VendorKey
         * @description Permission of a developer's key or AWS role to read the reports on these models.
         */
        readonly VendorKey: {
            /** Label */
            readonly label: string;
            /** Models */
            readonly models: readonly string[];
            /** Public Key */
            readonly public_key: components["schemas"]["PublicKey"] | components["schemas"]["AwsRole"];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type AccessDecision = components['schemas']['AccessDecision'];
export type AccessGrant = components['schemas']['AccessGrant'];
export type AccessList = components['schemas']['AccessList'];
export type AccessRequest = components['schemas']['AccessRequest'];
export type Amendment = components['schemas']['Amendment'];
export type AttackPassed = components['schemas']['AttackPassed'];
export type AuditEntry = components['schemas']['AuditEntry'];
export type AuditHead = components['schemas']['AuditHead'];
export type AuditList = components['schemas']['AuditList'];
export type AuditorKey = components['schemas']['AuditorKey'];
export type AwsRole = components['schemas']['AwsRole'];
export type Certificate = components['schemas']['Certificate'];
export type CombinedInstances = components['schemas']['CombinedInstances'];
export type CountNoise = components['schemas']['CountNoise'];
export type CurvePoint = components['schemas']['CurvePoint'];
export type DashboardLink = components['schemas']['DashboardLink'];
export type DecisionPoint = components['schemas']['DecisionPoint'];
export type DeveloperReporting = components['schemas']['DeveloperReporting'];
export type DicomInstances = components['schemas']['DicomInstances'];
export type FlowCount = components['schemas']['FlowCount'];
export type HistogramNoise = components['schemas']['HistogramNoise'];
export type HubHealth = components['schemas']['HubHealth'];
export type HubKey = components['schemas']['HubKey'];
export type HubKeys = components['schemas']['HubKeys'];
export type InputContract = components['schemas']['InputContract'];
export type InputField = components['schemas']['InputField'];
export type KeyList = components['schemas']['KeyList'];
export type KeyRecord = components['schemas']['KeyRecord'];
export type KeyRotation = components['schemas']['KeyRotation'];
export type LedgerHead = components['schemas']['LedgerHead'];
export type LinkRequest = components['schemas']['LinkRequest'];
export type ModelCard = components['schemas']['ModelCard'];
export type ModelList = components['schemas']['ModelList'];
export type ModelName = components['schemas']['ModelName'];
export type ModelRecord = components['schemas']['ModelRecord'];
export type ModelRegistration = components['schemas']['ModelRegistration'];
export type ObjectOffer = components['schemas']['ObjectOffer'];
export type ObjectSize = components['schemas']['ObjectSize'];
export type OperatorRole = components['schemas']['OperatorRole'];
export type Prediction = components['schemas']['Prediction'];
export type PredictionAnswer = components['schemas']['PredictionAnswer'];
export type PredictionRequest = components['schemas']['PredictionRequest'];
export type Probe = components['schemas']['Probe'];
export type ProbeInstances = components['schemas']['ProbeInstances'];
export type Problem = components['schemas']['Problem'];
export type PublicKey = components['schemas']['PublicKey'];
export type Receipt = components['schemas']['Receipt'];
export type ReleasedBin = components['schemas']['ReleasedBin'];
export type ReleasedCalibration = components['schemas']['ReleasedCalibration'];
export type ReleasedConfusion = components['schemas']['ReleasedConfusion'];
export type ReleasedEstimate = components['schemas']['ReleasedEstimate'];
export type ReleasedSubgroup = components['schemas']['ReleasedSubgroup'];
export type ReleasedThreshold = components['schemas']['ReleasedThreshold'];
export type ReportList = components['schemas']['ReportList'];
export type ReportOrder = components['schemas']['ReportOrder'];
export type ReportOrderList = components['schemas']['ReportOrderList'];
export type ReportOrderRecord = components['schemas']['ReportOrderRecord'];
export type ReportRecord = components['schemas']['ReportRecord'];
export type ReportVerdict = components['schemas']['ReportVerdict'];
export type ReportWithdrawal = components['schemas']['ReportWithdrawal'];
export type RocPoint = components['schemas']['RocPoint'];
export type SealedShares = components['schemas']['SealedShares'];
export type Stamp = components['schemas']['Stamp'];
export type Submission = components['schemas']['Submission'];
export type SubmissionEntry = components['schemas']['SubmissionEntry'];
export type SubmissionList = components['schemas']['SubmissionList'];
export type SumClosing = components['schemas']['SumClosing'];
export type SumKeys = components['schemas']['SumKeys'];
export type SumMessage = components['schemas']['SumMessage'];
export type SumOpening = components['schemas']['SumOpening'];
export type SumShares = components['schemas']['SumShares'];
export type SumState = components['schemas']['SumState'];
export type SumTable = components['schemas']['SumTable'];
export type SumTotal = components['schemas']['SumTotal'];
export type TableInstances = components['schemas']['TableInstances'];
export type TableOneRow = components['schemas']['TableOneRow'];
export type UploadRequest = components['schemas']['UploadRequest'];
export type UploadTicket = components['schemas']['UploadTicket'];
export type VendorKey = components['schemas']['VendorKey'];
export type $defs = Record<string, never>;
export interface operations {
    readonly keys__well_known_healthval_keys_json_get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["HubKeys"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly grants_v1_access_requests_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AccessList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly ask_v1_access_requests_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["AccessRequest"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AccessGrant"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too much waits; repeat later */
            readonly 429: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly decide_v1_access_requests__site___model___version___plan_hash__decision_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly site: string;
                readonly model: string;
                readonly version: string;
                readonly plan_hash: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["AccessDecision"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AccessGrant"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly audit_v1_audit_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["AuditList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly enrol_auditor_v1_auditors_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["AuditorKey"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly link_v1_dashboard_links_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["LinkRequest"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["DashboardLink"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly health_v1_health_get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["HubHealth"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly revoke_v1_hub_keys__kid__revoke_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly kid: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["HubKey"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly known_v1_keys_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["KeyList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly rotate_v1_keys_rotation_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["KeyRotation"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["KeyRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly revoke_v1_keys__name__revoke_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["KeyRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly ledger_head_of_v1_ledger_head_get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["LedgerHead"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly models_v1_models_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly register_v1_models_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ModelRegistration"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly model_v1_models__name___version__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
                readonly version: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelRecord"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly start_v1_models__name___version__start_post: {
        readonly parameters: {
            readonly query?: {
                readonly tried?: boolean;
            };
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly name: string;
                readonly version: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly stop_v1_models__name___version__stop_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly name: string;
                readonly version: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ModelRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly store_v1_objects__sha256__put: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly sha256: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly offer_v1_objects__sha256__offer_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly sha256: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ObjectSize"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ObjectOffer"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly enrol_operator_v1_operators_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["OperatorRole"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly predict_v1_predictions_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["PredictionRequest"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PredictionAnswer"];
                };
            };
            /** @description Successful Response */
            readonly 202: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PredictionAnswer"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too much waits; repeat later */
            readonly 429: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly poll_v1_predictions__prediction__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly prediction: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PredictionAnswer"];
                };
            };
            /** @description Successful Response */
            readonly 202: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["PredictionAnswer"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly receipt_v1_receipts__sha256__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly sha256: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description Successful Response */
            readonly 202: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly orders_v1_report_orders_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReportOrderList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly order_v1_report_orders_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ReportOrder"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReportOrderRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly reports_v1_reports_get: {
        readonly parameters: {
            readonly query?: {
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReportList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly publish_v1_reports_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ReportRecord"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReportRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly report_file_v1_reports__report__files__name__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly report: string;
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The bytes */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly withdraw_v1_reports__report__withdrawal_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly report: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["ReportWithdrawal"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReportRecord"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly submissions_v1_submissions_get: {
        readonly parameters: {
            readonly query: {
                readonly model: string;
                readonly version: string;
                readonly plan_hash: string;
                readonly limit?: number;
                readonly cursor?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SubmissionList"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly submit_v1_submissions_post: {
        readonly parameters: {
            readonly query?: {
                /** @description head of the site's ledger */
                readonly ledger_head?: string | null;
            };
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["Submission"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description Successful Response */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description Successful Response */
            readonly 202: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly payload_v1_submissions__site___sha256__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly site: string;
                readonly sha256: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The bytes */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly post_v1_sums_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["SumMessage"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SumState"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly state_v1_sums__model___version___plan_hash__get: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly model: string;
                readonly version: string;
                readonly plan_hash: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SumState"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly close_v1_sums__model___version___plan_hash__closing_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path: {
                readonly model: string;
                readonly version: string;
                readonly plan_hash: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["SumClosing"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["SumState"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly offer_v1_uploads_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["UploadRequest"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["UploadTicket"];
                };
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description There is no such entry here */
            readonly 404: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Too much waits; repeat later */
            readonly 429: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly take_v1_uploads__upload__put: {
        readonly parameters: {
            readonly query: {
                readonly terms: string;
                readonly signature: string;
            };
            readonly header?: never;
            readonly path: {
                readonly upload: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    readonly enrol_v1_vendors_post: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description 16 to 64 letters, digits, - or _: a repetition within a day acts once */
                readonly "Idempotency-Key"?: string | null;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["VendorKey"];
            };
        };
        readonly responses: {
            /** @description Successful Response */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The Idempotency-Key is malformed */
            readonly 400: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request is not signed by a key that this hub knows */
            readonly 401: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The key may not do this */
            readonly 403: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Method not allowed; `Allow` names the others */
            readonly 405: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Another state or content is stored */
            readonly 409: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The body is too large */
            readonly 413: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The request does not match its contract */
            readonly 422: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub failed */
            readonly 500: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The store or the model does not respond; repeat later */
            readonly 503: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description The hub's disk is full; repeat later */
            readonly 507: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description Problem details (RFC 9457) */
            readonly default: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
