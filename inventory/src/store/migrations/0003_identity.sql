-- Identity by a set of evidence: what a record holds now, what it held, and each decision with all that led to it.
-- The part ledger: which part was in which node from when to when.

-- Who made the thing with this serial number.
ALTER TABLE evidence ADD COLUMN vendor {text};
-- `current`: the record holds it. `past`: it did. `disowned`: an operator took it off, and it never counts for this node.
ALTER TABLE evidence ADD COLUMN standing {text} NOT NULL DEFAULT 'current'
    CHECK (standing IN ('current', 'past', 'disowned'));

-- The one node that the token is for.
ALTER TABLE tokens ADD COLUMN for_node {text} REFERENCES nodes (id);

-- Keys that owned a record before another one did.
CREATE TABLE past_keys (
    public_key {bytes} PRIMARY KEY CHECK (length(public_key) = 32),
    node_id    {text} NOT NULL REFERENCES nodes (id),
    until_ms   {integer} NOT NULL,
    revision   {integer} NOT NULL REFERENCES changes (revision)
) {keyed table};

-- Weights that decisions were made with, as JSON, by their SHA-256.
CREATE TABLE weights (
    sha256        {text} PRIMARY KEY,
    body          {text} NOT NULL,
    first_used_ms {integer} NOT NULL
) {keyed table};

CREATE TABLE decisions (
    id             {integer} PRIMARY KEY,
    -- The claimant; of an operator's decision the record that goes on.
    node_id        {text} NOT NULL REFERENCES nodes (id),
    -- `same`, `new`, `conflict`; of an operator `merge`, `split`, `replace`, `release`.
    outcome        {text} NOT NULL,
    other_id       {text} REFERENCES nodes (id),
    why            {text},
    score          {integer} NOT NULL,
    -- What was done.
    effect         {text} NOT NULL,
    -- Claim, candidates and comparisons as JSON.
    inputs         {text} NOT NULL,
    weights        {text} REFERENCES weights (sha256),
    actor          {text} NOT NULL,
    cause          {text},
    -- Of a claim that was refused: the same request again is no second decision.
    request_sha256 {bytes} UNIQUE,
    at_ms          {integer} NOT NULL,
    revision       {integer} NOT NULL REFERENCES changes (revision)
) {table};
CREATE INDEX decisions_by_node ON decisions (node_id, id);
CREATE INDEX decisions_by_other ON decisions (other_id, id);

CREATE TABLE parts (
    kind          {text} NOT NULL,
    serial        {text} NOT NULL,
    model         {text},
    first_seen_ms {integer} NOT NULL,
    PRIMARY KEY (kind, serial)
) {keyed table};

CREATE TABLE part_places (
    id            {integer} PRIMARY KEY,
    kind          {text} NOT NULL,
    serial        {text} NOT NULL,
    node_id       {text} NOT NULL REFERENCES nodes (id),
    -- Where in the node: a PCI address, a name, a slot.
    place         {text},
    from_ms       {integer} NOT NULL,
    from_revision {integer} NOT NULL REFERENCES reports (revision),
    to_ms         {integer},
    to_revision   {integer} REFERENCES changes (revision),
    -- 1: another node has shown it since. 2: and this one after that, so that it is in two at once.
    contested     {integer} NOT NULL DEFAULT 0 CHECK (contested IN (0, 1, 2)),
    FOREIGN KEY (kind, serial) REFERENCES parts (kind, serial)
) {table};
CREATE UNIQUE INDEX part_places_open ON part_places (node_id, kind, serial) WHERE to_ms IS NULL;
CREATE INDEX part_places_by_part ON part_places (kind, serial, id);
