/** What the work of a hub would cost on AWS; the same sums as ``healthval cost``. */

import list from "../../../infra/prices.json";

const LAMBDA_GB = 0.5;
const LAMBDA_EXTRA_SECONDS = 0.05;
const LOG_BYTES_PER_CALL = 2_000;

type PriceName = keyof typeof list.prices;

/** Region, date and source of the price list. */
export const PRICES = { region: list.region, compiled: list.compiled };

function price(name: PriceName): number {
  return list.prices[name].usd;
}

/** Storage of a month without evaluations, by line. */
export function idle(): readonly (readonly [string, number])[] {
  return [
    ["model images (ECR), 3 GB", 3 * price("ecr_gb_month")],
    ["objects (S3), 5 GB", 5 * price("s3_standard_gb_month")],
    ["earlier versions (S3), 1 GB", price("s3_standard_gb_month")],
    ["logs (CloudWatch), 1 GB", price("cloudwatch_logs_store_gb_month")],
    ["firewall (CloudFront free plan)", price("cloudfront_flat_free_month")],
  ];
}

/** Cost of inferences, each a separate call: an upper bound where rows are sent in batches. */
export function inferences(n: number, memoryMb: number, seconds: number, megabytes: number): number {
  const memory = Math.min(6144, Math.max(1024, Math.ceil(memoryMb / 1024) * 1024));
  const each =
    seconds * price(`sagemaker_serverless_second_${memory}_mb` as PriceName) +
    (megabytes / 1000) * price("sagemaker_serverless_data_gb") +
    price("lambda_request") +
    LAMBDA_GB * price("lambda_gb_second_x86") * (seconds + LAMBDA_EXTRA_SECONDS) +
    price("apigw_http_request") +
    price("dynamodb_wru") +
    (LOG_BYTES_PER_CALL / 1e9) * price("cloudwatch_logs_ingest_gb");
  return n * each;
}

/** Cost of one evaluation without its inferences: 20 calls, 6 writes, one query. */
export function overhead(): number {
  const callSeconds = LAMBDA_GB * 2 * LAMBDA_EXTRA_SECONDS;
  return (
    20 * (price("lambda_request") + callSeconds * price("lambda_gb_second_x86")) +
    20 * price("apigw_http_request") +
    6 * price("dynamodb_wru") +
    20 * price("dynamodb_rru") +
    3 * price("s3_put") +
    (list.athena_minimum_mb / 1e6) * price("athena_tb_scanned")
  );
}
