-- Results of each site.
SELECT
    site,
    COUNT(DISTINCT model || ' ' || version) AS model_versions,
    COUNT(*) AS results,
    COUNT(supersedes) AS repeated,
    MIN(day) AS first_day,
    MAX(day) AS last_day
FROM submissions
WHERE day BETWEEN ? AND ?
GROUP BY site
ORDER BY site
