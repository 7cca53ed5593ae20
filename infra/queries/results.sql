-- Results that count, by model version and plan.
SELECT
    model,
    version,
    plan_hash,
    COUNT(DISTINCT site) AS sites,
    COUNT(*) AS results,
    COUNT(supersedes) AS repeated,
    MIN(day) AS first_day,
    MAX(day) AS last_day
FROM submissions
WHERE day BETWEEN ? AND ?
GROUP BY model, version, plan_hash
ORDER BY model, version, plan_hash
