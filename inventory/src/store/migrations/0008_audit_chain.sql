-- The audit as a chain: the hash of each line, over the hash of the line before and its own content (`chain.rs`). The
-- program gives the lines that are there theirs in the same transaction.
ALTER TABLE audit ADD COLUMN hash {bytes} CHECK (length(hash) = 32);

-- What the signature of a report covers, kept with it: a boot that enrols again has another nonce. Absent where it had
-- one already.
ALTER TABLE reports ADD COLUMN nonce {text};
UPDATE reports SET nonce = (
    SELECT b.nonce FROM boots b
    WHERE b.node_id = reports.node_id AND b.boot_id = reports.boot_id AND b.revision < reports.revision
);
