-- People and their programs: keys; the life cycle with wishes and deadlines; labels; what lists are found by.

CREATE TABLE access_keys (
    id            {text} PRIMARY KEY,
    name          {text} NOT NULL,
    role          {text} NOT NULL CHECK (role IN ('operator', 'reader', 'metrics')),
    secret_sha256 {bytes} NOT NULL CHECK (length(secret_sha256) = 32),
    created_at_ms {integer} NOT NULL,
    expires_at_ms {integer},
    revoked_at_ms {integer},
    -- Written down now and then.
    used_at_ms    {integer}
) {table};

-- In this state since.
ALTER TABLE nodes ADD COLUMN since_ms {integer} NOT NULL DEFAULT 0;
-- Code of the reason, for lists.
ALTER TABLE nodes ADD COLUMN reason_code {text};
-- Where it was last enrolled from.
ALTER TABLE nodes ADD COLUMN address {text};
-- On the last report of the current boot.
ALTER TABLE nodes ADD COLUMN verdict {text};
ALTER TABLE nodes ADD COLUMN reported_at_ms {integer};
-- The last healthy report of any boot.
ALTER TABLE nodes ADD COLUMN proven_at_ms {integer};
-- The last heartbeat of the current boot; written down now and then.
ALTER TABLE nodes ADD COLUMN heard_at_ms {integer};
ALTER TABLE nodes ADD COLUMN wish {text} NOT NULL DEFAULT 'in_service'
    CHECK (wish IN ('in_service', 'drain', 'maintenance', 'retired'));
ALTER TABLE nodes ADD COLUMN hold {integer} NOT NULL DEFAULT 0 CHECK (hold IN (0, 1));
ALTER TABLE nodes ADD COLUMN wish_revision {integer} NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN wish_cause {text};
-- Who has work on it.
ALTER TABLE nodes ADD COLUMN owner {text};
ALTER TABLE nodes ADD COLUMN model {text};
ALTER TABLE nodes ADD COLUMN devices {integer};
-- All its labels as JSON, to be shown; to be found they stand in the table.
ALTER TABLE nodes ADD COLUMN labels {text} NOT NULL DEFAULT '';
-- As they were last written down, for the times of their changes.
ALTER TABLE nodes ADD COLUMN conditions {text} NOT NULL DEFAULT '[]';

UPDATE nodes SET
    since_ms = coalesce((SELECT max(at_ms) FROM transitions t WHERE t.node_id = nodes.id), created_at_ms),
    verdict = (SELECT r.verdict FROM reports r JOIN boots b ON b.node_id = r.node_id AND b.boot_id = r.boot_id
               WHERE r.node_id = nodes.id AND b.is_current = 1 ORDER BY r.revision DESC LIMIT 1),
    reported_at_ms = (SELECT max(received_at_ms) FROM reports r WHERE r.node_id = nodes.id),
    proven_at_ms = (SELECT max(received_at_ms) FROM reports r WHERE r.node_id = nodes.id AND r.verdict = 'healthy'),
    reason_code = CASE WHEN state = 'quarantined' THEN reason END;

CREATE TABLE labels (
    node_id     {text} NOT NULL REFERENCES nodes (id),
    key         {text} NOT NULL,
    value       {text} NOT NULL,
    -- Else it was derived from a report, and the next one replaces it.
    by_operator {integer} NOT NULL CHECK (by_operator IN (0, 1)),
    PRIMARY KEY (node_id, key)
) {keyed table};
CREATE INDEX labels_by_value ON labels (key, value, node_id);

-- For pages of lists.
CREATE INDEX nodes_by_state ON nodes (state, id);
CREATE INDEX nodes_by_model ON nodes (model, id) WHERE model IS NOT NULL;
CREATE INDEX nodes_by_reason ON nodes (reason_code, id) WHERE reason_code IS NOT NULL;
-- For the controller.
CREATE INDEX nodes_by_since ON nodes (state, since_ms);
CREATE INDEX nodes_by_proof ON nodes (proven_at_ms) WHERE state = 'available';
CREATE INDEX nodes_proven ON nodes (id) WHERE state = 'validating' AND verdict = 'healthy';
CREATE INDEX nodes_by_wish ON nodes (id) WHERE wish <> 'in_service';
CREATE INDEX nodes_by_heartbeat ON nodes (heard_at_ms) WHERE heard_at_ms IS NOT NULL;
