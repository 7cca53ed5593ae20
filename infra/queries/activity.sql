-- Audited actions of each day.
SELECT
    day,
    action,
    COUNT(*) AS entries,
    COUNT(DISTINCT actor) AS actors
FROM audit
WHERE day BETWEEN ? AND ?
GROUP BY day, action
ORDER BY day, action
