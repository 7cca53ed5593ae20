-- Results that replaced an earlier one of the same site and plan.
SELECT
    day,
    site,
    model,
    version,
    plan_hash,
    sha256,
    supersedes
FROM submissions
WHERE day BETWEEN ? AND ? AND supersedes IS NOT NULL
ORDER BY received, sha256
