-- The record: nodes with their evidence, boots, reports and steps; tokens; the audit.
-- Times are milliseconds since 1970 (UTC). Texts that came from a node were sized and cleaned before they got here.

-- Each stored change of the fleet's record, numbered without a gap.
CREATE TABLE changes (
    revision {integer} PRIMARY KEY,
    kind     {text} NOT NULL,
    node_id  {text} NOT NULL,
    at_ms    {integer} NOT NULL
) {table};

CREATE TABLE nodes (
    id            {text} PRIMARY KEY,
    public_key    {bytes} NOT NULL UNIQUE CHECK (length(public_key) = 32),
    state         {text} NOT NULL,
    reason        {text},
    pool          {text},
    hostname      {text},
    created_at_ms {integer} NOT NULL,
    revision      {integer} NOT NULL REFERENCES changes (revision),
    CHECK ((pool IS NOT NULL) = (state IN ('available', 'allocated')))
) {table};

CREATE TABLE tokens (
    id             {text} PRIMARY KEY,
    secret_sha256  {bytes} NOT NULL CHECK (length(secret_sha256) = 32),
    plan           {text} NOT NULL,
    created_at_ms  {integer} NOT NULL,
    expires_at_ms  {integer} NOT NULL,
    consumed_at_ms {integer},
    -- The one request that consumed it, and its answer; both absent if it expired.
    request_sha256 {bytes},
    response       {text},
    node_id        {text} REFERENCES nodes (id),
    CHECK (consumed_at_ms IS NOT NULL OR (request_sha256 IS NULL AND response IS NULL AND node_id IS NULL))
) {table};

CREATE TABLE evidence (
    node_id          {text} NOT NULL REFERENCES nodes (id),
    kind             {text} NOT NULL,
    value            {text} NOT NULL,
    first_seen_at_ms {integer} NOT NULL,
    PRIMARY KEY (node_id, kind, value)
) {keyed table};
CREATE INDEX evidence_by_value ON evidence (kind, value);

CREATE TABLE conflicts (
    claimant_id  {text} NOT NULL REFERENCES nodes (id),
    incumbent_id {text} NOT NULL REFERENCES nodes (id),
    kind         {text} NOT NULL,
    value        {text} NOT NULL,
    at_ms        {integer} NOT NULL,
    revision     {integer} NOT NULL REFERENCES changes (revision),
    PRIMARY KEY (claimant_id, incumbent_id, kind, value)
) {keyed table};

CREATE TABLE boots (
    node_id      {text} NOT NULL REFERENCES nodes (id),
    boot_id      {text} NOT NULL,
    nonce        {text} NOT NULL,
    plan         {text} NOT NULL,
    is_current   {integer} NOT NULL CHECK (is_current IN (0, 1)),
    opened_at_ms {integer} NOT NULL,
    revision     {integer} NOT NULL REFERENCES changes (revision),
    PRIMARY KEY (node_id, boot_id)
) {keyed table};
CREATE UNIQUE INDEX boots_current ON boots (node_id) WHERE is_current = 1;

CREATE TABLE reports (
    revision       {integer} PRIMARY KEY REFERENCES changes (revision),
    node_id        {text} NOT NULL,
    boot_id        {text} NOT NULL,
    sequence       {integer} NOT NULL CHECK (sequence > 0),
    run_id         {text} NOT NULL UNIQUE,
    plan           {text} NOT NULL,
    verdict        {text} NOT NULL,
    ack            {text} NOT NULL,
    sha256         {text} NOT NULL,
    signature      {bytes} NOT NULL,
    received_at_ms {integer} NOT NULL,
    bytes          {bytes} NOT NULL,
    UNIQUE (node_id, boot_id, sequence),
    FOREIGN KEY (node_id, boot_id) REFERENCES boots (node_id, boot_id)
) {table};

CREATE TABLE transitions (
    id         {integer} PRIMARY KEY,
    node_id    {text} NOT NULL REFERENCES nodes (id),
    from_state {text},
    to_state   {text} NOT NULL,
    cause      {text} NOT NULL,
    actor      {text} NOT NULL,
    -- Revision of the report that led to it.
    evidence   {integer} REFERENCES reports (revision),
    at_ms      {integer} NOT NULL,
    revision   {integer} NOT NULL REFERENCES changes (revision)
) {table};
CREATE INDEX transitions_by_node ON transitions (node_id, id);

CREATE TABLE audit (
    id       {integer} PRIMARY KEY,
    at_ms    {integer} NOT NULL,
    action   {text} NOT NULL,
    code     {text},
    actor    {text} NOT NULL,
    source   {text},
    node_id  {text},
    token_id {text},
    detail   {text},
    -- Refusals with this code that were not written since the last such line.
    dropped  {integer} NOT NULL DEFAULT 0
) {table};
