-- Decisions on access, oldest first.
SELECT
    number,
    day,
    actor,
    action,
    subject
FROM audit
WHERE day BETWEEN ? AND ? AND action LIKE 'access.%' AND action <> 'access.requested'
ORDER BY number
